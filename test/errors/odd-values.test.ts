/**
 * What a program without types may pass for any option of any method: it hears of it by a typed error,
 * or by a TypeError that names what is wrong, and never by one out of the middle of the store.
 */
import {
  attach,
  defineProjection,
  isStoreError,
  migrate,
  open,
  readTelemetry,
  repair,
  restore,
  type Store,
  verifyBackup
} from 'sutra-storage'
import { expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

const ODD: readonly unknown[] = [
  ...[null, 0, -1, 1.5, Number.NaN, 2 ** 53, 10n, '', 'x', '\ud800', '__proto__', true],
  ...[[], [1], [undefined], [null], [{}], new Array(2), {}, { a: 1 }, Object.create(null)],
  ...[[Object.create(null)], { key: 5 }, { key: Object.create(null) }, Symbol('x'), () => 1],
  ...[new Date(0), new Map(), new Float32Array(2), new Proxy({}, hostile()), Promise.resolve(1)]
]

type Call = (value: never) => unknown

test('a commit tells which of its commands is of a wrong type', async () => {
  await using temporary = await openTemporaryStore()
  const { store } = temporary
  const good = { do: 'learn', content: 'good' } as const

  const committed = store.commit([good, { do: 'learn' } as unknown as typeof good])

  await expect(committed).rejects.toThrow(
    new TypeError("Command 1: 'content' must be a string, received undefined")
  )
  expect(store.head).toBe(0)
})

test('every method tells of an odd value by an error of its own', { timeout: 60_000 }, async () => {
  await using temporary = await openTemporaryStore({
    ...{ attach: true, vectors: { dimensions: 2 }, indexes: { n: 'number' } },
    // What is learned below is odd, and the test is not about what becomes of it.
    check: false
  })
  const { store, directory } = temporary
  await store.learn({ id: { key: 'a' }, content: 'A', embedding: [1, 2], metadata: { n: 1 } })
  await store.learn({ id: { key: 'b' }, content: 'B' })
  await store.associate({ source: { key: 'a' }, target: { key: 'b' }, type: 't' })
  const nowhere = await temporaryPath('nowhere')
  await using attached = await attach(directory)
  const ways = Object.entries({
    ...callsOf(store),
    ...options('attach', [], async (given) => attach(nowhere, given)),
    ...options('repair', ['dryRun', 'onProgress', 'signal'], async (given) =>
      repair(nowhere, given)
    ),
    ...options('migrate', ['backup', 'dryRun', 'signal'], async (given) => migrate(nowhere, given)),
    ...options('restore', ['toPosition', 'toTime', 'compare', 'signal'], async (given) =>
      restore(nowhere, nowhere, given)
    ),
    ...options('verifyBackup', ['signal'], async (given) => verifyBackup(nowhere, given)),
    ...options('open', OPEN, async (given) =>
      open(nowhere, { ...(given as object), readOnly: true })
    ),
    ...options('readTelemetry', ['since', 'until', 'types', 'live', 'signal'], (given) =>
      readTelemetry(nowhere, given)
    ),
    ...options('attached.stats', ['signal'], async (given) => attached.stats(given)),
    ...options('attached.counts', ['signal'], async (given) => attached.counts(given)),
    ...options('attached.events', ['from', 'types', 'concept', 'signal'], (given) =>
      attached.events({ ...(given as object), to: 1 })
    ),
    ...options('defineProjection', ['name', 'version', 'apply', 'types', 'queries'], (given) =>
      defineProjection(Object.assign({ name: 'p', version: 1, apply() {} }, given) as never)
    )
  }) as [string, Call][]

  const raw: string[] = []
  for (const [name, call] of ways) {
    for (const [index, value] of ODD.entries()) {
      const error = await failureOf(async () => call(value as never))
      if (error !== undefined && !isTold(error)) raw.push(`${name}, value ${index}: ${told(error)}`)
    }
  }

  expect(raw).toEqual([])
})

const OPEN = [
  ...['durability', 'vectors', 'limits', 'pipeline', 'telemetry', 'embed', 'alerts', 'indexes'],
  ...['cache', 'projections', 'openTelemetry', 'attach', 'createIfMissing', 'diskReserveBytes']
]

function callsOf(store: Store): Record<string, Call> {
  const a = { key: 'a' }
  const b = { key: 'b' }
  const record = [{ kind: 'concept' as const, key: 'i', content: 'I' }]
  const LONG = ['onProgress', 'signal']
  const where = [
    'types',
    'where',
    'minStrength',
    'include',
    'limit',
    'after',
    'direction',
    'signal'
  ]
  const commit = ['expect', 'idempotencyKey', 'durability', 'bulk', 'headers', 'subject', 'signal']
  return {
    get: async (value) => store.get(value),
    getMany: async (value) => store.getMany(value),
    has: async (value) => store.has(value),
    vector: async (value) => store.vector(value),
    association: async (value) => store.association(value),
    forget: async (value) => store.forget(value),
    dissociate: async (value) => store.dissociate(value),
    commit: async (value) => store.commit(value),
    'commit of one': async (value) => store.commit([value]),
    caughtUp: async (value) => store.caughtUp(value),
    unsubscribe: async (value) => store.unsubscribe(value),
    'subscribe.name': async (value) => (await store.subscribe(value, {}, noop)).close(),
    'subscribe.handler': async (value) => (await store.subscribe('s', {}, value)).close(),
    'import.source': async (value) => store.import(value, { dryRun: true }),
    'import.record': async (value) => store.import([value], { dryRun: true }),
    'import.map': async (value) =>
      store.import(record, {
        dryRun: true,
        map: throwing(value)
      }),
    projection: (value) => store.projection(value),
    ...options('get', ['include', 'signal'], async (given) => store.get(a, given)),
    ...options('ready', ['signal'], async (given) => store.ready(given)),
    ...options('counts', ['signal'], async (given) => store.counts(given)),
    ...options('neighbors', where, async (given) => store.neighbors(a, given)),
    ...options('associations', where, (given) => store.associations(a, given)),
    ...options('concepts', ['type', ...where], (given) => store.concepts(given)),
    ...options('findPath', ['maxDepth', 'order', ...where], async (given) =>
      store.findPath(a, b, given)
    ),
    ...options(
      'search',
      ['k', 'ef', 'where', 'exact', 'score', 'expand', 'include'],
      async (given) => store.search([1, 0], given)
    ),
    ...options('events', ['from', 'to', 'types', 'concept', 'signal'], (given) =>
      store.events(given)
    ),
    ...options('events$', ['from', 'to', 'types', 'concept', 'live'], (given) => {
      store.events$(given)
    }),
    ...options('learn', [...commit], async (given) => store.learn({ content: 'c' }, given)),
    ...options('learn', ['id', 'type', 'content', 'data', 'metadata', 'embedding'], async (given) =>
      store.learn(Object.assign({ content: 'c' }, given))
    ),
    ...options('rebuild', LONG, async (given) =>
      store.rebuild({ projections: [], ...(given as object) })
    ),
    'rebuild.projections': async (value) => store.rebuild({ projections: value }),
    ...options('verify', LONG, async (given) => store.verify(signalled(given))),
    ...options('checkVectors', ['sample', 'k', 'efs', 'seed', ...LONG], async (given) =>
      store.checkVectors(signalled(given))
    ),
    ...options('import', IMPORT, async (given) => store.import(record, given)),
    ...options('export', ['format', 'types', 'associations', 'vectors', ...LONG], (given) =>
      store.export(given)
    ),
    ...options('subscribe', SUBSCRIBE, async (given) => {
      await (await store.subscribe('s', given, noop)).close()
    }),
    ...options('storedTelemetry', ['since', 'until', 'types', 'signal'], (given) =>
      store.storedTelemetry(given)
    )
  }
}

const IMPORT = [
  ...['format', 'csv', 'ntriples', 'map', 'createMissing', 'ifExists', 'strict', 'dryRun'],
  ...['durability', 'window', 'resumeKey', 'onProgress', 'signal']
]
const SUBSCRIBE = [
  ...['from', 'types', 'concept', 'batch', 'resumeAfter', 'checkpointEvery', 'retry'],
  ...['quarantineMax', 'signal']
]

/** A value as the options themselves, and as each of them. */
function options(
  name: string,
  names: readonly string[],
  call: (given: never) => unknown
): Record<string, Call> {
  const each = ['unheard-of', ...names].map((option): [string, Call] => [
    `${name}.${option}`,
    (value) => call({ [option]: value } as never)
  ])
  return Object.fromEntries([[`${name} options`, call], ...each])
}

/** Throws what is no error, as a program may. */
function throwing(value: unknown): () => never {
  const never = (function* (): Generator<never, never> {
    for (;;) yield* []
  })()
  return () => never.throw(value) as never
}

/** What would take long, and is asked for by no odd value, is called off. */
function signalled(given: object): object {
  return { signal: AbortSignal.abort(), ...given }
}

/** What a call throws, or rejects with, or what the first item of what it gives does. */
async function failureOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    const given = await call()
    if (typeof given === 'object' && given !== null && Symbol.asyncIterator in given) {
      for await (const _ of given as AsyncIterable<unknown>) break
    }
    return undefined
  } catch (error) {
    return error ?? new Error('nothing was thrown')
  }
}

/** By the store, or as a mistake of the program in words of our own. */
function isTold(error: unknown): boolean {
  if (isStoreError(error)) return true
  if (!(error instanceof TypeError)) return String(error) === FROM_CALLER
  return /must be|cannot be|mixes|there is no/i.test(error.message)
}

function told(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : typeof error
}

const FROM_CALLER = 'Error: looked at by the store'

/** Looking at its members is the caller's own affair: what that throws comes back. */
function hostile(): ProxyHandler<object> {
  return {
    get() {
      throw new Error('looked at by the store')
    }
  }
}

async function noop(): Promise<void> {}
