/**
 * What indexes can say about a `where`: which rows of them hold every concept that may pass.
 *
 * A condition that no index answers is left out of a conjunction, which makes it inexact: what is
 * found is a superset. In a disjunction there is no leaving out.
 */
import type { IndexType } from '../options.ts'
import {
  behind,
  countPrefix,
  encodeValue,
  fieldPrefix,
  type IndexedValue,
  isCut,
  type PostingKind
} from '../projections/tables/index-keys.ts'
import { type IndexState, isBuilt } from '../projections/tables/index-states.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import { countBetween } from '../projections/tables/value-counts.ts'
import { isPlainObject } from './where.ts'

/** Concepts with values of one field: those of a list, or all between two. */
export interface ValuesPlan {
  readonly is: 'values'
  readonly exact: boolean
  /** In front of a value, in keys of postings and in keys of counts. */
  readonly prefix: Buffer
  readonly countPrefix: Buffer
  readonly points: readonly Buffer[] | undefined
  readonly range: ValueRange
}

interface ValueRange {
  /** Encoded values, for counting; absent: no bound. */
  readonly low?: Buffer
  readonly high?: Buffer
  /** Keys of postings, for reading. */
  readonly gte?: Buffer
  readonly lt?: Buffer
}

export type Plan =
  | ValuesPlan
  | { readonly is: 'type'; readonly exact: boolean; readonly types: readonly string[] }
  | { readonly is: 'and' | 'or'; readonly exact: boolean; readonly parts: readonly Plan[] }

/** @returns `undefined`: no index helps. */
export function planWhere(snapshot: TablesSnapshot, where: unknown): Plan | undefined {
  return planNode(new Planner(snapshot), where)
}

function planNode(planner: Planner, where: unknown): Plan | undefined {
  if (!isPlainObject(where)) return undefined
  const entries = Object.entries(where)
  const [first] = entries
  if (entries.length === 1 && first !== undefined) {
    const [name, value] = first
    if (name === 'and' && Array.isArray(value)) {
      return allOf(value.map((one) => planNode(planner, one)))
    }
    if (name === 'or' && Array.isArray(value)) {
      return anyOf(value.map((one) => planNode(planner, one)))
    }
    if (name === 'not' && isPlainObject(value)) return undefined
  }
  return allOf(entries.map(([path, condition]) => planner.path(path, condition)))
}

/** Where none of them has a plan, there is none. */
function allOf(parts: readonly (Plan | undefined)[]): Plan | undefined {
  const known = parts.filter((part) => part !== undefined)
  const exact = known.length === parts.length && known.every((part) => part.exact)
  const [only] = known
  if (only === undefined) return undefined
  return known.length === 1 ? { ...only, exact } : { is: 'and', exact, parts: known }
}

function anyOf(parts: readonly (Plan | undefined)[]): Plan | undefined {
  const known = parts.filter((part) => part !== undefined)
  if (known.length < parts.length) return undefined
  return { is: 'or', exact: known.every((part) => part.exact), parts: known }
}

class Planner {
  readonly #snapshot: TablesSnapshot
  readonly #built: ReadonlyMap<string, IndexState>

  constructor(snapshot: TablesSnapshot) {
    this.#snapshot = snapshot
    const built = snapshot.indexes().filter(isBuilt)
    this.#built = new Map(built.map((state) => [state.field, state]))
  }

  path(path: string, condition: unknown): Plan | undefined {
    const operators = isPlainObject(condition) ? condition : { eq: condition }
    if (path === '@type') return allOf(Object.entries(operators).map(typePlan))
    const state = this.#built.get(path)
    if (state === undefined) return undefined
    const { gt, gte, lt, lte, ...others } = operators
    const bounds = Object.entries({ gt, gte, lt, lte }).filter(([, value]) => value !== undefined)
    const parts = Object.entries(others).map(([name, value]) => this.#operator(state, name, value))
    if (bounds.length > 0) parts.push(rangePlan(state, bounds))
    return allOf(parts)
  }

  #operator(state: IndexState, name: string, operand: unknown): Plan | undefined {
    const { field, type } = state
    if (name === 'eq') return pointsPlan(state, 'scalar', [operand])
    if (name === 'in' && Array.isArray(operand)) return pointsPlan(state, 'scalar', operand)
    if (name !== 'contains') return undefined
    // A text that has the operand as a part stands under any value: then all would have to be read.
    const prefix = countPrefix(field, type, 'scalar')
    const read = (key: Buffer): Buffer | undefined => this.#snapshot.valueCount(key)
    if (type === 'string' && countBetween(read, prefix, undefined, undefined) > 0) return undefined
    return pointsPlan(state, 'element', [operand])
  }
}

function typePlan([name, operand]: [string, unknown]): Plan | undefined {
  const types = name === 'eq' ? [operand] : name === 'in' && Array.isArray(operand) ? operand : []
  const names = types.filter((one) => typeof one === 'string')
  if ((name !== 'eq' && name !== 'in') || names.length < types.length) return undefined
  return { is: 'type', exact: true, types: [...new Set(names)] }
}

function pointsPlan(
  { field, type }: IndexState,
  kind: PostingKind,
  values: readonly unknown[]
): Plan | undefined {
  if (!values.every((value) => isOf(value, type))) return undefined
  const encoded = values.map((value) => ({ value, bytes: encodeValue(value) }))
  const points = new Map(encoded.map(({ bytes }) => [bytes.toString('latin1'), bytes]))
  return {
    is: 'values',
    exact: !encoded.some(({ value, bytes }) => isCut(value, bytes)),
    prefix: fieldPrefix(field, type, kind),
    countPrefix: countPrefix(field, type, kind),
    points: [...points.values()],
    range: {}
  }
}

function rangePlan({ field, type }: IndexState, bounds: [string, unknown][]): Plan | undefined {
  const prefix = fieldPrefix(field, type, 'scalar')
  let exact = true
  let low: Buffer | undefined
  let high: Buffer | undefined
  let gte: Buffer = prefix
  let lt: Buffer = behind(prefix)
  for (const [name, value] of bounds) {
    if (type === 'boolean' || !isOf(value, type)) return undefined
    const bytes = encodeValue(value)
    const key = Buffer.concat([prefix, bytes])
    // What begins like a bound that was cut may lie on either side of it.
    const cut = isCut(value, bytes)
    if (cut) exact = false
    if (name === 'gt' || name === 'gte') {
      const from = name === 'gt' && !cut ? behind(key) : key
      if (from.compare(gte) > 0) [gte, low] = [from, bytes]
    } else {
      const end = name === 'lt' && !cut ? key : behind(key)
      if (end.compare(lt) < 0) [lt, high] = [end, bytes]
    }
  }
  return {
    is: 'values',
    exact,
    prefix,
    countPrefix: countPrefix(field, type, 'scalar'),
    points: undefined,
    range: { gte, lt, ...(low && { low }), ...(high && { high }) }
  }
}

function isOf(value: unknown, type: IndexType): value is IndexedValue {
  return typeof value === type
}
