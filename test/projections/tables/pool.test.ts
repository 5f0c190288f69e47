/** Many stores in one process: the threads that project for all of them. */
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { open, type Store, type StoreOptions } from 'sutra-storage'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Tables } from '#sutra/projections/tables/client.js'
import { Gate } from '#sutra/projections/tables/gate.js'
import { createGeneration } from '#sutra/projections/tables/generation.js'
import { TablesPool } from '#sutra/projections/tables/pool.js'
import { readFormat } from '#sutra/store/format.js'
import { run } from '../../support/child.ts'
import { Random } from '../../support/random.ts'
import { temporaryPath } from '../../support/temp.ts'

const QUICK: StoreOptions = { durability: 'os', scrubBytesPerSec: 0 }

test('twenty stores are opened, written, read and closed in any order', async () => {
  const random = new Random()
  const parent = await temporaryPath('stores')
  const workers = watchWorkers()
  const stores = new Map<string, Store>()
  const written = new Map<string, number>()
  onTestFinished(async () => {
    for (const store of stores.values()) await store.close()
  })

  for (let n = 0; n < 300; n++) {
    const name = `s${random.below(20)}`
    const store = stores.get(name)
    const context = `seed ${random.seed}, step ${n}, ${name}`
    const count = written.get(name) ?? 0
    if (store === undefined) {
      stores.set(name, await openIn(parent, name))
    } else if (random.below(5) === 0) {
      await store.close()
      stores.delete(name)
    } else if (random.below(3) === 0) {
      const key = `k${random.below(count + 1)}`
      expect((await store.get({ key }))?.content, context).toBe(contentOf(name, key, count))
    } else {
      const key = `k${count}`
      await store.learn({ id: { key }, content: `${name} ${key}` })
      written.set(name, count + 1)
    }
  }
  for (const [name, count] of written) {
    const store = stores.get(name) ?? (await openIn(parent, name))
    stores.set(name, store)
    await store.caughtUp()
    expect((await store.counts()).concepts, `seed ${random.seed}, ${name}`).toBe(count)
  }
  for (const name of random.shuffle([...stores.keys()])) {
    await stores.get(name)?.close()
    stores.delete(name)
  }

  // A pool ends with the last store that is open, and is made anew with the next.
  expect(workers.length).toBeGreaterThan(0)
  expect(workers.filter(isRunning)).toEqual([])
})

test('stores that are only read start no thread, and all that write share a few', async () => {
  const parent = await temporaryPath('stores')
  const workers = watchWorkers()
  const stores = await openMany(parent, 20)

  for (const store of stores) expect(await store.get({ key: 'k' })).toBeUndefined()
  expect(workers).toEqual([])

  await Promise.all(stores.map(async (store) => learnSome(store, 10)))
  await Promise.all(stores.map(async (store) => store.caughtUp()))
  expect(workers.length).toBeGreaterThan(0)
  expect(workers.length).toBeLessThanOrEqual(availableParallelism())
})

test('stores whose thread dies go on from their checkpoints, each event once', async () => {
  const parent = await temporaryPath('stores')
  const workers = watchWorkers()
  const stores = await openMany(parent, 6)

  for (let round = 0; round < 4; round++) {
    // Some batches are asked for, some under way, some written and not answered.
    await Promise.all(stores.map(async (store) => learnSome(store, 40 * (round + 1))))
    await Promise.all(workers.filter(isRunning).map(async (worker) => worker.terminate()))
    await learnSome(stores[round], 5)
    await Promise.all(stores.map(async (store) => store.caughtUp()))
  }

  for (const store of stores) {
    const { tables } = store.stats().pipeline.projections
    expect(tables).toMatchObject({ state: 'running', lagEvents: 0 })
    const hash = await store.stateHash()
    await store.rebuild({ projections: ['tables'] })
    expect(await store.stateHash()).toBe(hash)
  }
})

test('a sweep goes on by itself in another thread', async () => {
  const workers = watchWorkers()
  const store = await open(await temporaryPath(), QUICK)
  onTestFinished(async () => store.close())
  await store.learn({ id: { key: 'hub' }, content: 'hub' })
  const source = { key: 'hub' }
  for (let round = 0; round < 8; round++) {
    const others = Array.from({ length: 500 }, (_, n) => ({ key: `${round} ${n}` }))
    await store.commit([
      ...others.map((id) => ({ do: 'learn', id, content: id.key }) as const),
      ...others.map((target) => ({ do: 'associate', source, target, type: 't' }) as const)
    ])
  }
  const swept = new Promise<void>((resolve) => {
    store.telemetry$.subscribe((event) => {
      if (event.type === 'sweep' && event.done) resolve()
    })
  })
  await store.forget(source)
  await store.caughtUp()

  await Promise.all(workers.filter(isRunning).map(async (worker) => worker.terminate()))

  // Nothing is committed that would bring a batch, and with it another thread.
  await swept
  expect((await store.counts()).associations).toBe(0)
})

test('a batch that two threads die over stops its own projection alone', async () => {
  const parent = await temporaryPath('stores')
  const pool = new TablesPool({ script: new URL('./dying-worker.mjs', import.meta.url) })
  const holding = vi.spyOn(TablesPool, 'hold').mockImplementation(() => pool.hold())
  onTestFinished(() => holding.mockRestore())
  const names = ['a', 'deadly', 'b', 'c']
  const stores = await Promise.all(names.map(async (name) => openIn(parent, name)))
  const [, deadly] = stores as [Store, Store]
  const others = stores.filter((store) => store !== deadly)

  await Promise.all(stores.map(async (store) => learnSome(store, 20)))
  await expect(deadly.caughtUp()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
  await Promise.all(others.map(async (store) => store.caughtUp()))
  await Promise.all(others.map(async (store) => learnSome(store, 30)))
  await Promise.all(others.map(async (store) => store.caughtUp()))

  expect(pool.restarts).toBe(2)
  for (const store of others) expect((await store.counts()).concepts).toBe(30)
  for (const store of stores) await store.close()
  holding.mockRestore()
  // What was acknowledged is in the log.
  const again = await openIn(parent, 'deadly')
  await again.caughtUp()
  expect((await again.counts()).concepts).toBe(20)
  await again.close()
})

test('sessions that have nothing to do are closed, and opened again for the next batch', async () => {
  const parent = await temporaryPath('stores')
  const pool = new TablesPool({ threadsMax: 1, idleMax: 2 })
  const holding = vi.spyOn(TablesPool, 'hold').mockImplementation(() => pool.hold())
  onTestFinished(() => holding.mockRestore())
  const stores = await openMany(parent, 6)

  for (const count of [3, 6]) {
    for (const store of stores) {
      await learnSome(store, count)
      await store.caughtUp()
      // Those that are idle, and one that is being closed.
      expect(pool.sessions).toBeLessThanOrEqual(3)
    }
  }

  for (const store of stores) expect((await store.counts()).concepts).toBe(6)
  expect(pool.threads).toBe(1)
})

test('a session that has had nothing to do for a while is closed', async () => {
  const parent = await temporaryPath('stores')
  const pool = new TablesPool({ idleMs: 1 })
  const holding = vi.spyOn(TablesPool, 'hold').mockImplementation(() => pool.hold())
  onTestFinished(() => holding.mockRestore())
  const stores = await openMany(parent, 3)
  for (const count of [2, 4]) {
    await Promise.all(stores.map(async (store) => learnSome(store, count)))
    await Promise.all(stores.map(async (store) => store.caughtUp()))

    await vi.waitFor(() => expect(pool.sessions).toBe(0), 30_000)
  }
  for (const store of stores) expect((await store.counts()).concepts).toBe(4)
})

test('a store that projects much does not keep a thread from the others', async () => {
  const parent = await temporaryPath('stores')
  const pool = new TablesPool({ threadsMax: 1 }).hold()
  onTestFinished(async () => pool.release())
  const large = await projectAnew(parent, 'large', 400, pool)
  const small = await projectAnew(parent, 'small', 2, pool)
  await large.project(400)
  await small.project(2)

  let batches = 1
  const all = (async () => {
    while (large.position < 400) {
      await large.project(400)
      batches += 1
    }
  })()
  await small.project(2)

  // Two may have begun before it was asked for, and one more answer may have been on its way.
  expect(batches).toBeLessThan(6)
  expect(small.position).toBe(2)
  await all
  expect(batches).toBe(400)
})

test('a gate lets through so many at once, in order, whatever becomes of them', async () => {
  const gate = new Gate(2)
  const began: number[] = []
  const ends: (() => void)[] = []
  const works = Array.from({ length: 5 }, async (_, n) =>
    gate.through(async () => {
      began.push(n)
      await new Promise<void>((resolve) => ends.push(resolve))
      if (n === 1) throw new Error('failed')
    })
  )
  const results = Promise.allSettled(works)

  for (let n = 0; n < 5; n++) {
    expect(began).toEqual([0, 1, 2, 3, 4].slice(0, Math.min(5, n + 2)))
    ends[n]?.()
    await new Promise((resolve) => setImmediate(resolve))
  }

  expect((await results).map(({ status }) => status === 'fulfilled')).toEqual(
    [0, 1, 2, 3, 4].map((n) => n !== 1)
  )
})

test.each([5, 3])(
  'of five stores %i are closed: nothing keeps the process alive',
  async (closed) => {
    const directory = await temporaryPath('stores')
    await mkdir(directory)
    const script = 'projections/tables/many-stores.mjs'

    const { code, lines, stderr } = await run(script, [directory, '5', String(closed)])

    expect({ code, lines, stderr }).toEqual({
      code: 0,
      lines: [{ projected: 5 }, { closed }],
      stderr: ''
    })
  }
)

async function openIn(parent: string, name: string): Promise<Store> {
  return open(join(parent, name), QUICK)
}

async function openMany(parent: string, count: number): Promise<Store[]> {
  const stores: Store[] = []
  onTestFinished(async () => {
    for (const store of stores) await store.close()
  })
  for (let n = 0; n < count; n++) stores.push(await openIn(parent, String(n)))
  return stores
}

/** Learns concepts one by one, those that are there again: afterwards there are so many at least. */
async function learnSome(store: Store | undefined, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await store?.learn({ id: { key: `k${n}` }, content: `c${n}` })
}

/** What `k0` to `k<count - 1>` of a store hold. */
function contentOf(name: string, key: string, count: number): string | undefined {
  return Number(key.slice(1)) < count ? `${name} ${key}` : undefined
}

/** A generation of a closed store's tables that holds nothing yet, projected event by event. */
async function projectAnew(
  parent: string,
  name: string,
  events: number,
  pool: TablesPool
): Promise<Tables> {
  const directory = join(parent, name)
  const store = await openIn(parent, name)
  await learnSome(store, events)
  await store.close()
  const { storeId } = await readFormat(directory)
  const tables = await Tables.open({
    directory,
    storeId,
    generation: await createGeneration(directory, storeId),
    batchEventsMax: 1,
    cacheBytes: 2 ** 20,
    readOnly: false,
    indexes: undefined,
    onTelemetry: () => {},
    pool
  })
  onTestFinished(async () => {
    await tables.stop({ flush: false })
    await tables.close()
  })
  return tables
}

/** Threads that are started from now on, in their order. */
function watchWorkers(): Worker[] {
  const workers: Worker[] = []
  const onWorker = (worker: Worker): void => {
    workers.push(worker)
  }
  process.on('worker', onWorker)
  onTestFinished(() => {
    process.off('worker', onWorker)
  })
  return workers
}

/** A thread that has ended has no number any more. */
function isRunning(worker: Worker): boolean {
  return worker.threadId !== -1
}
