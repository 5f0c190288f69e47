import type { Operation } from './types.ts'

/** What is timed. Work on many things at once, or of the program's own model, may take longer. */
const OPERATIONS: Readonly<Record<Operation, 'single' | 'bulk'>> = {
  commit: 'single',
  get: 'single',
  getMany: 'bulk',
  neighbors: 'single',
  path: 'single',
  search: 'single',
  projection: 'bulk',
  concepts: 'bulk',
  view: 'single',
  fsync: 'single',
  lag: 'bulk',
  import: 'bulk',
  embed: 'bulk'
}

export const OPERATION_NAMES: readonly Operation[] = Object.keys(OPERATIONS) as Operation[]

export function eachOperation<T>(value: (operation: Operation) => T): Record<Operation, T> {
  const entries = OPERATION_NAMES.map((operation) => [operation, value(operation)])
  // Every operation is among the names, each once.
  return Object.fromEntries(entries) as Record<Operation, T>
}

/** Microseconds beyond which an operation counts as slow. `Infinity`: never. */
export type SlowLimits = Readonly<Record<Operation, number>>

const BULK_FACTOR = 10

/** @param slowMs 0: nothing is slow. */
export function slowLimits(slowMs: number): SlowLimits {
  const singleUs = slowMs === 0 ? Number.POSITIVE_INFINITY : slowMs * 1000
  return eachOperation((name) => (OPERATIONS[name] === 'bulk' ? BULK_FACTOR : 1) * singleUs)
}
