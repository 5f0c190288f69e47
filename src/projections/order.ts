import type { ConceptId } from '../ids.ts'

/** The order of a concept's associations: type, other end's id, key. */

export interface SortKey {
  /** Type of the association. */
  name: string
  otherId: ConceptId
  /** Keyless sorts first; a key is never empty. */
  key: string
}

/** Where a list is to begin: behind a key, or at it. */
export interface Seek {
  key: SortKey
  inclusive: boolean
}

export function compareSortKeys(a: SortKey, b: SortKey): number {
  return (
    compareUtf8(a.name, b.name) || compareAscii(a.otherId, b.otherId) || compareUtf8(a.key, b.key)
  )
}

function compareAscii(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

const SURROGATES = 0xd800

/**
 * Compares as the bytes of UTF-8 would. JavaScript compares UTF-16 units, which differs only
 * where a surrogate (a code point above 0xFFFF) meets a unit from 0xE000 on.
 */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left === right) continue
    if (left >= SURROGATES && right >= SURROGATES) {
      return rank(left) - rank(right)
    }
    return left - right
  }
  return a.length - b.length
}

/** Surrogates behind the rest of the basic plane. */
function rank(unit: number): number {
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}
