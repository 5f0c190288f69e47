/** An entry put into a leaf as it is encoded, against the same put into its objects. */
import fc from 'fast-check'
import type { ConceptId } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { LeafEditor } from '#sutra/projections/tables/leaf-editor.js'
import {
  compareEntries,
  emptyRoot,
  encodePage,
  entryBytes,
  lowerBound,
  newEntry,
  PAGE_BYTES,
  type Page,
  type PageEntry
} from '#sutra/projections/tables/page.js'
import { viewOf } from '#sutra/projections/tables/words.js'
import { Random } from '../../support/random.ts'

const { seed } = new Random()

interface Given {
  entry: PageEntry
  isLoop: boolean
}

// Few of each, so that entries meet: equal ones, equal but for the key, and ids alike at first.
const types = fc.oneof(
  fc.constantFrom('a', 'b', 'ab', 'knows', 'é', '\u{10000}', '\uffee', 'x'.repeat(300)),
  fc.string({ minLength: 1, maxLength: 4, unit: 'grapheme' })
)
const ids = fc.oneof(
  fc.constantFrom('00', '01', 'ff').map((end) => `abcdef01${'0'.repeat(22)}${end}` as ConceptId),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map(hexOf)
)
const keys = fc.oneof(fc.constant(''), fc.constantFrom('k', 'kk', 'ké', '\u{1f600}'))

const given: fc.Arbitrary<Given> = fc
  .record({
    name: types,
    otherId: ids,
    key: keys,
    tail: fc.oneof(
      { weight: 8, arbitrary: fc.uint8Array({ minLength: 21, maxLength: 60 }) },
      { weight: 1, arbitrary: fc.constantFrom(1500, 3000, 9000).map((n) => new Uint8Array(n)) }
    ),
    isLoop: fc.boolean()
  })
  .map(({ name, otherId, key, tail, isLoop }) => {
    const entry = newEntry({ name, otherId, key }, tail.length)
    entry.bytes.set(tail, entry.bytes.length - tail.length)
    return { entry, isLoop }
  })

describe(`a leaf, entry by entry (seed ${seed})`, () => {
  test.each([true, false])('has the bytes of the page of objects (root: %s)', (isRoot) => {
    const sequences = fc.array(given, { minLength: 1, maxLength: 90 })
    fc.assert(
      fc.property(sequences, (entries) => {
        expectSame(entries, isRoot)
      }),
      { seed, numRuns: 200 }
    )
  })

  test('is full where the page would have to split, and is left as it was', () => {
    const page = emptyRoot()
    const leaf = new LeafEditor()
    leaf.take(page)
    let n = 0
    while (put(page, entryOf(n, 40), false)) expect(upsert(leaf, entryOf(n++, 40))).toBe('inserted')
    const before = bytesOf(leaf)

    expect(n).toBeGreaterThan(50)
    expect(upsert(leaf, entryOf(n, 40))).toBe('full')
    expect(upsert(leaf, entryOf(0, 400))).toBe('full')
    expect(bytesOf(leaf).equals(before)).toBe(true)
    expect(upsert(leaf, entryOf(0, 5))).toBe('replaced')
    expect(upsert(leaf, entryOf(n, 10))).toBe('inserted')
  })

  test('takes one entry of any size, and its page as objects again', () => {
    const leaf = new LeafEditor()
    leaf.take(emptyRoot())

    expect(upsert(leaf, entryOf(1, 100_000))).toBe('inserted')
    expect(upsert(leaf, entryOf(1, 200_000))).toBe('replaced')
    expect(upsert(leaf, entryOf(2, 21))).toBe('full')
    const page = leaf.toPage()
    expect(page.entries).toEqual([entryOf(1, 200_000)])
    leaf.take(page)
    expect(bytesOf(leaf).equals(encodePage(page))).toBe(true)
  })
})

function expectSame(entries: readonly Given[], isRoot: boolean): void {
  const page: Page = { ...emptyRoot(), root: isRoot ? emptyRoot().root : undefined }
  const leaf = new LeafEditor()
  leaf.take(page)
  for (const { entry, isLoop } of entries) {
    const count = page.entries.length
    const fits = put(page, entry, isLoop)
    const outcome = upsert(leaf, entry, isLoop)
    const done = page.entries.length > count ? 'inserted' : 'replaced'
    expect(outcome).toBe(fits ? done : 'full')
    expect(bytesOf(leaf).equals(encodePage(page))).toBe(true)
  }
}

/** The entry into the page of objects; whether it need not split for it. If it must: unchanged. */
function put(page: Page, entry: PageEntry, isLoop: boolean): boolean {
  const { entries, root } = page
  const index = lowerBound(entries, entry)
  const old = entries[index]
  const isThere = old !== undefined && compareEntries(old, entry) === 0
  const bytes = page.bytes + entryBytes(entry) - (isThere ? entryBytes(old) : 0)
  if (bytes > PAGE_BYTES && entries.length + Number(!isThere) > 1) return false
  entries.splice(index, Number(isThere), entry)
  page.bytes = bytes
  if (isThere || root === undefined) return true
  root.degree += 1
  root.loops += Number(isLoop)
  return true
}

function upsert(leaf: LeafEditor, entry: PageEntry, isLoop = false): string {
  // Not at the beginning of its memory, as where entries wait.
  const bytes = Buffer.concat([Buffer.from('xyz'), entry.bytes, Buffer.from('xyz')])
  const end = bytes.length - 3
  const name = Buffer.from(entry.name)
  return leaf.upsert({ bytes, view: viewOf(bytes), start: 3, end, text: entry.name, name }, isLoop)
}

function entryOf(n: number, tail: number): PageEntry {
  const otherId = n.toString(16).padStart(32, '0') as ConceptId
  const entry = newEntry({ name: 'knows', otherId, key: '' }, tail)
  entry.bytes.fill(n, entry.bytes.length - tail)
  return entry
}

function bytesOf(leaf: LeafEditor): Buffer {
  const { words, start, end } = leaf
  // A copy: the editor goes on in the same memory.
  return Buffer.from(new Uint8Array(words.buffer, words.byteOffset + start, end - start))
}

function hexOf(bytes: Uint8Array): ConceptId {
  return Buffer.from(bytes).toString('hex') as ConceptId
}
