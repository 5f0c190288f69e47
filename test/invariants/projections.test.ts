/** The invariants of DESIGN that the derived state keeps: 3, 4, 5, 6 and 8. */
import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { open, type Store } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import { checkFrame } from '#sutra/log/frame.js'
import type { RawFrame } from '#sutra/log/frame-decode.js'
import { readWriterState, tablesTuning } from '#sutra/projections/tables/generation.js'
import { META, PREFIX } from '#sutra/projections/tables/keys.js'
import { decodeNumber, decodeRecord, openRow } from '#sutra/projections/tables/rows.js'
import { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'
import { TablesWriter } from '#sutra/projections/tables/tables-writer.js'
import { Level } from '#sutra/storage/level.js'
import { changeRow, logOf, type Row, rowsOf, tablesOf } from '../support/raw.ts'
import { fillSample, look, sampleStore, VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

test('3 no checkpoint passes the durable head; one ahead of the log is refused', async () => {
  const directory = await temporaryPath()
  const store = await open(directory, VECTORS)
  let batches = 0
  const watching = store.telemetry$.subscribe((event) => {
    if (event.type !== 'batch-applied') return
    batches += 1
    expect(event.to).toBeLessThanOrEqual(store.stats().durableHead)
  })
  for (let n = 1; n <= 300; n++) {
    await store.learn({ content: `${n}`, embedding: vectorOf(n) }, { durability: 'os' })
    const { durableHead, pipeline } = store.stats()
    for (const { position } of Object.values(pipeline.projections)) {
      expect(position).toBeLessThanOrEqual(durableHead)
    }
    if (n % 50 === 0) await store.caughtUp()
  }
  watching.unsubscribe()
  await store.close()
  expect(batches).toBeGreaterThan(1)

  const older = join(dirname(directory), 'older')
  await cp(directory, older, { recursive: true })
  const later = await open(directory)
  await later.learn({ content: 'Later' })
  const checkpoint = later.head
  await later.close()
  for (const part of ['log', 'HEAD']) {
    await rm(join(directory, part), { recursive: true })
    await cp(join(older, part), join(directory, part), { recursive: true })
  }
  const details = { projection: 'tables', checkpoint, head: checkpoint - 1 }
  const opening = open(directory)
  await expect(opening).rejects.toMatchObject({ code: 'LOG_BEHIND_CHECKPOINT', details })
})

test('4 a checkpoint only moves forward; a rebuild starts at 0 beside the old state', async () => {
  const { directory, before } = await sampleStore()
  await using store = await open(directory)
  const seen: number[] = []
  const note = (): void => {
    seen.push(store.stats().pipeline.projections['tables']?.position ?? -1)
  }
  const noting = store.telemetry$.subscribe(note)
  const progress: { done: number; generations: string[] }[] = []
  const generations = async (): Promise<string[]> =>
    (await readdir(join(directory, 'tables'))).filter((name) => /^\d+$/.test(name)).sort()
  const [old] = await generations()
  const looking: Promise<void>[] = []

  await store.rebuild({
    projections: ['tables'],
    onProgress: ({ done }) => {
      note()
      looking.push(generations().then((names) => void progress.push({ done, generations: names })))
    }
  })

  await Promise.all(looking)
  expect(progress[0]).toMatchObject({ done: 0, generations: [old, expect.any(String)] })
  await store.learn({ content: 'Later' })
  await store.caughtUp()
  noting.unsubscribe()
  note()
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
  expect(seen[0]).toBe(before.position)
  expect(seen.at(-1)).toBe(before.position + 1)

  // The assertion that stays on: frames at or before the checkpoint are not applied again.
  const frames = await framesOf(directory, store)
  const level = await scratch()
  const writer = new TablesWriter(level, await readWriterState(level))
  await writer.apply(frames.slice(0, 3))
  await expect(writer.apply(frames.slice(2, 4))).rejects.toThrow(/Invariant broken/)
  await level.close()
})

test('5 rows, checkpoint and continuity record change in one batch, and rows prove themselves', async () => {
  const { directory } = await sampleStore()
  const store = await open(directory)
  const tables = await Level.open(await tablesOf(directory), tablesTuning(0))
  let checked = 0
  const check = async (): Promise<void> => {
    const snapshot = new TablesSnapshot(tables, { onClosed() {}, onDamaged() {} })
    try {
      let concepts = 0
      for await (const states of snapshot.concepts(0)) {
        concepts += states.length
        for (const { position } of states) expect(position).toBeLessThanOrEqual(snapshot.checkpoint)
      }
      expect(concepts).toBe(snapshot.counts().concepts)
      checked += 1
    } finally {
      await snapshot.release()
    }
  }
  for (let n = 1; n <= 200; n++) {
    await store.learn({ content: `Content ${n}` }, { durability: 'os' })
    if (n % 5 === 0) await check()
  }
  await tables.close()
  await store.close()
  expect(checked).toBe(40)
  const rows = await rowsOf(await tablesOf(directory))
  const records = rows.filter(([key]) => key[0] === PREFIX.record)
  const checkpoint = rows.find(([key]) => key.equals(META.checkpoint)) as Row
  const [key, value] = records.at(-1) as Row
  expect(decodeRecord(openRow(key, value)).to).toBe(decodeNumber(openRow(...checkpoint)))

  // A checksum covers the key: a whole row in another's place is met.
  const [one, two] = rows.filter(([found]) => found[0] === PREFIX.concept)
  if (one === undefined || two === undefined) throw new Error('There are too few concepts')
  await changeRow(await tablesOf(directory), one[0], two[1])
  await using damaged = await open(directory)
  const reading = look(damaged)
  const details = { key: one[0].toString('hex') }
  await expect(reading).rejects.toMatchObject({ code: 'TABLES_DAMAGED', details })
})

test('6 projecting depends on nothing but state and events', async () => {
  const { directory } = await sampleStore()
  await using store = await open(directory)
  const frames = await framesOf(directory, store)
  const splits = [frames.length, 1, 2, 3, 7]
  const forbidden = (): never => {
    throw new Error('A projection asked for the time, or for a random number')
  }
  const clock = vi.spyOn(Date, 'now').mockImplementation(forbidden)
  const random = vi.spyOn(Math, 'random').mockImplementation(forbidden)
  const results: Row[][] = []

  try {
    for (const size of splits) {
      const level = await scratch()
      const writer = new TablesWriter(level, await readWriterState(level))
      for (let at = 0; at < frames.length; at += size) {
        await writer.apply(frames.slice(at, at + size))
      }
      const rows: Row[] = []
      for await (const block of level.blocks({})) rows.push(...block)
      // The continuity records tell of the batches themselves.
      results.push(rows.filter(([key]) => key[0] !== PREFIX.record))
      await level.close()
    }
  } finally {
    clock.mockRestore()
    random.mockRestore()
  }

  expect(results[0]?.length).toBeGreaterThan(30)
  for (const rows of results) expect(rows).toEqual(results[0])
})

test('8 rebuilding yields the same state, and equal content the same content hash', async () => {
  const { directory, before } = await sampleStore()
  const store = await open(directory)
  await store.rebuild()
  expect(await look(store)).toEqual(before)
  await store.close()
  for (const part of ['tables', 'vectors']) await rm(join(directory, part), { recursive: true })
  const rebuilt = await open(directory)
  expect(await look(rebuilt)).toEqual(before)
  await rebuilt.close()

  // The same content on another way: other positions, times and versions.
  const other = await open(await temporaryPath('other'), VECTORS)
  await fillSample(other)
  for (let n = 3; n >= 1; n--) {
    await other.learn({ id: { key: `early${n}` }, content: 'Draft', type: 'early' })
    await other.revise({ key: `early${n}` }, { content: `Early ${n}` })
  }
  expect(await other.contentHash()).toBe(before.contentHash)
  expect(await other.stateHash()).not.toBe(before.stateHash)
  await other.revise({ key: 'k1' }, { metadata: { n: 2 } })
  expect(await other.contentHash()).not.toBe(before.contentHash)
  await other.close()
})

/** The frames of an open store, as its projections read them. */
async function framesOf(directory: string, store: Store): Promise<RawFrame[]> {
  await store.caughtUp()
  const log = await Level.open(logOf(directory), tablesTuning(0))
  const frames: RawFrame[] = []
  for await (const rows of log.blocks({})) {
    for (const [key, value] of rows) {
      frames.push({ ...checkFrame(key, value, value.subarray(16, 32)), value })
    }
  }
  await log.close()
  return frames
}

/** An empty database for tables. */
async function scratch(): Promise<Level> {
  const path = await temporaryPath('tables')
  await mkdir(path, { recursive: true })
  return Level.create(path, tablesTuning(0))
}
