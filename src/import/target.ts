import type { ConceptId } from '../ids.ts'
import type { Limits } from '../options.ts'
import type { Command, Durability } from '../types.ts'

/** Which association a command is about, as a store has checked it. */
export interface CheckedName {
  readonly source: { readonly id: ConceptId }
  readonly target: { readonly id: ConceptId }
  readonly name: string
  readonly key: string | undefined
}

/** Told of each command that associates while it is staged, by its index, in order. */
export interface LineOrder {
  /** Before it is tried: gives the reason if it must be left out, whether it is good or not. */
  hold(command: number, name: CheckedName): Error | undefined
  /** Once it was tried, and left out. */
  leftOut(command: number, name: CheckedName, error: Error): void
}

export interface LenientOptions {
  durability?: Durability
  signal?: AbortSignal
  /** Makes a stub for each end of an association that does not exist. */
  createMissing?: boolean
  /** Checks the commands, but appends nothing. */
  dryRun?: boolean
  /** Remembers the commit under this key, also when nothing of it is accepted. */
  idempotencyKey?: string
  order?: LineOrder
  /** Told what is left out once the commands are staged; gives the headers of the commit. */
  headersOf?: (rejected: LenientResult['rejected']) => Record<string, string>
}

export interface LenientResult {
  /** Commands left out, by their index, in ascending order. */
  rejected: { command: number; error: Error }[]
}

/** All that an import needs of a store. */
export interface ImportTarget {
  readonly limits: Readonly<Limits>
  readonly position: number
  /** Fires when the store begins to close: nobody waits for a source any more. */
  readonly closing: AbortSignal
  /**
   * Like `commit`, but a bad command is left out and reported instead of failing all of them.
   * The rest is atomic. Calls made one after another take effect in that order, later ones see
   * the staged commands of earlier ones, and behind one that failed none takes effect any more.
   * Also resolves when every command was rejected, or none given.
   */
  commitLenient(commands: readonly Command[], options: LenientOptions): Promise<LenientResult>
  /** Position of the acknowledged commit with this idempotency key. */
  commitOf(idempotencyKey: string): number | undefined
  /** Headers of the commit whose first event has this position. */
  headersAt(position: number): Promise<Readonly<Record<string, string>>>
  /** Keys of the imports under way that can be resumed: one at a time each. */
  readonly resumable: Set<string>
}
