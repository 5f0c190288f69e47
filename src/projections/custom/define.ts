import { StoreError, show } from '../../errors.ts'
import type {
  EventType,
  ProjectionDefinition,
  ProjectionQueries,
  RowKey,
  RowReader,
  Rows,
  StoredEvent
} from '../../types.ts'

/** A definition whose shape was checked. Its types are what its author said of events and rows. */
export interface Definition {
  readonly name: string
  readonly version: number
  /** `undefined`: all. */
  readonly types: ReadonlySet<string> | undefined
  readonly init: ((rows: Rows) => void | Promise<void>) | undefined
  readonly apply: (event: StoredEvent, rows: Rows) => void | Promise<void>
  readonly queries: Readonly<Record<string, Query>>
  readonly previous: Definition | undefined
  readonly promote: 'auto' | 'manual'
}

type Query = (rows: RowReader, ...args: readonly unknown[]) => unknown

const MEMBERS = ['name', 'version', 'types', 'init', 'apply', 'queries', 'previous', 'promote']
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/
/** Parts of the store, and names that Windows keeps for devices. */
const TAKEN = /^(?:tables|vectors|con|prn|aux|nul|(?:com|lpt)[0-9])$/

/**
 * Defines rows that follow from the events of the log. To be given to `open`.
 *
 * @throws StoreError `OPTION_INVALID`
 */
export function defineProjection<
  T extends EventType = EventType,
  K extends RowKey = RowKey,
  V = unknown,
  Q extends ProjectionQueries<K, V> = ProjectionQueries<K, V>
>(definition: ProjectionDefinition<T, K, V, Q>): ProjectionDefinition<T, K, V, Q> {
  checkDefinition(definition, 'definition')
  return Object.freeze({ ...definition })
}

/**
 * Any object of that shape will do: two copies of this package may share one process.
 *
 * @param option What the definition was given as.
 * @throws StoreError `OPTION_INVALID`
 */
export function checkDefinition(value: unknown, option: string): Definition {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(option, value, 'what defineProjection gives')
  }
  const unknown = Object.keys(value).find((name) => !MEMBERS.includes(name))
  if (unknown !== undefined) throw invalid(`${option}.${unknown}`, 'present', 'absent')
  const { name, version, types, init, apply, queries, previous, promote } = value as Members
  if (!isProjectionName(name)) {
    const expected = "up to 64 lower-case letters, digits and '-', and no part of the store"
    throw invalid(`${option}.name`, name, expected)
  }
  if (!Number.isSafeInteger(version) || Number(version) < 1) {
    throw invalid(`${option}.version`, version, 'a whole number from 1')
  }
  if (typeof apply !== 'function') throw invalid(`${option}.apply`, apply, 'a function')
  if (init !== undefined && typeof init !== 'function') {
    throw invalid(`${option}.init`, init, 'a function')
  }
  if (promote !== undefined && promote !== 'auto' && promote !== 'manual') {
    throw invalid(`${option}.promote`, promote, "'auto' or 'manual'")
  }
  checkTypes(types, `${option}.types`)
  checkQueries(queries, `${option}.queries`)
  // Checked above, as far as anything can be known of functions. Their `this` is the definition,
  // as their author wrote them.
  const checked = value as ProjectionDefinition
  return {
    name,
    version: checked.version,
    types: checked.types === undefined ? undefined : new Set(checked.types),
    init: checked.init?.bind(checked),
    apply: checked.apply.bind(checked) as Definition['apply'],
    queries: (checked.queries ?? {}) as Definition['queries'],
    previous: checkPrevious(previous, name, checked.version, `${option}.previous`),
    promote: checked.promote ?? 'auto'
  }
}

/** Whether it may be the name of a projection, and so of a directory. */
export function isProjectionName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name) && !TAKEN.test(name)
}

type Members = { [name in keyof ProjectionDefinition]?: unknown }

function checkTypes(types: unknown, option: string): void {
  if (types === undefined) return
  if (!Array.isArray(types) || types.length === 0) {
    throw invalid(option, types, 'an array of event types that is not empty')
  }
  const other = types.find((type) => typeof type !== 'string' || type === '')
  if (other !== undefined) throw invalid(option, other, 'names of event types')
}

function checkQueries(queries: unknown, option: string): void {
  if (queries === undefined) return
  if (typeof queries !== 'object' || queries === null) {
    throw invalid(option, queries, 'an object of functions')
  }
  for (const [name, query] of Object.entries(queries)) {
    // An object with a `then` is taken for a promise wherever it is awaited.
    if (name === 'then') throw invalid(`${option}.${name}`, 'present', 'absent: no such name')
    if (typeof query !== 'function') throw invalid(`${option}.${name}`, query, 'a function')
  }
}

function checkPrevious(
  previous: unknown,
  name: string,
  version: number,
  option: string
): Definition | undefined {
  if (previous === undefined) return undefined
  const checked = checkDefinition(previous, option)
  if (checked.name !== name) throw invalid(`${option}.name`, checked.name, `'${name}'`)
  if (checked.version >= version) {
    throw invalid(`${option}.version`, checked.version, `below ${version}`)
  }
  return checked
}

function invalid(
  option: string,
  received: unknown,
  expected: string
): StoreError<'OPTION_INVALID'> {
  const message = `Option '${option}' must be ${expected}, received ${show(received)}`
  return new StoreError('OPTION_INVALID', message, { option, received, expected })
}
