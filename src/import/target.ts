import type { Limits } from '../options.ts'
import type { Command, Durability } from '../types.ts'

export interface LenientOptions {
  durability?: Durability
  signal?: AbortSignal
  /** Makes a stub for each end of an association that does not exist. */
  createMissing?: boolean
  /** Checks the commands, but appends nothing. */
  dryRun?: boolean
}

export interface LenientResult {
  /** Commands left out, by their index, in ascending order. */
  rejected: { command: number; error: Error }[]
}

/** All that an import needs of a store. */
export interface ImportTarget {
  readonly limits: Readonly<Limits>
  readonly position: number
  /**
   * Like `commit`, but a bad command is left out and reported instead of failing all of them.
   * The rest is atomic. Calls made one after another take effect in that order, and later ones see
   * the staged commands of earlier ones. Also resolves when every command was rejected.
   */
  commitLenient(commands: readonly Command[], options: LenientOptions): Promise<LenientResult>
}
