/** Which indexes of metadata fields the tables have, and how far each is built: one row of `m`. */

import type { IndexType } from '../../options.ts'
import { pack, unpack } from '../../storage/codec.ts'

/** What is declared at open: the type of each field. */
export type Indexes = Readonly<Record<string, IndexType>>

export interface IndexState {
  readonly field: string
  readonly type: IndexType
  /**
   * Concepts below `next` are in it, and those from `until` on, which are newer than it is. What
   * lies between is still to be read. Where nothing does, the index is built.
   */
  next: number
  readonly until: number
  /** No longer declared: its rows are being removed, and nobody reads or follows it. */
  dropping: boolean
}

/** An index over concepts that were there before it. */
export function newIndex(field: string, type: IndexType, ordinals: number): IndexState {
  return { field, type, next: 1, until: ordinals + 1, dropping: false }
}

export function isBuilt({ next, until, dropping }: IndexState): boolean {
  return !dropping && next >= until
}

/** From 0 to 1. Ordinals are as good as concepts here: few of them are of forgotten ones. */
export function progressOf(state: IndexState): number {
  return isBuilt(state) ? 1 : (state.next - 1) / state.until
}

/** Whether a change of this concept belongs into the index now. */
export function covers(state: IndexState, ordinal: number): boolean {
  return !state.dropping && (ordinal < state.next || ordinal >= state.until)
}

/** What the tables themselves say was declared. */
export function declaredBy(states: readonly IndexState[]): Indexes {
  const living = states.filter(({ dropping }) => !dropping)
  return Object.fromEntries(living.map(({ field, type }) => [field, type]))
}

export function encodeIndexStates(states: readonly IndexState[]): Buffer {
  return pack(states.map((one) => [one.field, one.type, one.next, one.until, one.dropping]))
}

export function decodeIndexStates(payload: Buffer): IndexState[] {
  // Written by `encodeIndexStates` and covered by the row's checksum, so the shape is known.
  const rows = unpack(payload) as [string, IndexType, number, number, boolean][]
  return rows.map(([field, type, next, until, dropping]) => ({
    field,
    type,
    next,
    until,
    dropping
  }))
}
