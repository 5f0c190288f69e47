/** What a store tells about itself while it works: each event plain data, with what it promises. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type Store, type TelemetryEvent, type TelemetryKind } from 'sutra-storage'
import { describe, expect, test, vi } from 'vitest'
import { pack, unpack } from '#sutra/storage/codec.js'
import { telemetryKinds } from '../docs/telemetry-page.ts'
import { temporaryPath } from '../support/temp.ts'

type Of<T extends TelemetryKind> = Extract<TelemetryEvent, { type: T }>

function listen(store: Store): {
  told: TelemetryEvent[]
  of<T extends TelemetryKind>(type: T): Of<T>[]
} {
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))
  return {
    told,
    of: (type) => told.filter((event): event is Of<typeof type> => event.type === type)
  }
}

const DIMENSIONS = 4

/** A little of everything. */
async function work(store: Store): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const embedding = Array.from({ length: DIMENSIONS }, (_, n) => Math.sin(i * 7 + n) + 1.1)
    await store.learn({ id: { key: `c${i}` }, content: `Concept ${i}`, embedding, confidence: 0.5 })
  }
  const link = (from: number, to: number): Promise<unknown> =>
    store.associate({
      source: { key: `c${from}` },
      target: { key: `c${to}` },
      type: 'next',
      confidence: 0.8
    })
  await link(0, 1)
  await link(1, 2)
  await store.get({ key: 'c1' })
  await store.get({ key: 'nowhere' })
  await store.getMany([{ key: 'c1' }, { key: 'c2' }])
  await store.neighbors({ key: 'c0' })
  await store.findPath({ key: 'c0' }, { key: 'c2' })
  await store.findPaths({ key: 'c0' }, { key: 'c2' }, { order: 'confidence', limit: 3 })
  await store.findPath({ key: 'c2' }, { key: 'c0' })
  await store.search([1, 0, 0, 0], { k: 3 })
  for await (const _ of store.concepts());
  await store.import([{ kind: 'concept', key: 'imported', content: 'Imported' }])
  await store.forget({ key: 'c5' })
  await expect(store.forget({ key: 'nowhere' })).rejects.toMatchObject({
    code: 'CONCEPT_NOT_FOUND'
  })
  await store.caughtUp()
}

test('what a working store tells survives MessagePack as it is, with type, time and version', async () => {
  const store = await open(await temporaryPath(), { vectors: { dimensions: DIMENSIONS } })
  const { told } = listen(store)
  await work(store)
  await store.rebuild()
  await vi.waitFor(() => expect(told.map(({ type }) => type)).toContain('metrics'), 5000)
  await store.close()

  const kinds = new Set(told.map(({ type }) => type))
  for (const kind of [
    'opened',
    'recovery',
    'commit',
    'commit-failed',
    'group-commit',
    'batch-applied',
    'query',
    'path',
    'rebuild-started',
    'rebuilt',
    'metrics',
    'closed'
  ]) {
    expect(kinds, kind).toContain(kind)
  }
  for (const event of told) {
    expect(unpack(pack(event)), event.type).toStrictEqual(event)
    expect(unplain(event), event.type).toEqual([])
    expect(event.v).toBe(1)
    expect(Math.abs(event.time - Date.now())).toBeLessThan(120_000)
  }
})

test('the fields that are told are those that are documented', async () => {
  const store = await open(await temporaryPath(), { vectors: { dimensions: DIMENSIONS } })
  const { told } = listen(store)
  await work(store)
  await store.close()
  const kinds = new Map(telemetryKinds().map((kind) => [kind.name, kind]))

  for (const { type, time, v, ...fields } of told) {
    const documented = kinds.get(type)?.fields ?? []
    const names = documented.map(({ name }) => name)
    expect(names, type).toEqual(expect.arrayContaining(Object.keys(fields)))
    const needed = documented.filter(({ isOptional }) => !isOptional).map(({ name }) => name)
    expect(Object.keys(fields), type).toEqual(expect.arrayContaining(needed))
  }
})

describe('commits', () => {
  test('each acknowledged commit is told once, with its positions and what it promises', async () => {
    await using store = await open(await temporaryPath())
    const { of } = listen(store)
    const receipts = await Promise.all([
      store.learn({ id: { key: 'a' }, content: 'A' }),
      store.learn({ id: { key: 'b' }, content: 'B' }, { durability: 'os' }),
      store.commit([
        { do: 'learn', id: { key: 'c' }, content: 'C' },
        { do: 'learn', id: { key: 'd' }, content: 'D' }
      ])
    ])
    const commits = of('commit')
    expect(commits).toHaveLength(3)
    for (const [i, { first, last, durability, outcome }] of receipts.entries()) {
      const told = { origin: 'commit', first, last, durability, outcome, events: last - first + 1 }
      expect(commits).toContainEqual(
        expect.objectContaining({ ...told, commands: i === 2 ? 2 : 1 })
      )
    }
    for (const { us, backlog } of commits) {
      expect(us).toBeGreaterThan(0)
      expect(backlog).toBeGreaterThanOrEqual(1)
    }
  })

  test('a retry under its key is told as a duplicate, and what changes nothing has no events', async () => {
    await using store = await open(await temporaryPath())
    const { of } = listen(store)
    await store.learn({ id: { key: 'a' }, content: 'A' }, { idempotencyKey: 'once' })
    await store.learn({ id: { key: 'a' }, content: 'A' }, { idempotencyKey: 'once' })
    await store.learn({ id: { key: 'a' }, content: 'A', ifExists: 'keep' })
    const told = of('commit').map(({ outcome, events }) => ({ outcome, events }))
    expect(told).toEqual([
      { outcome: 'appended', events: 1 },
      { outcome: 'duplicate', events: 1 },
      { outcome: 'appended', events: 0 }
    ])
  })

  test('one that is refused is told with its code, one that is called off as such', async () => {
    await using store = await open(await temporaryPath())
    const { of } = listen(store)
    await expect(store.forget({ key: 'nobody' })).rejects.toThrow()
    // @ts-expect-error Programs in JavaScript may give anything.
    await expect(store.commit(7)).rejects.toThrow(TypeError)
    const away = new AbortController()
    const waiting = store.learn({ content: 'Called off' }, { signal: away.signal })
    away.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    expect(of('commit-failed')).toMatchObject([
      { code: 'CONCEPT_NOT_FOUND', outcome: 'none', commands: 1 },
      { code: 'TypeError', outcome: 'none', commands: 0 }
    ])
    expect(of('commit-aborted')).toMatchObject([{ commands: 1 }])
    expect(of('commit')).toEqual([])
  })

  test('batches of an import are told as such, those of a dry run are not', async () => {
    await using store = await open(await temporaryPath())
    const { of } = listen(store)
    const records = Array.from({ length: 3000 }, (_, i) => {
      return { kind: 'concept' as const, key: `k${i}`, content: `Content ${i}` }
    })
    await store.import(records, { dryRun: true })
    expect(of('commit')).toEqual([])
    await store.import(records)
    const commits = of('commit')
    expect(commits.every(({ origin }) => origin === 'import')).toBe(true)
    expect(commits.reduce((sum, { events }) => sum + events, 0)).toBe(3000)
    expect(store.stats().latency.import.count).toBe(commits.length)
  })
})

describe('reads', () => {
  test('a path is told with what was explored, how, and how long and how certain it is', async () => {
    await using store = await open(await temporaryPath(), { vectors: { dimensions: DIMENSIONS } })
    const { of } = listen(store)
    await work(store)
    const [first, second, third] = of('path')
    expect(first).toMatchObject({ length: 2, paths: 1, strategy: 'breadth-first', order: 'hops' })
    expect(first?.confidence).toBeCloseTo(0.64)
    expect(first?.explored).toBeGreaterThanOrEqual(2)
    expect(second).toMatchObject({ strategy: 'k-shortest', order: 'confidence', maxDepth: 6 })
    expect(third).toMatchObject({ length: -1, paths: 0, confidence: 0 })
    await store.findPath({ key: 'c0' }, { key: 'c0' })
    expect(of('path').at(-1)).toMatchObject({
      length: 0,
      paths: 1,
      strategy: 'none',
      confidence: 1
    })
  })

  test('a query says how deep it went and how certain its first result is', async () => {
    await using store = await open(await temporaryPath(), { vectors: { dimensions: DIMENSIONS } })
    const { of } = listen(store)
    await work(store)
    const query = (kind: string): Of<'query'> | undefined =>
      of('query').find((one) => one.kind === kind)
    expect(query('get')).toMatchObject({ results: 1, confidence: 0.5 })
    expect(query('neighbors')).toMatchObject({ results: 1, depth: 1, confidence: 0.8 })
    expect(query('path')).toMatchObject({ results: 1, depth: 6 })
    expect(query('search')).toMatchObject({ results: 3, k: 3, confidence: 0.5 })
    expect(query('search')?.similarity).toBeGreaterThan(0)
    const [, nothing] = of('query').filter(({ kind }) => kind === 'get')
    expect(nothing).toMatchObject({ results: 0 })
    expect(nothing).not.toHaveProperty('confidence')
  })
})

test('what takes longer than slowMs is told, and with 0 nothing is', async () => {
  const directory = await temporaryPath()
  for (const slowMs of [1, 0]) {
    await using store = await open(directory, { telemetry: { slowMs } })
    const { of } = listen(store)
    // A signal keeps the commit in line for as long as the thread is busy.
    const waiting = store.learn({ content: `Late ${slowMs}` })
    const until = performance.now() + 5
    while (performance.now() < until);
    await waiting
    const slow = of('slow-operation').filter(({ operation }) => operation === 'commit')
    expect(slow).toHaveLength(slowMs)
    if (slowMs === 0) continue
    expect(slow[0]).toMatchObject({ thresholdUs: 1000, what: '1 commands, fsync, at 1 to 1' })
    expect(slow[0]?.us).toBeGreaterThanOrEqual(5000)
  }
})

test('recovery tells what opening read and brought up to date', async () => {
  const directory = await temporaryPath()
  const first = await open(directory, { pipeline: { intervalMs: { max: 100 } } })
  await first.learn({ content: 'Kept' })
  await first.close()
  await using store = await open(directory)
  const { of } = listen(store)
  expect(of('recovery')).toMatchObject([
    {
      position: store.head,
      durableHead: store.head,
      checkpoint: store.head,
      tablesBehind: 0,
      vectorsBehind: 0,
      framesDropped: 0,
      projected: 0,
      rebuilding: false
    }
  ])
  expect(of('recovery')[0]?.framesRead).toBeGreaterThanOrEqual(1)
})

test('statistics are told soon after somebody subscribed, and then at the interval', async () => {
  await using store = await open(await temporaryPath(), { telemetry: { metricsMs: 1000 } })
  const { of } = listen(store)
  await store.learn({ content: 'Something to count' })
  await vi.waitFor(() => expect(of('metrics').length).toBeGreaterThanOrEqual(2), 10_000)
  expect(of('metrics')[0]?.stats.commits.commits).toBe(1)
})

test('without metricsMs none are told', async () => {
  await using store = await open(await temporaryPath(), { telemetry: { metricsMs: 0 } })
  const { of } = listen(store)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(of('metrics')).toEqual([])
})

/** Paths of what is neither a plain object, an array, a string, a number, a boolean nor null. */
function unplain(value: unknown, path = ''): string[] {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return []
  if (typeof value !== 'object') return [path]
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
  if (!isPlain) return [path]
  return Object.entries(value).flatMap(([name, one]) => unplain(one, `${path}.${name}`))
}

test('compactions of both databases are told, with what they wrote', async () => {
  await using store = await open(await temporaryPath(), { durability: 'os' })
  const { of } = listen(store)
  // More than a memtable of either holds.
  const content = 'x'.repeat(10_000)
  await new Promise((resolve) => setTimeout(resolve, 1100))
  for (let i = 0; i < 45; i++) {
    const learned = Array.from({ length: 100 }, (_, n) =>
      store.learn({ id: { key: `${i}-${n}` }, content: `${i}-${n} ${content}` })
    )
    await Promise.all(learned)
  }
  await store.caughtUp()
  await vi.waitFor(() => {
    expect(new Set(of('compaction').map(({ database }) => database))).toEqual(
      new Set(['log', 'tables'])
    )
  }, 20_000)
  for (const { kind, bytes, ms, level } of of('compaction')) {
    expect(['flush', 'merge']).toContain(kind)
    expect(bytes).toBeGreaterThan(0)
    expect(ms).toBeGreaterThanOrEqual(0)
    expect(level).toBeGreaterThanOrEqual(0)
  }
})

test('a log of LevelDB that cannot be read is told of once, and ends nothing', async () => {
  const directory = await temporaryPath()
  await using store = await open(directory, { telemetry: { metricsMs: 1000 } })
  const { of } = listen(store)
  await vi.waitFor(() => expect(of('metrics')).toHaveLength(1), 10_000)
  await rm(join(directory, 'log', 'LOG'))
  await mkdir(join(directory, 'log', 'LOG'))
  const before = of('metrics').length
  await vi.waitFor(() => expect(of('metrics').length).toBeGreaterThan(before + 2), 10_000)
  expect(of('damage-found')).toMatchObject([
    { part: 'files', reason: expect.stringContaining('EISDIR') }
  ])
  await store.learn({ content: 'Still there' })
})

test('a projection that is behind is told of, and when it no longer is', async () => {
  const intervalMs = { min: 100, base: 100, max: 100 }
  await using store = await open(await temporaryPath(), {
    pipeline: { intervalMs },
    durability: 'os'
  })
  const { of } = listen(store)
  // Something is always about to be projected, until there is nothing more.
  const until = performance.now() + 2500
  while (performance.now() < until) {
    await store.learn({ content: `Still coming ${performance.now()}` })
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  await vi.waitFor(() => {
    const lags = of('projection-lag').map(({ lagEvents }) => lagEvents)
    expect(lags.some((events) => events > 0)).toBe(true)
    expect(lags.at(-1)).toBe(0)
  }, 10_000)
  for (const { lagEvents, lagMs, projection, state } of of('projection-lag')) {
    expect({ projection, state }).toEqual({ projection: 'tables', state: 'running' })
    expect(lagMs > 0).toBe(lagEvents > 0)
  }
})

describe('latencies', () => {
  test('of syncs, of lag and of reads of many are measured where they happen', async () => {
    await using store = await open(await temporaryPath())
    await store.learn({ id: { key: 'a' }, content: 'A' })
    const { fsync } = store.stats().latency
    expect(fsync).toMatchObject({ count: 1, recent: { count: 1 } })
    await store.learn({ id: { key: 'b' }, content: 'B' }, { durability: 'os' })
    expect(store.stats().latency.fsync.count).toBe(1)
    await store.caughtUp()
    await store.getMany([{ key: 'a' }, { key: 'b' }])
    const { lag, projection, getMany, commit } = store.stats().latency
    expect(lag.count).toBeGreaterThanOrEqual(projection.count)
    expect(lag.maxUs).toBeGreaterThan(0)
    expect(getMany.count).toBe(1)
    // Acknowledged after it was synced.
    expect(commit.maxUs).toBeGreaterThan(fsync.maxUs)
  })

  test('a commit counts from the call on, however long it waits, and its texts by themselves', async () => {
    const embed = async (texts: string[]): Promise<Float32Array[]> => {
      await new Promise((resolve) => setTimeout(resolve, 30))
      return texts.map(() => new Float32Array([1, 0]))
    }
    await using store = await open(await temporaryPath(), { vectors: { dimensions: 2 }, embed })
    await store.learn({ content: 'To be embedded' })
    await store.search('as well')
    const { embed: embedded, commit, search } = store.stats().latency
    expect(embedded.count).toBe(2)
    expect(commit.maxUs).toBeGreaterThan(29_000)
    expect(search.maxUs).toBeGreaterThan(29_000)
  })
})
