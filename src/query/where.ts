import { StoreError, show } from '../errors.ts'
import { metadataReader } from '../projections/metadata-path.ts'
import type { Scalar } from '../types.ts'

/** What a condition can look at. `metadata` may be a getter that decodes: it is read last. */
export interface WhereSubject {
  type: string | undefined
  strength: number
  confidence: number
  createdAt: number
  updatedAt: number
  metadata: Record<string, unknown>
}

export type Predicate = (subject: WhereSubject) => boolean

const LEVELS_MAX = 32
const CONDITIONS_MAX = 1_000
const LIST_MAX = 10_000

/**
 * Compiles a `where` into a predicate, after checking all of it: the predicate never throws.
 *
 * | Form                        | Holds when                                                      |
 * | --------------------------- | --------------------------------------------------------------- |
 * | `{ a: 1, b: … }`            | each path of the object fulfils its condition; `{}` always does |
 * | `{ a: 1 }`                  | the same as `{ a: { eq: 1 } }` does                             |
 * | `{ a: { gt: 1, lt: 9 } }`   | every operator holds                                            |
 * | `eq`, `in`                  | the field is that scalar, of that type; `null`: a stored null   |
 * | `ne`, `nin`                 | `eq`, `in` do not: so for an absent field, array or object      |
 * | `gt`, `gte`, `lt`, `lte`    | both are numbers, or strings (compared by UTF-16 code units)    |
 * | `exists`                    | the field is there (a null is), or with `false` it is not       |
 * | `contains`                  | an array has that scalar as element, a string that substring    |
 * | `{ and: [] }`, `{ or: [] }` | always; never                                                   |
 *
 * Path `a.b` is the own field named `a.b` of the metadata, else field `b` of the object in field
 * `a`. Arrays are not walked, inherited fields never seen. A path with `@` in front names the
 * subject itself: `@type` takes strings, the other four numbers (times in milliseconds).
 *
 * `and` and `or` combine when they are the only key of their object and hold an array, `not` when
 * it is the only key and holds an object. Anything else under these names is a metadata field:
 * `{ and: { eq: 1 } }`, `{ not: 'x' }`, `{ not: { gt: 1 }, other: 2 }`. Where `not` could be
 * read both ways, as in `{ not: { gt: 1 } }`, it is refused, never guessed at.
 *
 * @param option Name of the option in errors.
 * @throws StoreError `QUERY_INVALID` for anything this table does not know, more than 32 levels
 *   of and, or, not, more than 1 000 conditions, or a list of more than 10 000 values.
 */
export function compileWhere(where: unknown, option = 'where'): Predicate {
  return compileNode(where, { option, level: 0, spent: { conditions: 0 } }).test
}

type Test = (value: unknown) => boolean

interface Part {
  readonly test: Predicate
  readonly readsMetadata: boolean
}

/** Where in the query the compiler stands, and what the whole query has used up of its limits. */
interface Place {
  readonly option: string
  readonly level: number
  readonly spent: { conditions: number }
}

interface Field {
  readonly read: (subject: WhereSubject) => unknown
  /** The only type its operands may have; `undefined` for metadata, which holds anything. */
  readonly type: 'string' | 'number' | undefined
}

const SUBJECT_FIELDS: ReadonlyMap<string, Field> = new Map<string, Field>([
  ['@type', { read: (subject) => subject.type, type: 'string' }],
  ['@strength', { read: (subject) => subject.strength, type: 'number' }],
  ['@confidence', { read: (subject) => subject.confidence, type: 'number' }],
  ['@createdAt', { read: (subject) => subject.createdAt, type: 'number' }],
  ['@updatedAt', { read: (subject) => subject.updatedAt, type: 'number' }]
])

const OPERATORS = 'eq, ne, in, nin, gt, gte, lt, lte, exists, contains'
const OPERATOR_NAMES: ReadonlySet<string> = new Set(OPERATORS.split(', '))

function compileNode(where: unknown, place: Place): Part {
  if (!isPlainObject(where)) throw invalid(place.option, where, 'an object of conditions')
  const entries = Object.entries(where)
  const [first] = entries
  // An object without conditions counts as one, so that the limit bounds the whole tree.
  if (first === undefined) spend(place)

  if (entries.length === 1 && first !== undefined) {
    const [name, value] = first
    if (name === 'and' && Array.isArray(value)) return all(compileList(value, deeper(place, name)))
    if (name === 'or' && Array.isArray(value)) return any(compileList(value, deeper(place, name)))
    if (name === 'not' && isPlainObject(value)) return compileNot(value, deeper(place, name))
  }
  return all(entries.map(([path, value]) => compilePath(path, value, at(place, `.${path}`))))
}

function compileList(list: readonly unknown[], place: Place): Part[] {
  if (list.length === 0) spend(place)
  const parts: Part[] = []
  // By index, because `map` would jump over the holes of a sparse array.
  for (let i = 0; i < list.length; i++) parts.push(compileNode(list[i], at(place, `[${i}]`)))
  return parts
}

function compileNot(value: Record<string, unknown>, place: Place): Part {
  const entries = Object.entries(value)
  if (
    entries.length > 0 &&
    entries.every(([name, one]) => OPERATOR_NAMES.has(name) && isScalar(one))
  ) {
    // Either operators on a field called `not`, or the negation of fields called like operators.
    const [name] = entries[0] ?? []
    throw invalid(place.option, value, `conditions; write a field named '${name}' as { eq: … }`)
  }
  const { test, readsMetadata } = compileNode(value, place)
  return { test: (subject) => !test(subject), readsMetadata }
}

function compilePath(path: string, condition: unknown, place: Place): Part {
  const field = path.startsWith('@') ? SUBJECT_FIELDS.get(path) : metadataField(path)
  if (field === undefined) {
    throw invalid(place.option, path, [...SUBJECT_FIELDS.keys()].join(', '))
  }
  const { read } = field
  const readsMetadata = field.type === undefined
  const tests = compileCondition(condition, field, place)
  const [only] = tests
  if (tests.length === 1 && only !== undefined) {
    return { test: (subject) => only(read(subject)), readsMetadata }
  }
  const test: Predicate = (subject) => {
    const value = read(subject)
    return tests.every((one) => one(value))
  }
  return { test, readsMetadata }
}

function compileCondition(condition: unknown, field: Field, place: Place): Test[] {
  if (!isPlainObject(condition)) {
    spend(place)
    if (isScalar(condition)) return [compileOperator('eq', condition, field, place.option)]
    throw invalid(place.option, condition, `${operandOf(field)} or an object of operators`)
  }
  const entries = Object.entries(condition)
  if (entries.length === 0) throw invalid(place.option, condition, `one or more of ${OPERATORS}`)
  return entries.map(([name, operand]) => {
    spend(place)
    return compileOperator(name, operand, field, `${place.option}.${name}`)
  })
}

function compileOperator(name: string, operand: unknown, field: Field, option: string): Test {
  switch (name) {
    case 'eq': {
      const wanted = scalar(operand, field, option)
      return (value) => value === wanted
    }
    case 'ne': {
      const unwanted = scalar(operand, field, option)
      return (value) => value !== unwanted
    }
    case 'in': {
      const wanted = scalars(operand, field, option)
      return (value) => wanted.has(value)
    }
    case 'nin': {
      const unwanted = scalars(operand, field, option)
      return (value) => !unwanted.has(value)
    }
    case 'gt':
      return ordered(operand, field, option, (value, bound) => value > bound)
    case 'gte':
      return ordered(operand, field, option, (value, bound) => value >= bound)
    case 'lt':
      return ordered(operand, field, option, (value, bound) => value < bound)
    case 'lte':
      return ordered(operand, field, option, (value, bound) => value <= bound)
    case 'exists': {
      if (typeof operand !== 'boolean') throw invalid(option, operand, 'true or false')
      return (value) => (value !== undefined) === operand
    }
    case 'contains':
      return containing(operand, field, option)
    default:
      throw invalid(option, name, `one of ${OPERATORS}`)
  }
}

function ordered(
  operand: unknown,
  field: Field,
  option: string,
  holds: (value: string | number, bound: string | number) => boolean
): Test {
  const bound = scalar(operand, field, option)
  if (typeof bound !== 'string' && typeof bound !== 'number') {
    throw invalid(option, operand, 'a string or a finite number')
  }
  const type = typeof bound
  // The comparison of types is the proof behind the cast.
  return (value) => typeof value === type && holds(value as string | number, bound)
}

function containing(operand: unknown, field: Field, option: string): Test {
  if (field.type === 'number') throw invalid(option, operand, 'absent: the field is a number')
  const wanted = scalar(operand, field, option)
  return (value) => {
    if (Array.isArray(value)) return value.includes(wanted)
    return typeof value === 'string' && typeof wanted === 'string' && value.includes(wanted)
  }
}

function scalar(operand: unknown, field: Field, option: string): Scalar {
  const fits = field.type === undefined || typeof operand === field.type
  if (isScalar(operand) && fits) return operand
  throw invalid(option, operand, operandOf(field))
}

function scalars(operand: unknown, field: Field, option: string): ReadonlySet<unknown> {
  if (!Array.isArray(operand)) throw invalid(option, operand, 'an array')
  if (operand.length > LIST_MAX) {
    throw invalid(option, operand.length, `a list of at most ${LIST_MAX} values`)
  }
  const values = new Set<unknown>()
  for (let i = 0; i < operand.length; i++) {
    values.add(scalar(operand[i], field, `${option}[${i}]`))
  }
  return values
}

function metadataField(path: string): Field {
  const read = metadataReader(path)
  return { read: (subject) => read(subject.metadata), type: undefined }
}

function all(parts: readonly Part[]): Part {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const tests = cheapFirst(parts)
  return {
    test: (subject) => tests.every((test) => test(subject)),
    readsMetadata: parts.some((part) => part.readsMetadata)
  }
}

function any(parts: readonly Part[]): Part {
  const tests = cheapFirst(parts)
  return {
    test: (subject) => tests.some((test) => test(subject)),
    readsMetadata: parts.some((part) => part.readsMetadata)
  }
}

/** Metadata costs a decode, so what can be answered without it is asked before. */
function cheapFirst(parts: readonly Part[]): Predicate[] {
  return parts
    .toSorted((a, b) => Number(a.readsMetadata) - Number(b.readsMetadata))
    .map((part) => part.test)
}

function at(place: Place, suffix: string): Place {
  return { ...place, option: place.option + suffix }
}

function deeper(place: Place, name: string): Place {
  const level = place.level + 1
  const option = `${place.option}.${name}`
  if (level > LEVELS_MAX) throw invalid(option, level, `at most ${LEVELS_MAX} levels deep`)
  return { ...place, option, level }
}

function spend(place: Place): void {
  place.spent.conditions++
  if (place.spent.conditions > CONDITIONS_MAX) {
    throw invalid(place.option, place.spent.conditions, `at most ${CONDITIONS_MAX} conditions`)
  }
}

function isScalar(value: unknown): value is Scalar {
  if (typeof value === 'number') return Number.isFinite(value)
  return value === null || typeof value === 'string' || typeof value === 'boolean'
}

/** Plain objects of any realm. A Date, a Map or a class instance would silently have no keys. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function operandOf(field: Field): string {
  if (field.type === 'number') return 'a finite number'
  if (field.type === 'string') return 'a string'
  return 'a string, a finite number, true, false or null'
}

function invalid(option: string, received: unknown, expected: string): StoreError<'QUERY_INVALID'> {
  const message = `Query option '${option}' must be ${expected}, received ${show(received)}`
  return new StoreError('QUERY_INVALID', message, { option, received, expected })
}
