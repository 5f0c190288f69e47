/** Threads that die over a build, again and again: it is tried later, and nothing is worse meanwhile. */
import { mkdir } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { type Command, open, type Store, type TelemetryEvent } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import type { VectorsClient } from '#sutra/projections/vectors/client.js'
import { VectorPool } from '#sutra/projections/vectors/pool.js'
import {
  catchUp,
  DECLARED,
  expectRightAnswers,
  until,
  VectorsFixture
} from '../projections/vectors-fixture.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { Clusters } from './clusters.ts'
import { ALWAYS, dyingPool } from './dying-pool.ts'
import { expectExact } from './vector-model.ts'

const FIRST_MS = 40
const WIDE = { ...DECLARED, dimensions: 4096, connectivity: 4, expansionAdd: 8 }

test.each(['build', 'ingest'] as const)(
  'what threads died over twice (%s) is tried again, later each time',
  async (kind) => {
    await using fixture = await VectorsFixture.create()
    const { pool, die } = dyingPool(fixture.directory, kind, ALWAYS)
    const client = await fixture.start({ pool, retryMs: FIRST_MS })
    await fixture.learn(1500)

    const error = await failure(client, fixture.head)
    const recovered = client.recovered(error)
    await until(() => failuresOf(fixture).length === 3)

    const { failures, retryAt } = client.stats().buildError ?? {}
    expect(failures).toBe(3)
    expect(retryAt).toBeGreaterThan(Date.now() - 1000)
    expect(failuresOf(fixture).map(({ retryMs }) => retryMs)).toEqual([40, 80, 160])
    // Two deaths an attempt, and no attempt between.
    expect(client.stats().workerRestarts).toBe(6)
    if (kind === 'build') await expectRightAnswers(fixture, client)

    die(0)
    expect(await recovered).toBe(true)
    await catchUp(client, fixture.head)
    expect(client.stats()).not.toHaveProperty('buildError')
    expect(client.stats().pending).toBeLessThan(1024)
    await expectRightAnswers(fixture, client)
  }
)

test('after a success the rests begin anew', async () => {
  await using fixture = await VectorsFixture.create()
  const { pool, die } = dyingPool(fixture.directory, 'build', 4)
  const client = await fixture.start({ pool, retryMs: FIRST_MS })
  for (let round = 0; round < 2; round++) {
    die(4)
    await fixture.learn(1500)
    const error = await failure(client, fixture.head)
    expect(await client.recovered(error)).toBe(true)
    await catchUp(client, fixture.head)
  }

  expect(failuresOf(fixture).map(({ failures }) => failures)).toEqual([1, 2, 1, 2])
})

test('what is not built is written to the files all the same', async () => {
  await using fixture = await VectorsFixture.create()
  const { pool } = dyingPool(fixture.directory, 'build', ALWAYS)
  const client = await fixture.start({ pool, declaration: WIDE, retryMs: FIRST_MS, cacheBytes: 0 })
  fixture.tell(client)
  await fixture.learn(600, { dimensions: WIDE.dimensions, perFrame: 64 })
  await failure(client, fixture.head)

  // 16 KiB each: more than is kept in memory alone.
  await until(async () => (await fixture.filesOnDisk()).some((name) => name.endsWith('.f32')))

  const query = fixture.randomVector(WIDE.dimensions)
  const found = await client.search(query, { k: 5, exact: true, position: fixture.head })
  expect([...found.revisions]).toEqual(fixture.nearest(query, 5))
})

test('writers wait for the next attempt, and are refused when that fails too', async () => {
  await using fixture = await VectorsFixture.create()
  const { pool, die } = dyingPool(fixture.directory, 'build', ALWAYS)
  const client = await fixture.start({ pool, declaration: WIDE, retryMs: FIRST_MS })
  fixture.tell(client)
  const { pendingMax } = client.stats()
  await fixture.learn(pendingMax + 1, { dimensions: WIDE.dimensions, perFrame: 64 })
  const early = client.room.enter(1)
  expect(early).toBeInstanceOf(Promise)
  void Promise.resolve(early).catch(() => undefined)

  const error = await failure(client, fixture.head)
  const recovered = client.recovered(error)
  expect(await Promise.race([early, setTimeout(0, 'waiting')])).toBe('waiting')
  const refused = {
    code: 'PROJECTION_STOPPED',
    details: { projection: 'vectors' },
    outcome: 'none'
  }
  await expect(early).rejects.toMatchObject(refused)
  // Whoever comes in the rest after that waits for one more attempt.
  await expect(client.room.enter(1)).rejects.toMatchObject(refused)
  expect(failuresOf(fixture).length).toBeGreaterThan(2)
  expect(client.room.enter(1)).toBeInstanceOf(Promise)

  const late = client.room.enter(1)
  die(0)
  await late
  expect(await recovered).toBe(true)
  expect(client.stats().pending).toBeLessThanOrEqual(pendingMax)
})

test.each(['build', 'ingest'] as const)(
  'closing while a rest goes on (%s) takes no time, and nothing is tried any more',
  async (kind) => {
    await using fixture = await VectorsFixture.create()
    const { pool } = dyingPool(fixture.directory, kind, ALWAYS)
    const client = await fixture.start({ pool, retryMs: 5000 })
    await fixture.learn(1500)
    const recovered = client.recovered(await failure(client, fixture.head))

    await fixture.stop(client)

    expect(await recovered).toBe(false)
    expect(failuresOf(fixture)).toHaveLength(1)
    const again = await fixture.start({ pool: new VectorPool() })
    await catchUp(again, fixture.head)
    await expectRightAnswers(fixture, again)
  }
)

test.each(['build', 'ingest'] as const)(
  'closing at any moment of attempts (%s) that fail leaves none behind',
  async (kind) => {
    await using fixture = await VectorsFixture.create()
    const { pool } = dyingPool(fixture.directory, kind, ALWAYS)
    pool.hold()
    await fixture.learn(1500)
    const random = new Random()
    for (let round = 0; round < 6; round++) {
      const client = await fixture.start({ pool, retryMs: 1 })
      const recovered = client.recovered(await failure(client, fixture.head))
      await setTimeout(random.next() * 60)
      await fixture.stop(client)
      expect(await recovered, `seed ${random.seed}`).toBe(false)
      const told = failuresOf(fixture).length
      await setTimeout(20)
      expect(failuresOf(fixture), `seed ${random.seed}`).toHaveLength(told)
    }
    await pool.release()
  }
)

test('a store tells of it, answers, and goes on by itself', async () => {
  const directory = await temporaryPath()
  await mkdir(`${directory}-deaths`)
  const random = new Random()
  const { pool, die } = dyingPool(`${directory}-deaths`, 'build', ALWAYS)
  const hold = vi.spyOn(VectorPool, 'hold').mockImplementation(() => pool.hold())
  await using store = await open(directory, { vectors: { dimensions: 64 } })
  hold.mockRestore()
  const seen: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => seen.push(event))
  const concepts = await fill(store, new Clusters(random, 64))

  await expect(store.caughtUp()).rejects.toMatchObject({
    code: 'PROJECTION_STOPPED',
    details: { projection: 'vectors' }
  })

  const { vectors, pipeline } = store.stats()
  const died = expect.stringMatching(/Two workers died/)
  expect(vectors.buildError).toMatchObject({ failures: expect.any(Number), reason: died })
  expect(pipeline.projections['vectors']).toMatchObject({ state: 'stopped', error: died })
  const asked = { query: new Clusters(random, 64).next(), k: 20, metric: 'cosine' as const }
  expectExact(await store.search(asked.query, { k: 20, exact: true }), concepts, asked)
  expectExact(await store.search(asked.query, { k: 20 }), concepts, asked)

  die(0)
  await until(() => seen.some(({ type }) => type === 'projection-resumed'))
  await store.caughtUp()
  expect(store.stats().vectors).not.toHaveProperty('buildError')
  expect(store.stats().pipeline.projections['vectors']).toMatchObject({ state: 'running' })
  const types = seen.map(({ type }) => type).filter((type) => /stopped|resumed|fail/.test(type))
  expect([...new Set(types)]).toEqual([
    'index-build-failed',
    'projection-stopped',
    'projection-resumed'
  ])
  // However often it is tried, it stops once.
  expect(types.filter((type) => type.startsWith('projection'))).toHaveLength(2)
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
})

async function fill(store: Store, clusters: Clusters): Promise<Map<string, Float32Array>> {
  const concepts = new Map<string, Float32Array>()
  for (let done = 0; done < 3000; done += 1000) {
    const commands = Array.from({ length: 1000 }, (_, at): Command => {
      const key = `k${done + at}`
      const embedding = clusters.next()
      concepts.set(key, embedding)
      return { do: 'learn', id: { key }, content: key, embedding }
    })
    await store.commit(commands, { durability: 'os' })
  }
  return concepts
}

async function failure(client: VectorsClient, head: number): Promise<Error> {
  const error: unknown = await catchUp(client, head).catch((cause: unknown) => cause)
  expect(error).toMatchObject({ code: 'VECTORS_UNAVAILABLE' })
  return error as Error
}

type BuildFailed = Extract<TelemetryEvent, { type: 'index-build-failed' }>

/** Each attempt that failed, in order. */
function failuresOf(fixture: VectorsFixture): Pick<BuildFailed, 'failures' | 'retryMs'>[] {
  return fixture.telemetry.flatMap((event) => (event.type === 'index-build-failed' ? [event] : []))
}
