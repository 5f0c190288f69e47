import { expect, test } from 'vitest'
import { ConceptId } from '#sutra/ids.js'
import { ReadCache } from '#sutra/projections/read-cache.js'
import type { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'

test('associations that are kept hold their end, not the concept that it is', () => {
  const ends: object[] = []
  const fewAssociations = (self: object): [] => {
    ends.push(self)
    return []
  }
  const isBeside = (): boolean => true
  const snapshot = { checkpoint: 1, fewAssociations, isBeside } as unknown as TablesSnapshot
  const cache = new ReadCache(() => 2 ** 20, { segments: [] }, { snapshot })
  const id = ConceptId.fromKey('a')
  // A path asks with the concepts that it leads over.
  const concept = { ordinal: 1, id, key: 'a', content: 'x'.repeat(1000) }

  cache.associations(concept, 'out', snapshot)

  expect(ends).toEqual([{ ordinal: 1, id, key: 'a' }])
})
