/** Checks of what readers are asked. Everything behind takes checked options. */
import { idOfKey } from '../checks/values.ts'
import { StoreError, show } from '../errors.ts'
import { type ConceptId, type IdInput, idInvalid, isConceptId } from '../ids.ts'
import type { Include } from '../types.ts'

const INCLUDES: readonly unknown[] = ['concept', 'vector']
const DIRECTIONS: readonly unknown[] = ['out', 'in', 'both']
const ORDERS: readonly unknown[] = ['hops', 'confidence']

export function queryInvalid(
  option: string,
  received: unknown,
  expected: string
): StoreError<'QUERY_INVALID'> {
  const message = `'${option}' must be ${expected}, received ${show(received)}`
  return new StoreError('QUERY_INVALID', message, { option, received, expected })
}

/** @throws StoreError `QUERY_INVALID` for a name that the query does not have. */
export function checkOptions(options: unknown, allowed: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`'options' must be an object, received ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (name !== 'signal' && !allowed.includes(name)) {
      throw queryInvalid(name, 'present', 'absent: no such option')
    }
  }
  const { signal, onProgress } = options as { signal?: unknown; onProgress?: unknown }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw queryInvalid('onProgress', onProgress, 'a function')
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`'signal' must be an AbortSignal, received ${show(signal)}`)
  }
}

/** The same for an object within the options. */
export function checkNames(option: string, value: object, allowed: readonly string[]): void {
  for (const name of Object.keys(value)) {
    if (!allowed.includes(name)) {
      throw queryInvalid(`${option}.${name}`, 'present', 'absent: no such option')
    }
  }
}

/** @throws StoreError `ID_INVALID` */
export function toId(value: IdInput): ConceptId {
  if (isConceptId(value)) return value
  const isKeyed = typeof value === 'object' && value !== null
  if (!isKeyed || typeof value.key !== 'string' || value.key === '') throw idInvalid(value)
  return idOfKey(value.key)
}

/** The caller's own key of what was asked for, for the details of an error. */
export function keyOf(value: IdInput): { key?: string } {
  return typeof value === 'string' ? {} : { key: value.key }
}

export function checkWhole(
  option: string,
  value: unknown,
  min: number,
  max: number
): number | undefined {
  if (value === undefined) return undefined
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw queryInvalid(option, value, `a whole number from ${min} to ${max}`)
}

export function checkFraction(option: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && value >= 0 && value <= 1) return value
  throw queryInvalid(option, value, 'a number from 0 to 1')
}

export function checkFlag(option: string, value: unknown): boolean {
  if (value === undefined) return false
  if (typeof value === 'boolean') return value
  throw queryInvalid(option, value, 'true or false')
}

export function checkInclude(value: unknown): { concept: boolean; vector: boolean } {
  if (value === undefined) return { concept: false, vector: false }
  if (!Array.isArray(value) || !Array.from(value).every((one) => INCLUDES.includes(one))) {
    throw queryInvalid('include', value, `an array of ${INCLUDES.join(', ')}`)
  }
  const include = value as Include
  return { concept: include.includes('concept'), vector: include.includes('vector') }
}

export function checkDirection(value: unknown, option = 'direction'): 'out' | 'in' | 'both' {
  if (value === undefined) return 'out'
  // The list is the proof of the narrower type, here and in `checkOrder`.
  if (DIRECTIONS.includes(value)) return value as 'out' | 'in' | 'both'
  throw queryInvalid(option, value, DIRECTIONS.join(', '))
}

export function checkOrder(value: unknown): 'hops' | 'confidence' {
  if (value === undefined) return 'hops'
  if (ORDERS.includes(value)) return value as 'hops' | 'confidence'
  throw queryInvalid('order', value, ORDERS.join(', '))
}

export function checkTypes(value: unknown, option = 'types'): readonly string[] | undefined {
  if (value === undefined) return undefined
  // Copied, because `every` would jump over the holes of a sparse array.
  const isList = Array.isArray(value) && Array.from(value).every((one) => typeof one === 'string')
  if (!isList) throw queryInvalid(option, value, 'an array of strings')
  return [...new Set(value as string[])]
}
