/** Random steps of a store's life. Few names, so that what one step did is met by the next ones. */
import fc from 'fast-check'
import {
  type AssociationRef,
  type Command,
  ConceptId,
  type IdInput,
  type StoreOptions
} from 'sutra-storage'

export const DIMENSIONS = 4
const CONTENTS = ['red', 'green', 'blue']
const KEYS = ['a', 'b', 'c', 'd', 'é']

/** An expectation that the step makes of what the model says then: right, or off by one. */
export interface Expected {
  subject: 'head' | { concept: IdInput } | { association: AssociationRef }
  off: number
}

export interface CommitStep {
  commands: Command[]
  idempotencyKey?: string | undefined
  expect?: Expected[] | undefined
  durability?: 'fsync' | 'interval' | 'os' | undefined
  /** When a signal fires: before the call, or this many turns of the event loop after it. */
  abort?: 'before' | number | undefined
}

export type Step =
  | ({ do: 'commit' } & CommitStep)
  /** All at once; a view is taken after some turns, in the midst of them. */
  | { do: 'burst'; commits: CommitStep[]; viewAfter: number; rebuild: boolean }
  /** Sends an earlier commit with a key once more. */
  | { do: 'retry'; which: number }
  /** Makes one concept a hub, or thins it out again. */
  | { do: 'fan'; hub: IdInput; from: number; leaves: number; side: 'out' | 'in' | 'parallel' }
  | { do: 'thin'; hub: IdInput; every: number }
  /** One commit after the other, so that the tables never quite catch up, reading on the way. */
  | { do: 'rush'; commits: number }
  | { do: 'view' }
  | { do: 'compare-views' }
  | { do: 'wait'; ms: number }
  /** Learns every name there is, so that what follows has something to meet. */
  | { do: 'learn-all' }
  | { do: 'caught-up' | 'checkpoint' | 'rebuild' | 'reopen' | 'crash' | 'backup' }

export interface Life {
  options: StoreOptions
  steps: Step[]
}

const hexOf = (key: string): ConceptId => ConceptId.fromKey(key)
export const IDS: readonly IdInput[] = [
  ...KEYS.map((key) => ({ key })),
  // The same concepts without naming their key, which comes late then.
  ...['a', 'd'].map(hexOf),
  ...CONTENTS.map((content) => ConceptId.fromContent(content)),
  { key: leafKey(0) },
  { key: leafKey(7) }
]
export const ALL_IDS: readonly ConceptId[] = IDS.map((id) =>
  typeof id === 'string' ? id : hexOf(id.key)
)

/** Long, so that some dozens of associations fill a page. */
export function leafKey(index: number): string {
  return `leaf ${index} ${'.'.repeat(30)}`
}

const id = fc.constantFrom(...IDS)
const units = { strength: unit(), confidence: unit() }
const ifExists = fc.constantFrom('merge', 'replace', 'keep', 'fail' as const)
const scalar = fc.constantFrom<unknown>(0, 1, -2.5, 'text', '', true, null, [], [1, { n: null }])
const inner = record({ n: scalar, m: scalar }, { requiredKeys: [] })
const metadata = fc.oneof(
  {
    weight: 4,
    arbitrary: record({ a: scalar, b: inner, c: fc.oneof(inner, scalar) }, { requiredKeys: [] })
  },
  { weight: 1, arbitrary: fc.constant(null) }
)
const type = fc.constantFrom('thing', 'word', null)
const data = fc.option(fc.uint8Array({ maxLength: 4 }), { nil: null })
const vector = fc
  .array(fc.integer({ min: -3, max: 3 }), { minLength: DIMENSIONS, maxLength: DIMENSIONS })
  .map((numbers) => Float32Array.from(numbers, (number, i) => number + (i + 1) / 7))
/** Order of types is that of UTF-8, not that of UTF-16: the last two tell. */
const name = fc.constantFrom('is', 'is', 'is', 'has', '\uffee', '\u{1f600}')
/** Mostly the same few, so that most of what is asked for is there. */
const end = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<IdInput>(...IDS.slice(0, 3), hexOf('a')) },
  { weight: 1, arbitrary: id }
)
const ref = record(
  { source: end, target: end, type: name, key: fc.constantFrom('1', '1', '2', '10') },
  { requiredKeys: ['source', 'target', 'type'] }
)

function unit(): fc.Arbitrary<number> {
  return fc.constantFrom(0, 0.1, 0.3, 0.5, 0.9, 1)
}

function change(): fc.Arbitrary<number | { by: number }> {
  return fc.oneof(
    unit(),
    fc.constantFrom(-2, -0.3, 0.1, 0.2, 1).map((by) => ({ by }))
  )
}

function command(withVectors: boolean): fc.Arbitrary<Command> {
  const embedding = withVectors ? { embedding: fc.option(vector, { nil: null }) } : {}
  const content = fc.constantFrom(...CONTENTS, 'long '.repeat(50))
  const fields = { type, metadata, data, ...embedding }
  const some = { requiredKeys: [] }
  const learn = record(
    { id, content, ifExists, ...fields, ...units },
    { requiredKeys: ['content'] }
  ).map((given) => ({ do: 'learn' as const, ...given }))
  const associate = fc
    .tuple(ref, record({ ifExists, metadata, ...units }, some))
    .map(([ends, given]) => ({ do: 'associate' as const, ...ends, ...given }))
  const target = fc.oneof(id, ref)
  const reinforce = fc
    .tuple(target, record({ strength: change(), confidence: change() }, some))
    .filter(([, given]) => Object.keys(given).length > 0)
    .map(([to, given]) => ({ do: 'reinforce' as const, target: to, ...given }))
  const reviseConcept = fc
    .tuple(id, record({ content, ...fields }, some))
    .filter(([, given]) => Object.keys(given).length > 0)
    .map(([to, given]) => ({ do: 'revise' as const, target: to, ...given }))
  const reviseAssociation = fc
    .tuple(ref, metadata)
    .map(([to, patch]) => ({ do: 'revise' as const, target: to, metadata: patch }))
  const forget = id.map((one) => ({ do: 'forget' as const, id: one }))
  const dissociate = ref.map((ends) => ({ do: 'dissociate' as const, ...ends }))
  const invalid = fc.constant({ do: 'learn' as const, content: 'bad', strength: 1.5 })
  const arbitrary: fc.Arbitrary<unknown> = fc.oneof(
    { weight: 16, arbitrary: learn },
    { weight: 24, arbitrary: associate },
    { weight: 6, arbitrary: reinforce },
    { weight: 6, arbitrary: reviseConcept },
    { weight: 4, arbitrary: reviseAssociation },
    { weight: 3, arbitrary: forget },
    { weight: 4, arbitrary: dissociate },
    { weight: 1, arbitrary: invalid }
  )
  // The records above are commands; their types alone say less, because fields are optional.
  return arbitrary as fc.Arbitrary<Command>
}

function commit(withVectors: boolean): fc.Arbitrary<CommitStep> {
  const subject = fc.oneof(
    fc.constant('head' as const),
    id.map((concept) => ({ concept })),
    ref.map((association) => ({ association: association as AssociationRef }))
  )
  const expectation = record({ subject, off: fc.constantFrom(0, 0, 0, 1) })
  return record({
    commands: fc.oneof(
      { weight: 2, arbitrary: command(withVectors).map((one) => [one]) },
      { weight: 1, arbitrary: fc.array(command(withVectors), { minLength: 1, maxLength: 8 }) }
    ),
    idempotencyKey: rarely(fc.nat({ max: 30 }).map((n) => `k${n}`)),
    expect: rarely(fc.array(expectation, { minLength: 1, maxLength: 2 })),
    durability: rarely(fc.constantFrom('fsync', 'interval', 'os')),
    abort: fc.option(fc.constantFrom<'before' | number>('before', 0, 1, 2), {
      nil: undefined,
      freq: 15
    })
  })
}

/** With the usual prototype, so that what comes back can be compared with what was given. */
function record<T, K extends keyof T = keyof T>(
  model: { [P in keyof T]: fc.Arbitrary<T[P]> },
  constraints: { requiredKeys?: K[] } = {}
): fc.Arbitrary<fc.RecordValue<T, K>> {
  return fc.record<T, K>(model, { ...constraints, noNullPrototype: true })
}

function rarely<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })
}

function step(withVectors: boolean): fc.Arbitrary<Step> {
  const one = commit(withVectors)
  const plain = <D extends string>(what: D) => fc.constant({ do: what })
  return fc.oneof(
    { weight: 60, arbitrary: one.map((given) => ({ do: 'commit' as const, ...given })) },
    {
      weight: 8,
      arbitrary: record({
        do: fc.constant('burst' as const),
        commits: fc.array(one, { minLength: 2, maxLength: 12 }),
        viewAfter: fc.integer({ min: 0, max: 4 }),
        rebuild: fc.constantFrom(true, ...Array.from({ length: 9 }, () => false))
      })
    },
    {
      weight: 4,
      arbitrary: record({ do: fc.constant('retry' as const), which: fc.nat({ max: 9 }) })
    },
    {
      weight: 3,
      arbitrary: record({
        do: fc.constant('fan' as const),
        hub: id,
        from: fc.nat({ max: 400 }),
        leaves: fc.integer({ min: 1, max: 400 }),
        side: fc.constantFrom('out', 'in', 'parallel' as const)
      })
    },
    {
      weight: 2,
      arbitrary: record({
        do: fc.constant('thin' as const),
        hub: id,
        every: fc.integer({ min: 1, max: 3 })
      })
    },
    {
      weight: 1,
      arbitrary: record({
        do: fc.constant('rush' as const),
        commits: fc.integer({ min: 20, max: 150 })
      })
    },
    { weight: 3, arbitrary: plain('learn-all') },
    { weight: 6, arbitrary: plain('view') },
    { weight: 4, arbitrary: plain('compare-views') },
    {
      weight: 5,
      arbitrary: record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 25 }) })
    },
    { weight: 3, arbitrary: plain('caught-up') },
    { weight: 1, arbitrary: plain('checkpoint') },
    { weight: 1, arbitrary: plain('rebuild') },
    { weight: 2, arbitrary: plain('reopen') },
    { weight: 2, arbitrary: plain('crash') },
    { weight: 1, arbitrary: plain('backup') }
  )
}

/** One in four has vectors, which take longest. Small batches and queues meet more boundaries. */
export const life: fc.Arbitrary<Life> = fc
  .constantFrom(false, false, false, true)
  .chain((vectors) =>
    record({
      options: record({
        durability: fc.constantFrom('os', 'interval', 'fsync' as const),
        pipeline: record({
          batchEventsMax: fc.constantFrom(1, 7, 20_000),
          queueEventsMax: fc.constantFrom(100, 100_000)
        }),
        ...(vectors ? { vectors: fc.constant({ dimensions: DIMENSIONS }) } : {})
      }),
      steps: fc
        .tuple(
          // Mostly, there is something to meet from the start.
          fc.constantFrom<Step[]>([{ do: 'learn-all' }], [{ do: 'learn-all' }], []),
          fc.array(step(vectors), { minLength: 1, maxLength: 250, size: 'max' })
        )
        .map(([prelude, steps]) => [...prelude, ...steps])
    })
  )

/** Hubs on each side and of one pair, grown backwards, thinned, forgotten and grown again. */
export const hubLife: Life = {
  options: { durability: 'os', pipeline: { batchEventsMax: 7 } },
  steps: [
    ...(
      [
        ['a', 'out'],
        ['b', 'in'],
        ['c', 'parallel']
      ] as const
    ).flatMap(([key, side]): Step[] => [
      // What sorts before all there is must be found the second time.
      ...[300, 100, 100, 0].map((from): Step => {
        return { do: 'fan', hub: { key }, from, leaves: 100, side }
      }),
      { do: 'view' },
      { do: 'thin', hub: { key }, every: 3 },
      { do: 'caught-up' },
      { do: 'compare-views' }
    ]),
    { do: 'crash' },
    { do: 'thin', hub: { key: 'a' }, every: 1 },
    { do: 'fan', hub: { key: 'a' }, from: 0, leaves: 300, side: 'out' },
    { do: 'caught-up' },
    { do: 'view' },
    { do: 'commit', commands: [{ do: 'forget', id: { key: 'a' } }] },
    { do: 'commit', commands: [{ do: 'learn', id: { key: 'a' }, content: 'again' }] },
    { do: 'fan', hub: { key: 'a' }, from: 100, leaves: 100, side: 'out' },
    { do: 'compare-views' },
    { do: 'reopen' }
  ]
}

/** What was forgotten is erased in the background: none of it may show while writing goes on. */
export const sweepLife: Life = {
  options: { durability: 'os' },
  steps: [
    { do: 'learn-all' },
    { do: 'fan', hub: { key: 'a' }, from: 0, leaves: 20, side: 'out' },
    { do: 'fan', hub: { key: 'b' }, from: 0, leaves: 20, side: 'in' },
    { do: 'commit', commands: [{ do: 'associate', ...ends('a', 'b'), type: 'is' }] },
    { do: 'commit', commands: [{ do: 'forget', id: { key: 'a' } }] },
    { do: 'rush', commits: 300 },
    { do: 'view' },
    { do: 'commit', commands: [{ do: 'forget', id: { key: 'b' } }] },
    { do: 'rush', commits: 300 },
    { do: 'compare-views' }
  ]
}

function ends(source: string, target: string): { source: IdInput; target: IdInput } {
  return { source: { key: source }, target: { key: target } }
}
