import fc from 'fast-check'
import { ConceptId } from 'sutra-storage'
import { expect, test } from 'vitest'
import { IdSet } from '#sutra/import/id-set.js'

test('a set of ids holds what was added and nothing else', () => {
  const word = fc.constantFrom('00000000', '00000001', '10000000', 'ffffffff', '0000ffff')
  const id = fc.tuple(word, word, word, word).map((words) => ConceptId.fromHex(words.join('')))

  fc.assert(
    fc.property(fc.array(id), fc.array(id), (added, asked) => {
      const set = new IdSet()
      for (const one of added) set.add(one)

      for (const one of [...added, ...asked]) expect(set.has(one)).toBe(added.includes(one))
    })
  )
})

test('a set of ids that grew often still knows ids that differ in one digit', () => {
  const set = new IdSet()
  const numbered = (i: number) => ConceptId.fromHex(i.toString(16).padStart(8, '0').padEnd(32, '0'))
  const count = 100_000

  for (let i = 0; i < count; i++) set.add(numbered(i))

  const known = Array.from({ length: 2 * count }, (_, i) => set.has(numbered(i)))
  expect(known.filter(Boolean)).toHaveLength(count)
  expect(known.indexOf(false)).toBe(count)
})
