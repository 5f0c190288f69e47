import type { CsvImportOptions } from '../types.ts'
import { checkNumber, InexactNumber, parseExactly } from './exact-json.ts'
import { RecordError } from './record.ts'

/** What the columns of a file hold, worked out once for all of its rows. */
export type ToRecord = (fields: readonly string[]) => Record<string, unknown>

type Fields = Record<string, unknown>
type Put = (record: Fields, text: string) => void
/** Where a column goes: a field, or behind an empty step a path of metadata. */
type Placed = readonly [place: readonly string[], put: Put]

/** A header from which no record can be made. Its message is the reason. */
export class HeaderError extends Error {
  override readonly name = 'HeaderError'
}

const FLAGS: Readonly<Record<string, boolean>> = { true: true, false: false, '1': true, '0': false }
/** As JSON has it, but forgiving about a leading `+` and zeros. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
const ENDS = ['source', 'sourceKey', 'target', 'targetKey']

/** What can stand behind the name of a metadata column: how its text is read. */
const KINDS: Readonly<Record<string, (text: string) => unknown>> = {
  string: (text) => text,
  number: toNumber,
  boolean: toFlag,
  json: toJson
}

/** May stand in front of data, because data of no bytes would be an empty field, which is none. */
const DATA_MARK = 'base64:'

const FIELDS: Readonly<Record<string, (text: string) => unknown>> = {
  kind: (text) => text,
  id: (text) => text,
  key: (text) => text,
  type: (text) => text,
  content: (text) => text,
  data: (text) => (text.startsWith(DATA_MARK) ? text.slice(DATA_MARK.length) : text),
  strength: toNumber,
  confidence: toNumber,
  embedding: toEmbedding,
  metadata: toMetadata,
  stub: toFlag,
  source: (text) => text,
  sourceKey: (text) => text,
  target: (text) => text,
  targetKey: (text) => text
}

/**
 * @throws HeaderError when the names contradict each other, or no record can be made of them.
 */
export function compileColumns(names: readonly string[], options: CsvImportOptions): ToRecord {
  const puts = putsOf(names, options)
  return (fields) => {
    const record: Fields = {}
    for (let i = 0; i < puts.length; i++) {
      const text = fields[i]
      if (text === undefined || text === '') continue
      try {
        puts[i]?.(record, text)
      } catch (cause) {
        if (!(cause instanceof Mismatch)) throw cause
        throw new RecordError(`column '${names[i]}': ${cause.message}`)
      }
    }
    record['kind'] ??= ENDS.some((end) => end in record) ? 'association' : 'concept'
    return record
  }
}

/** A row as `map` gets it. */
export function compileRow(names: readonly string[]): ToRecord {
  checkNames(names)
  return (fields) => {
    const row: Fields = {}
    for (let i = 0; i < names.length; i++) row[names[i] ?? ''] = fields[i]
    return row
  }
}

function putsOf(names: readonly string[], options: CsvImportOptions): (Put | undefined)[] {
  checkNames(names)
  const { columns = {}, other = 'metadata' } = options
  for (const name of Object.keys(columns)) {
    if (!names.includes(name)) throw new HeaderError(`option 'columns' names '${name}', no column`)
  }
  const taken = new Set<string>()
  const puts = names.map((name) => {
    const target = Object.hasOwn(columns, name) ? columns[name] : name
    if (target === null || target === undefined) return undefined
    const placed = putOf(target) ?? otherPut(name, target, Object.hasOwn(columns, name), other)
    if (placed !== undefined) claim(placed[0], taken, name)
    return placed?.[1]
  })
  const has = (field: string): boolean => taken.has(field)
  const isConcept = has('content') || has('stub')
  const isAssociation =
    (has('source') || has('sourceKey')) && (has('target') || has('targetKey')) && has('type')
  if (!isConcept && !isAssociation) {
    throw new HeaderError(
      `of its columns (${shown(names)}) none is 'content', and there are no ` +
        "'sourceKey', 'targetKey' and 'type' either"
    )
  }
  return puts
}

function checkNames(names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) throw new HeaderError(`two columns are named '${name}'`)
    // Assigning to it would change the object's class.
    if (name === '__proto__') throw new HeaderError("a column is named '__proto__'")
    seen.add(name)
  }
}

/** Where a column of this name goes, and how; `undefined` if the name means nothing. */
function putOf(target: string): Placed | undefined {
  const read = Object.hasOwn(FIELDS, target) ? FIELDS[target] : undefined
  if (target === 'metadata') {
    // Columns of single fields lie over it, whichever comes first.
    return [[target], (record, text) => mergeUnder(metadataOf(record), toMetadata(text))]
  }
  if (read !== undefined) {
    return [
      [target],
      (record, text) => {
        record[target] = read(text)
      }
    ]
  }
  if (!target.startsWith('metadata.')) return undefined
  const [, path = '', kind = 'string'] =
    /^metadata\.(.*?)(?::(string|number|boolean|json))?$/s.exec(target) as RegExpExecArray
  const steps = path.split('.')
  if (steps.some((step) => step === '' || step === '__proto__')) {
    throw new HeaderError(`'${target}' is no path of metadata`)
  }
  const parse = KINDS[kind] ?? toJson
  return [['', ...steps], (record, text) => putAt(metadataOf(record), steps, parse(text))]
}

function otherPut(
  name: string,
  target: string,
  isMapped: boolean,
  other: NonNullable<CsvImportOptions['other']>
): Placed | undefined {
  if (isMapped) throw new HeaderError(`option 'columns' maps '${name}' to '${target}', no field`)
  if (other === 'ignore' || name === '') return undefined
  if (other === 'refuse') throw new HeaderError(`column '${name}' is no field`)
  // The name is taken as it is: a dot in it makes no path.
  return [['', name], (record, text) => putAt(metadataOf(record), [name], text)]
}

/** Two columns must not go to one place, nor one into the other. */
function claim(place: readonly string[], taken: Set<string>, name: string): void {
  const path = place.join(STEP)
  const within = place.map((_, i) => place.slice(0, i + 1).join(STEP))
  const holds = [...taken].some((one) => one.startsWith(`${path}${STEP}`))
  if (holds || within.some((one) => taken.has(one))) {
    throw new HeaderError(`column '${name}' and another one name the same field`)
  }
  taken.add(path)
}

/** Parts the steps of a path; a name of metadata may hold any other character. */
const STEP = '\0'

function metadataOf(record: Fields): Fields {
  const found = record['metadata']
  // Nothing but objects is ever put there.
  if (found !== undefined) return found as Fields
  const made: Fields = {}
  record['metadata'] = made
  return made
}

function putAt(metadata: Fields, steps: readonly string[], value: unknown): void {
  let at = metadata
  for (const step of steps.slice(0, -1)) {
    const next = Object.hasOwn(at, step) ? at[step] : undefined
    if (isObject(next)) {
      at = next
    } else {
      const made: Fields = {}
      at[step] = made
      at = made
    }
  }
  at[steps.at(-1) ?? ''] = value
}

/** Adds what is not there yet, at any depth. */
function mergeUnder(over: Fields, under: Fields): void {
  for (const [name, value] of Object.entries(under)) {
    const found = Object.hasOwn(over, name) ? over[name] : undefined
    if (found === undefined) defineAs(over, name, value)
    else if (isObject(found) && isObject(value)) mergeUnder(found, value)
  }
}

/** JSON may hold a member named `__proto__`; the commit is to see it, and to refuse it. */
function defineAs(object: Fields, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true
  })
}

/** A field's text that is not what its column asks for. */
class Mismatch extends Error {}

function toNumber(text: string): number {
  const trimmed = text.trim()
  const number = toComponent(trimmed)
  try {
    checkNumber(trimmed)
  } catch (error) {
    throw new Mismatch(error instanceof Error ? error.message : String(error))
  }
  return number
}

/** Of an embedding, which is kept as floats in any case. */
function toComponent(text: string): number {
  if (NUMBER.test(text)) return Number(text)
  throw new Mismatch(`'${cut(text)}' is not a number`)
}

function toFlag(text: string): boolean {
  const flag = FLAGS[text.trim().toLowerCase()]
  if (flag !== undefined) return flag
  throw new Mismatch(`'${cut(text)}' is neither true nor false`)
}

function toJson(text: string, parse: (text: string) => unknown = parseExactly): unknown {
  try {
    return parse(text)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Mismatch(error instanceof InexactNumber ? reason : `not valid JSON: ${reason}`)
  }
}

function toMetadata(text: string): Fields {
  const value = toJson(text)
  if (isObject(value)) return value
  throw new Mismatch('metadata must be a JSON object')
}

/** `null`: it shall have none, although the store embeds what it learns. */
function toEmbedding(text: string): number[] | null {
  const trimmed = text.trim()
  if (trimmed === 'null') return null
  if (!trimmed.startsWith('[')) return trimmed.split(/[\s;]+/).map(toComponent)
  const value = toJson(trimmed, JSON.parse)
  // The numbers themselves are checked by the commit, which copies them anyway.
  if (Array.isArray(value)) return value
  throw new Mismatch('an embedding must be numbers')
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function cut(text: string): string {
  return text.slice(0, 40)
}

function shown(names: readonly string[]): string {
  const list = names.slice(0, 10).map((name) => `'${cut(name)}'`)
  return names.length > list.length ? `${list.join(', ')} …` : list.join(', ')
}
