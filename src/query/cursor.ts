import { StoreError, show } from '../errors.ts'
import { isConceptId } from '../ids.ts'
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

/** Every association that is told has a cursor, and few are used. */
const writer = new MessageWriter()

/** Opaque text that stays valid after reopening: it names an association, not a row. */
export function encodeCursor(state: AssociationState, side: Side): string {
  const { name, otherId, key } = stateSortKey(state, side)
  writer.begin()
  writer.array(4)
  for (const part of [name, otherId, key, side]) writer.text(part)
  return writer.finishAsText()
}

/** @throws StoreError `CURSOR_INVALID` */
export function decodeCursor(cursor: string): CursorPlace {
  let parts: unknown
  try {
    parts = unpack(Buffer.from(cursor, 'base64url'))
  } catch (cause) {
    throw cursorInvalid(cursor, cause)
  }
  if (!Array.isArray(parts)) throw cursorInvalid(cursor)
  const [name, otherId, key, side] = parts as unknown[]
  const isSide = side === 'out' || side === 'in'
  if (typeof name !== 'string' || typeof key !== 'string' || !isConceptId(otherId) || !isSide) {
    throw cursorInvalid(cursor)
  }
  return { name, otherId, key, side }
}

export function cursorInvalid(cursor: unknown, cause?: unknown): StoreError<'CURSOR_INVALID'> {
  const shown = (typeof cursor === 'string' ? cursor : show(cursor)).slice(0, 80)
  return new StoreError('CURSOR_INVALID', `'${shown}' is no cursor`, { cursor: shown }, { cause })
}
