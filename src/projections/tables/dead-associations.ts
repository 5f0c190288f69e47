/** Associations of concepts that died: they stay in pages until a sweep erases them. */
import type { ConceptId } from '../../ids.ts'
import { otherOrdinalOf } from './association-row.ts'
import type { Side } from './keys.ts'
import { keyOf, newEntry, type PageEntry } from './page.ts'
import type { TreeEditor } from './tree-editor.ts'

interface Dead {
  has(ordinal: number): boolean
  readonly size: number
}

/** Associations of a concept, both ways, whose other end lives; a loop counts once. */
export function livingAssociations(editor: TreeEditor, dead: Dead, ordinal: number): number {
  const out = editor.degree('out', ordinal)
  const incoming = editor.degree('in', ordinal)
  if (dead.size === 0) return out.degree + incoming.degree - out.loops
  let living = 0
  for (const side of ['out', 'in'] as const) {
    for (const entry of editor.entries(side, ordinal)) {
      const other = otherOrdinalOf(entry)
      const isLoopSeen = side === 'in' && other === ordinal
      if (!isLoopSeen && !dead.has(other)) living += 1
    }
  }
  return living
}

/**
 * Erases associations of a dead concept on one side, from its own pages and from the other ends'.
 *
 * @returns How many; fewer than `limit` once none is left.
 */
export function eraseSome(
  editor: TreeEditor,
  dead: Dead,
  { ordinal, id, side }: { ordinal: number; id: ConceptId; side: Side },
  limit: number
): number {
  const opposite = side === 'out' ? 'in' : 'out'
  const entries: PageEntry[] = []
  for (const entry of editor.entries(side, ordinal)) {
    if (entries.length >= limit) break
    entries.push(entry)
  }
  for (const entry of entries) {
    const other = otherOrdinalOf(entry)
    const isLoop = other === ordinal
    editor.remove(side, ordinal, entry, isLoop)
    // The other end knows it under our id; a dead other end loses its pages in its own turn.
    if (!isLoop && !dead.has(other)) {
      const mirror = newEntry({ name: entry.name, otherId: id, key: keyOf(entry) }, 0)
      const found = editor.find(opposite, other, mirror)
      // Under the same id may stand an association to the concept that was learned since.
      if (found !== undefined && otherOrdinalOf(found) === ordinal) {
        editor.remove(opposite, other, mirror, false)
      }
    }
  }
  return entries.length
}
