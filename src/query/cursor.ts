import { StoreError } from '../errors.ts'
import type { ConceptId } from '../ids.ts'
import type { SortKey } from '../projections/order.ts'
import { otherEnd } from '../projections/pinned.ts'
import type { AssociationState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'

/** A place behind one association of a list, in the order type, other end's id, key, side. */
export interface CursorPlace extends SortKey {
  side: Side
}

/** Side, id, length of the type, type, key; type and key as they stand in addresses. */
const CURSOR = /^([oi])([0-9a-f]{32})(\d+)\.(.*)$/s
const UNSAFE = /[^\w.~-]/

/** Opaque text that stays valid after reopening: it names an association, not a row. */
export function encodeCursor(state: AssociationState, side: Side): string {
  const other = otherEnd(state, side)
  const name = safe(state.name)
  const key = state.key === undefined ? '' : safe(state.key)
  return `${side === 'out' ? 'o' : 'i'}${other.id}${name.length}.${name}${key}`
}

/** @throws StoreError `CURSOR_INVALID` */
export function decodeCursor(cursor: string): CursorPlace {
  const [, letter, otherId = '', digits, text = ''] = CURSOR.exec(cursor) ?? []
  const length = Number(digits)
  if (letter === undefined || length > text.length) throw cursorInvalid(cursor)
  try {
    return {
      side: letter === 'o' ? 'out' : 'in',
      // The expression above is the proof.
      otherId: otherId as ConceptId,
      name: decodeURIComponent(text.slice(0, length)),
      key: decodeURIComponent(text.slice(length))
    }
  } catch (cause) {
    throw cursorInvalid(cursor, cause)
  }
}

function safe(text: string): string {
  return UNSAFE.test(text) ? encodeURIComponent(text) : text
}

export function cursorInvalid(cursor: unknown, cause?: unknown): StoreError<'CURSOR_INVALID'> {
  const shown = String(cursor).slice(0, 80)
  return new StoreError('CURSOR_INVALID', `'${shown}' is no cursor`, { cursor: shown }, { cause })
}
