import { StoreError, show } from '../errors.ts'
import { type ConceptId, isConceptId } from '../ids.ts'
import type { SortKey } from '../projections/order.ts'
import { stateSortKey } from '../projections/pinned.ts'
import type { AssociationState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'
import { unpack } from '../storage/codec.ts'
import { MessageWriter } from '../storage/message-writer.ts'

/** A place behind one association of a list, in the order type, other end's id, key, side. */
export interface CursorPlace extends SortKey {
  side: Side
}

/** Of the id of the concept whose list it is, enough to tell it from another: every association has a cursor. */
const NEAR_FROM = 24

/** Few of them are used. */
const writer = new MessageWriter()

/** Opaque text that stays valid after reopening: it names an association, not a row. */
export function encodeCursor(state: AssociationState, side: Side): string {
  const { name, otherId, key } = stateSortKey(state, side)
  writer.begin()
  const near = side === 'out' ? state.source.id : state.target.id
  writer.array(5)
  for (const part of [name, otherId, key, side, near.slice(NEAR_FROM)]) writer.text(part)
  return writer.finishAsText()
}

/**
 * @param id The concept whose list is asked for.
 * @throws StoreError `CURSOR_INVALID`
 */
export function decodeCursor(cursor: string, id: ConceptId): CursorPlace {
  let parts: unknown
  try {
    parts = unpack(Buffer.from(cursor, 'base64url'))
  } catch (cause) {
    throw cursorInvalid(cursor, cause)
  }
  if (!Array.isArray(parts)) throw cursorInvalid(cursor)
  const [name, otherId, key, side, near] = parts as unknown[]
  const isSide = side === 'out' || side === 'in'
  if (typeof name !== 'string' || typeof key !== 'string' || !isConceptId(otherId) || !isSide) {
    throw cursorInvalid(cursor)
  }
  if (near !== id.slice(NEAR_FROM)) throw cursorInvalid(cursor)
  return { name, otherId, key, side }
}

export function cursorInvalid(cursor: unknown, cause?: unknown): StoreError<'CURSOR_INVALID'> {
  const shown = (typeof cursor === 'string' ? cursor : show(cursor)).slice(0, 80)
  return new StoreError(
    'CURSOR_INVALID',
    `'${shown}' is no cursor of this list`,
    { cursor: shown },
    { cause }
  )
}
