/** A way to meet one error code, as data: what the code is, what is done, what the error tells. */
import type { Command, Store, StoreErrorCode, StoreOptions } from 'sutra-storage'

export interface ErrorCase {
  code: StoreErrorCode
  /** What is wrong, to be read behind the code. */
  when: string
  /** What `details` holds, as for `toMatchObject`. */
  details: object
  outcome?: 'none' | 'unknown'
}

/** A call on the sample that is refused and changes nothing. */
export interface RefusedCall extends ErrorCase {
  act: (store: Store) => unknown
  options?: StoreOptions
}

/** A directory that does not open as it is asked to. */
export interface RefusedOpening extends ErrorCase {
  /** Changes the closed sample, and says how it is opened. */
  arrange: (directory: string) => Promise<StoreOptions>
}

/** A whole story of its own, which asserts by itself. */
export interface Story extends ErrorCase {
  tell: (expected: ErrorCase) => Promise<void>
}

/** A command of a JavaScript program, which no compiler has seen. */
export function raw(command: object): RefusedCall['act'] {
  return async (store) => store.commit([command as Command])
}

/** Learns a concept with some field that is wrong. */
export function learn(fields: object): RefusedCall['act'] {
  return raw({ do: 'learn', id: { key: 'new' }, content: 'New', ...fields })
}
