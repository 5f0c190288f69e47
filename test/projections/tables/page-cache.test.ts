import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { PageCache } from '#sutra/projections/tables/page-cache.js'
import { wordsOf } from '#sutra/projections/tables/words.js'
import { Random } from '../../support/random.ts'

const KiB = 1024

describe('pages kept between batches', () => {
  test('are each the newest, or not there', () => {
    const random = new Random()
    for (const bytesMax of [4 * KiB, 64 * KiB, 300 * KiB]) {
      const cache = new PageCache(bytesMax)
      const stored = new Map<string, Buffer>()
      let hits = 0
      for (let n = 0; n < 10_000; n++) {
        const tree = random.below(400) + (random.below(2) === 0 ? 0 : 2 ** 32)
        const page = random.below(10) === 0 ? random.below(5) : 0
        const name = `${tree} ${page}`
        if (random.below(12) === 0) {
          cache.delete(tree, page)
          stored.delete(name)
        } else {
          const bytes = Buffer.alloc(random.below(random.below(50) === 0 ? 5000 : 300), `${n} `)
          store(cache, tree, page, bytes)
          stored.set(name, bytes)
        }
        const asked = n % 10 === 9 ? random.pick([...stored.keys()]) : name
        const found = find(cache, ...numbersOf(asked))
        if (found === undefined) continue
        const isNewest = stored.get(asked)?.equals(found)
        expect(isNewest, `seed ${random.seed}, step ${n}`).toBe(true)
        hits += 1
      }
      expect(cache.words.byteLength).toBeLessThanOrEqual(bytesMax)
      expect(hits).toBeGreaterThan(2000)
    }
  })

  test('are all there as long as they fill half of the memory', () => {
    const random = new Random()
    const cache = new PageCache(256 * KiB)
    const stored = new Map<number, Buffer>()
    for (let n = 0; n < 20_000; n++) {
      const tree = random.below(500)
      const bytes = Buffer.alloc(200 + random.below(40), `${n} `)
      store(cache, tree, 0, bytes)
      stored.set(tree, bytes)
    }

    expect(cache.size).toBe(stored.size)
    for (const [tree, bytes] of stored) expect(find(cache, tree, 0)?.equals(bytes)).toBe(true)
  })

  test('give way to newer ones when there is no room', () => {
    const cache = new PageCache(64 * KiB)
    for (let tree = 1; tree <= 10_000; tree++) store(cache, tree, 0, Buffer.alloc(100, tree))

    expect(find(cache, 1, 0)).toBeUndefined()
    expect(find(cache, 10_000, 0)).toEqual(Buffer.alloc(100, 10_000))
    expect(cache.size).toBeGreaterThan((64 * KiB) / 128 / 2)
    expect(cache.words.byteLength).toBe(64 * KiB)
  })

  test('take no memory until they come', () => {
    const cache = new PageCache(64 * KiB * KiB)

    expect(cache.words.byteLength).toBeLessThanOrEqual(64 * KiB)
    for (let n = 0; n < 20_000; n++) store(cache, n % 100, 0, Buffer.alloc(200))
    expect(cache.words.byteLength).toBeLessThanOrEqual(128 * KiB)
  })

  test('do not hold one that would push out the rest', () => {
    const cache = new PageCache(64 * KiB)
    store(cache, 1, 0, Buffer.alloc(100))
    store(cache, 2, 0, Buffer.alloc(100))
    store(cache, 2, 0, Buffer.alloc(5000))

    expect(find(cache, 1, 0)).toBeDefined()
    expect(find(cache, 2, 0)).toBeUndefined()
  })
})

function store(cache: PageCache, tree: number, page: number, bytes: Buffer): void {
  const memory = Buffer.alloc(16 + bytes.length + 8)
  bytes.copy(memory, 16)
  const end = 16 + bytes.length
  cache.store(tree, page, { words: wordsOf(memory), start: 16, end, checksum: crc32(bytes) })
}

function find(cache: PageCache, tree: number, page: number): Buffer | undefined {
  const start = cache.find(tree, page)
  if (start < 0) return undefined
  const { words } = cache
  const found = Buffer.from(
    new Uint8Array(words.buffer, words.byteOffset + start, cache.lengthAt(start))
  )
  expect(cache.checksumAt(start)).toBe(crc32(found))
  return found
}

function numbersOf(name: string): [tree: number, page: number] {
  const [tree, page] = name.split(' ').map(Number)
  return [tree ?? 0, page ?? 0]
}
