/** A projection that notices an event that is left out, applied twice or applied out of order. */
import {
  type BoundQueries,
  defineProjection,
  type EventType,
  type ProjectionDefinition,
  type RowKey,
  type RowReader,
  type Rows,
  type Store,
  type StoredEvent
} from 'sutra-storage'

export interface Tally {
  count: number
  /** Depends on every event so far, and on their order. */
  chain: number
  last: number
}

export interface TallyOptions {
  name?: string
  previous?: TallyDefinition
  promote?: 'auto' | 'manual'
  /** Fails at this position. */
  failAt?: number
  /** Rows are read as a range for each event, and so asynchronously. */
  ranged?: boolean
}

type TallyRow = [key: RowKey, value: Tally]

// A type, not an interface: queries are a record of functions.
type TallyQueries = {
  all(rows: RowReader<RowKey, Tally>): Promise<TallyRow[]>
  total(rows: RowReader<RowKey, Tally>): Tally | undefined
  version(): number
}

export type TallyDefinition = ProjectionDefinition<EventType, RowKey, Tally, TallyQueries>

export function tally(version: number, options: TallyOptions = {}): TallyDefinition {
  const { name = 'tally', previous, promote, failAt, ranged } = options
  return defineProjection({
    name,
    version,
    ...(previous === undefined ? {} : { previous }),
    ...(promote === undefined ? {} : { promote }),
    init(rows: Rows<RowKey, Tally>) {
      rows.put('total', { count: 0, chain: version, last: 0 })
    },
    apply(event, rows: Rows<RowKey, Tally>) {
      if (event.position === failAt) throw new Error('This one cannot be applied')
      return ranged === true ? applyRanged(event, rows, version) : applyTo(event, rows, version)
    },
    queries: {
      async all(rows) {
        const found: TallyRow[] = []
        for await (const row of rows.range()) found.push(row)
        return found
      },
      total: (rows) => rows.get('total'),
      version: () => version
    }
  })
}

type SomeEvent = Pick<StoredEvent, 'position' | 'type'> & { data: object }

interface SomeRows {
  get(key: RowKey): Tally | undefined
  put(key: RowKey, value: Tally): void
  del(key: RowKey): void
}

function applyTo(event: SomeEvent, rows: SomeRows, version: number): void {
  const { id, source } = event.data as { id?: string; source?: string }
  const about = ['about', id ?? source ?? '']
  for (const key of ['total', ['type', event.type], about]) {
    const { count, chain } = rows.get(key) ?? { count: 0, chain: version }
    const next = (chain * 31 + event.position * version) % 1_000_003
    rows.put(key, { count: count + 1, chain: next, last: event.position })
  }
  if (event.type === 'concept-forgotten') rows.del(about)
}

/** As above, and keeps in a row how many there are about concepts. */
async function applyRanged(
  event: SomeEvent,
  rows: Rows<RowKey, Tally>,
  version: number
): Promise<void> {
  applyTo(event, rows, version)
  let count = 0
  for await (const [key] of rows.range({ prefix: ['about'] })) count += key.toString().length
  rows.put(['ranged'], { count, chain: 0, last: event.position })
}

/** What the rows must be, from a plain fold of the log in memory. */
export async function modelOf(
  events: AsyncIterable<StoredEvent>,
  version: number
): Promise<Record<string, Tally>> {
  const rows = new Map<string, Tally>([['"total"', { count: 0, chain: version, last: 0 }]])
  const plain: SomeRows = {
    get: (key) => rows.get(JSON.stringify(key)),
    put: (key, value) => rows.set(JSON.stringify(key), value),
    del: (key) => rows.delete(JSON.stringify(key))
  }
  for await (const event of events) applyTo(event, plain, version)
  return Object.fromEntries(rows)
}

export function asRecord(rows: readonly TallyRow[]): Record<string, Tally> {
  return Object.fromEntries(rows.map(([key, value]) => [JSON.stringify(key), value]))
}

/** The rows as a reader of the head sees them, and what they must be. */
export async function compareWithModel(
  store: Store,
  definition: TallyDefinition
): Promise<{ actual: Record<string, Tally>; expected: Record<string, Tally> }> {
  await using view = await store.view()
  // Of the view: at the head, another version may take over in between.
  const queries: BoundQueries<TallyQueries> = view.projection(definition)
  const version = await queries.version()
  const actual = asRecord(await queries.all())
  const to = view.position
  return { actual, expected: await modelOf(store.events({ to }), version) }
}
