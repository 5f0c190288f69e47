/** Recall that can be measured, seen and chosen. */
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecallReport, Store, TelemetryEvent } from 'sutra-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recallOf, shuffled } from '#sutra/store/check-vectors.js'
import { openTemporaryStore, type TemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'

const DIMENSIONS = 16
/** A poor graph, so that candidates make a difference. */
const VECTORS = {
  vectors: { dimensions: DIMENSIONS, connectivity: 3, expansionAdd: 4, expansionSearch: 4 }
}
const EFS = [4, 64, 400]
/** Enough for a graph: the newest few thousand are compared one by one. */
const MANY = 12_000

let large: TemporaryStore

beforeAll(async () => {
  large = await openTemporaryStore({ ...VECTORS, check: false })
  await learn(large.store, MANY)
})
afterAll(async () => {
  await large[Symbol.asyncDispose]()
})

describe('a check of the vectors', () => {
  test('measures recall for each ef, and says what it measured', async () => {
    const { store } = large
    const told: unknown[] = []

    const report = await store.checkVectors({
      sample: 50,
      efs: [400, 4, 64, 4],
      onProgress: (progress) => told.push(progress)
    })

    expect(report).toMatchObject({
      position: store.head,
      vectors: MANY,
      sample: 50,
      seed: 1,
      k: 10
    })
    expect(report.recalls.map(({ ef }) => ef)).toEqual(EFS)
    const [low = 1, , high = 0] = report.recalls.map(({ recall }) => recall)
    expect(low).toBeLessThan(0.95)
    expect(high).toBeGreaterThan(low)
    for (const { p50Us, p99Us } of [...report.recalls, report.exact]) {
      expect(p50Us).toBeGreaterThan(0)
      expect(p99Us).toBeGreaterThanOrEqual(p50Us)
    }
    expect(told).toHaveLength(50 * 4)
    expect(told.at(-1)).toEqual({ phase: 'ef 400', done: 200, total: 200 })
  })

  test('measures graphs: few vectors are left that searches compare anyhow', async () => {
    await using temporary = await openTemporaryStore({ ...VECTORS, check: false })
    const { store } = temporary
    await learn(store, 7000)
    const scanned: number[] = []

    await store.checkVectors({
      sample: 5,
      efs: [4],
      onProgress: () => scanned.push(store.stats().vectors.scanned)
    })

    expect(Math.max(...scanned)).toBeLessThan(1500)
  })

  test.each([1, 2 ** -60])('counts what was found by inner products (times %f)', async (scale) => {
    await using temporary = await openTemporaryStore({
      vectors: { ...VECTORS.vectors, metric: 'ip' },
      check: false
    })
    const { store } = temporary
    await learn(store, 1300, scale)

    const { recalls } = await store.checkVectors({ sample: 1300, efs: [4] })

    let found = 0
    for (let n = 0; n < 1300; n++) {
      const like = { key: `c${n}` }
      const exact = await store.search({ like }, { k: 10, exact: true })
      const farthest = exact.at(-1)?.similarity ?? 0
      const matches = await store.search({ like }, { k: 10, ef: 4 })
      found += matches.filter(({ similarity = 0 }) => similarity >= farthest).length
    }
    expect(recalls).toMatchObject([{ ef: 4, recall: found / 13_000 }])
    expect(found).toBeLessThan(13_000)
  })

  test('is repeatable: the seed decides what is searched for', async () => {
    const { store } = large
    const check = async (seed: number) =>
      recallsOf(await store.checkVectors({ sample: 30, efs: [4], seed }))

    const [first, second] = [await check(5), await check(5)]
    const others = [await check(6), await check(7), await check(8)]

    expect(second).toEqual(first)
    expect(others.some(([recall]) => recall !== first[0])).toBe(true)
  })

  test('is kept, shown by stats, and read back at the next open', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    await learn(temporary.store, 500)
    expect(temporary.store.stats().vectors).not.toHaveProperty('recall')

    const report = await temporary.store.checkVectors({ sample: 10, efs: EFS })

    expect(temporary.store.stats().vectors.recall).toEqual(report)
    const again = await temporary.reopen()
    expect(again.stats().vectors.recall).toEqual(report)
    await again.checkpoint()
    const later = await temporary.reopen({ readOnly: true })
    expect(later.stats().vectors.recall).toEqual(report)
  })

  test('of a store with few vectors or none finds everything there is', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    const empty = await store.checkVectors({ efs: [4] })
    await learn(store, 3)

    const few = await store.checkVectors({ efs: [4] })

    expect(empty).toMatchObject({ vectors: 0, sample: 0, recalls: [{ ef: 4, recall: 1 }] })
    expect(few).toMatchObject({ vectors: 3, sample: 3, recalls: [{ ef: 4, recall: 1 }] })
  })

  test('does not pass over concepts without vectors and forgotten ones, nor count them', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await learn(store, 20)
    for (let n = 0; n < 20; n += 2) await store.forget({ key: `c${n}` })
    await store.learn({ content: 'no vector' })

    const report = await store.checkVectors({ efs: [4] })

    expect(report).toMatchObject({ vectors: 10, sample: 10 })
  })

  test('stops on its signal and keeps what was kept', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await learn(store, 100)
    const report = await store.checkVectors({ sample: 5, efs: [4] })
    const controller = new AbortController()

    const stopped = store.checkVectors({
      signal: controller.signal,
      onProgress: ({ done }) => done === 3 && controller.abort()
    })

    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' })
    expect(store.stats().vectors.recall).toEqual(report)
  })

  test('needs vectors, a store that may be written, and options that make sense', async () => {
    await using without = await openTemporaryStore()
    await expect(without.store.checkVectors()).rejects.toMatchObject({
      code: 'VECTORS_NOT_DECLARED'
    })
    await using temporary = await openTemporaryStore(VECTORS)
    for (const options of [{ k: 0 }, { sample: 1.5 }, { efs: [] }, { efs: [0] }, { size: 1 }]) {
      await expect(temporary.store.checkVectors(options)).rejects.toMatchObject({
        code: 'QUERY_INVALID',
        details: { option: Object.keys(options)[0] }
      })
    }
    const reading = await temporary.reopen({ readOnly: true })
    await expect(reading.checkVectors()).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  })
})

describe('a search for a recall', () => {
  test('uses the smallest ef that reached it, and more for more matches', async () => {
    const { store } = large
    const report = await store.checkVectors({ sample: 50, efs: EFS })
    const [low = 1, , high = 0] = recallsOf(report)

    expect(await efOf(store, low, 10)).toBe(18)
    expect(await efOf(store, high, 10)).toBe(400)
    expect(await efOf(store, high, 5)).toBe(400)
    expect(await efOf(store, high, 20)).toBe(800)
    expect(await efOf(store, high, 1000)).toBe(4096)
  })

  test('is refused while nothing was measured, and beyond what was', async () => {
    await using unmeasured = await openTemporaryStore(VECTORS)
    const { store } = large
    const query = new Float32Array(DIMENSIONS).fill(1)

    await expect(unmeasured.store.search(query, { ef: { recall: 0.9 } })).rejects.toMatchObject({
      code: 'QUERY_INVALID',
      message: expect.stringContaining('sutra vectors check'),
      details: { option: 'ef', received: { recall: 0.9 } }
    })
    const report = await store.checkVectors({ sample: 50, efs: [4] })
    const [best = 1] = recallsOf(report)
    await expect(store.search(query, { ef: { recall: 1 } })).rejects.toMatchObject({
      code: 'QUERY_INVALID',
      message: expect.stringContaining(String(best)),
      details: { option: 'ef.recall', received: 1 }
    })
    expect(await store.search(query, { ef: { recall: best } })).toHaveLength(10)
  })
})

describe('the file of the report', () => {
  const damages: { name: string; damage: (path: string) => Promise<void> }[] = [
    {
      name: 'cut off',
      damage: async (path) => writeFile(path, (await readFile(path)).subarray(9))
    },
    { name: 'empty', damage: async (path) => writeFile(path, '') },
    {
      name: 'changed',
      damage: async (path) =>
        writeFile(path, (await readFile(path, 'utf8')).replace('"recall":', '"recall" :'))
    }
  ]

  test.each(damages)('counts as none when it is $name, and that is told', async ({ damage }) => {
    await using temporary = await openTemporaryStore(VECTORS)
    await learn(temporary.store, 50)
    await temporary.store.checkVectors({ sample: 5, efs: [4] })
    await temporary.store.close()
    await damage(join(temporary.directory, 'vectors', 'RECALL'))

    const store = await temporary.reopen()
    const told = damageTold(store)
    const query = new Float32Array(DIMENSIONS).fill(1)

    expect(store.stats().vectors).not.toHaveProperty('recall')
    expect(told).toMatchObject([{ part: 'recall', reason: 'RECALL: checksum differs' }])
    await expect(store.search(query, { ef: { recall: 0.1 } })).rejects.toMatchObject({
      code: 'QUERY_INVALID'
    })
    // Told once; and measuring again heals it.
    expect(told).toHaveLength(1)
    const report = await store.checkVectors({ sample: 5, efs: [4] })
    expect((await temporary.reopen()).stats().vectors.recall).toEqual(report)
  })

  test('of another store counts as none', async () => {
    await using one = await openTemporaryStore(VECTORS)
    await using other = await openTemporaryStore(VECTORS)
    await one.store.checkVectors({ efs: [4] })
    await other.store.checkVectors({ efs: [4] })
    await other.store.close()
    const from = join(one.directory, 'vectors', 'RECALL')
    await writeFile(join(other.directory, 'vectors', 'RECALL'), await readFile(from))

    const store = await other.reopen()
    const told = damageTold(store)

    expect(store.stats().vectors).not.toHaveProperty('recall')
    expect(told).toMatchObject([{ part: 'recall', reason: 'RECALL: of another index' }])
  })

  test('goes with the index that it was measured on', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await learn(store, 50)
    await store.checkVectors({ sample: 5, efs: [4] })
    await store.rebuild({ projections: ['tables'] })
    expect(store.stats().vectors).toHaveProperty('recall')

    await store.rebuild({ projections: ['vectors'] })

    expect(store.stats().vectors).not.toHaveProperty('recall')
    const again = await temporary.reopen()
    expect(again.stats().vectors).not.toHaveProperty('recall')
  })

  test('leaves no unfinished one of a crash behind', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const vectors = join(temporary.directory, 'vectors')
    await temporary.store.checkVectors({ efs: [4] })
    await appendFile(join(vectors, 'RECALL.0123456789ab.tmp'), 'half')

    await temporary.store.checkVectors({ efs: [4] })

    const names = await readdir(vectors)
    expect(names.filter((name) => name.startsWith('RECALL'))).toEqual(['RECALL'])
  })
})

describe('drawing', () => {
  test.each([0, 1, 2, 3, 7, 8, 1000, 65_537])('meets each of %i once', (count) => {
    const drawn = [...shuffled(count, new Random().below(2 ** 32))]

    expect(drawn.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i + 1))
  })

  test('is scattered: a sample is not a stretch', () => {
    const sample: number[] = []
    for (const one of shuffled(1_000_000, 1)) if (sample.push(one) === 1000) break

    const mean = sample.reduce((sum, one) => sum + one, 0) / sample.length
    const neighbours = sample.filter((one, i) => Math.abs(one - (sample[i - 1] ?? 0)) < 1000)

    expect(mean).toBeGreaterThan(450_000)
    expect(mean).toBeLessThan(550_000)
    expect(neighbours.length).toBeLessThan(20)
  })
})

test('what is as near as the last exact match is found, whichever of them it is', () => {
  const exact = [Float64Array.of(0.1, 0.2, 0.2), Float64Array.of(0.5)]

  expect(recallOf([Float64Array.of(0.1, 0.2, 0.2), Float64Array.of(0.5)], exact)).toBe(1)
  expect(recallOf([Float64Array.of(0.1, 0.2, 0.3), Float64Array.of(0.5)], exact)).toBe(0.75)
  expect(recallOf([Float64Array.of(0.2), Float64Array.of()], exact)).toBe(0.25)
})

async function learn(store: Store, count: number, scale = 1): Promise<void> {
  const random = new Random(3)
  for (let at = 0; at < count; at += 500) {
    const size = Math.min(500, count - at)
    const commands = Array.from({ length: size }, (_, i) => {
      const embedding = Float32Array.from(
        { length: DIMENSIONS },
        () => (random.next() - 0.5) * scale
      )
      return { do: 'learn' as const, id: { key: `c${at + i}` }, content: 'c', embedding }
    })
    await store.commit(commands, { durability: 'os' })
  }
}

function recallsOf(report: RecallReport): number[] {
  return report.recalls.map(({ recall }) => recall)
}

/** The ef that a search for this recall uses. */
async function efOf(store: Store, recall: number, k: number): Promise<number | undefined> {
  let ef: number | undefined
  const watching = store.telemetry$.subscribe((event) => {
    if (event.type === 'query') ef = event.ef
  })
  await store.search(new Float32Array(DIMENSIONS).fill(1), { k, ef: { recall } })
  watching.unsubscribe()
  return ef
}

function damageTold(store: Store): TelemetryEvent[] {
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => {
    if (event.type === 'damage-found') told.push(event)
  })
  return told
}
