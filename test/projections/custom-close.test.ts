/** Code of the program's own that never ends holds up closing for a bounded time, and loses nothing. */
import {
  open,
  type ProjectionDefinition,
  restore,
  type Store,
  type TelemetryEvent,
  type View
} from 'sutra-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CLOSE_WAIT_MS } from '#sutra/projections/custom/patience.js'
import { lastingPath } from '../support/temp.ts'
import { type Tally, type TallyDefinition, tally } from './tally.ts'

const EVENTS = 30

/** Of each, as much as `close` waits for, and a little for a slow machine. */
const LIMIT_MS = 4 * CLOSE_WAIT_MS

const rejections: unknown[] = []
const note = (reason: unknown): unknown => rejections.push(reason)
beforeAll(() => process.on('unhandledRejection', note))
afterAll(() => {
  process.off('unhandledRejection', note)
  expect(rejections).toEqual([])
})

// Each waits as long as `close` does: so they wait together.
describe.concurrent('apply', () => {
  test.each([1, 2, 17, EVENTS])(
    'that never settles at %i: close goes on, and every event is applied once',
    async (at) => {
      const directory = await lastingPath()
      const { definition, reached } = hanging(at)
      const store = await open(directory, { projections: [definition] })
      const told = listen(store)
      await learn(store, EVENTS)
      await reached

      await closed(store)

      const gaveUp = told.filter(({ type }) => type === 'close-gave-up')
      const event = { part: 'projection tally', position: at - 1, ms: CLOSE_WAIT_MS }
      expect(gaveUp).toMatchObject([event])
      expect(told.filter(({ type }) => type === 'projection-stopped')).toEqual([])
      await using again = await open(directory, { projections: [tally(1)] })
      await again.caughtUp()
      expect(await again.projection(tally(1)).total()).toEqual(await expected(again))
      expect(await again.verify()).toMatchObject({ ok: true, problems: [] })
    }
  )

  test('that settles after it was given up changes nothing any more', async () => {
    const directory = await lastingPath()
    const { definition, reached, release } = hanging(5)
    const store = await open(directory, { projections: [definition] })
    await learn(store, EVENTS)
    await reached
    await closed(store)

    // It goes on with rows of a call that has ended, whose store is closed.
    await release()

    await using again = await open(directory, { projections: [tally(1)] })
    await again.caughtUp()
    expect(await again.projection(tally(1)).total()).toEqual(await expected(again))
  })

  test('that settles in time is waited for', async () => {
    const directory = await lastingPath()
    const { definition, reached, release } = hanging(5)
    const store = await open(directory, { projections: [definition] })
    const told = listen(store)
    await learn(store, EVENTS)
    await reached
    const closing = store.close()
    setTimeout(() => void release(), 300)
    await closing

    expect(told.map(({ type }) => type)).not.toContain('close-gave-up')
    // The last stretch was applied too: who only reads finds all of it.
    await using again = await open(directory, { projections: [tally(1)], readOnly: true })
    expect(await again.projection(tally(1), { building: 'fail' }).total()).toMatchObject({
      count: EVENTS
    })
  })

  test('that hangs in a build, with a verify under way and beside one that does not', async () => {
    const directory = await lastingPath()
    const before = await open(directory, { projections: [tally(1)] })
    await learn(before, EVENTS)
    await before.close()
    const { definition, reached } = hanging(3, tally(1))
    const well = tally(1, { name: 'well' })
    const store = await open(directory, { projections: [definition, well] })
    await reached
    const verifying = store.verify()
    verifying.catch(() => undefined)

    await closed(store)

    await expect(verifying).rejects.toMatchObject({ code: expect.stringMatching(/ABORTED|CLOSED/) })
    await using again = await open(directory, {
      projections: [tally(2, { previous: tally(1) }), well]
    })
    await again.caughtUp()
    expect(await again.projection(well).total()).toMatchObject({ count: EVENTS })
  })
})

test.concurrent('a query that never settles is refused in the end, and keeps nothing open', async () => {
  const directory = await lastingPath()
  const definition = { ...tally(1), queries: { never: async () => new Promise<void>(() => {}) } }
  const store = await open(directory, { projections: [definition] })
  await learn(store, 3)
  await store.caughtUp()
  const view: View = await store.view()
  const asked = [store.projection(definition).never(), view.projection(definition).never()]
  const refused = Promise.allSettled(asked)

  await closed(store)

  expect(await refused).toMatchObject([
    { status: 'rejected', reason: { code: 'STORE_CLOSED' } },
    { status: 'rejected', reason: { code: 'STORE_CLOSED' } }
  ])
  const again = await open(directory, { projections: [tally(1)] })
  expect(await again.projection(tally(1)).total()).toMatchObject({ count: 3 })
  await again.close()
})

test.concurrent('a handler of a subscription that never settles is told of, and gets its event again', async () => {
  const directory = await lastingPath()
  const store = await open(directory)
  const told = listen(store)
  await learn(store, 5)
  const at3 = new Promise<void>((resolve) => {
    void store.subscribe('mailer', {}, async ({ position }) => {
      if (position < 3) return
      resolve()
      await new Promise(() => {})
    })
  })
  await store.subscribe('other', {}, () => undefined)
  await at3

  await closed(store)

  const gaveUp = told.filter(({ type }) => type === 'close-gave-up')
  expect(gaveUp).toMatchObject([{ part: 'subscription mailer', position: 2, ms: 5000 }])
  await using again = await open(directory)
  const seen: [number, boolean][] = []
  const subscription = await again.subscribe('mailer', {}, ({ position }, { redelivered }) => {
    seen.push([position, redelivered])
  })
  await subscription.caughtUp()
  expect(seen).toEqual([
    [3, true],
    [4, true],
    [5, true]
  ])
})

/** A tally that waits at one position, before it changes anything, until it is released. */
function hanging(
  at: number,
  previous?: TallyDefinition
): { definition: TallyDefinition; reached: Promise<void>; release(): Promise<void> } {
  const plain = previous === undefined ? tally(1) : tally(2, { previous })
  let tell: (() => void) | undefined
  let go: (() => void) | undefined
  const reached = new Promise<void>((resolve) => {
    tell = resolve
  })
  const released = new Promise<void>((resolve) => {
    go = resolve
  })
  const apply: ProjectionDefinition['apply'] = async (event, rows) => {
    if (event.position === at) {
      tell?.()
      await released
    }
    await plain.apply(event, rows as Parameters<typeof plain.apply>[1])
  }
  return {
    definition: { ...plain, apply: apply as TallyDefinition['apply'] },
    reached,
    async release() {
      go?.()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** What a tally in another directory makes of the same log. */
async function expected(store: Store): Promise<Tally | undefined> {
  const copy = await lastingPath('copy')
  await store.backup(copy)
  const target = await lastingPath('target')
  await restore(copy, target)
  await using made = await open(target, { projections: [tally(1)] })
  await made.caughtUp()
  return await made.projection(tally(1)).total()
}

function listen(store: Store): TelemetryEvent[] {
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))
  return told
}

async function learn(store: Store, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await store.learn({ content: `Concept ${n}` }, { durability: 'os' })
  }
}

/** Fails instead of hanging as long as the test runner lets it. */
async function closed(store: Store): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('close() did not end')), LIMIT_MS)
  })
  try {
    await Promise.race([store.close(), late])
  } finally {
    clearTimeout(timer)
  }
}
