/** The invariants of DESIGN that the log keeps: 1, 2, 7, 9 and 10. */
import { randomBytes } from 'node:crypto'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { decodeFrame } from '#sutra/log/frame-decode.js'
import { LevelLog } from '#sutra/log/level-log.js'
import { Child } from '../support/child.ts'
import { commitOf } from '../support/commits.ts'
import { changeRow, deleteRows, flipped, logOf, type Row, rowsOf } from '../support/raw.ts'
import { look, sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

test('1 positions have no gaps, and each frame names the checksum of the one before', async () => {
  const directory = await temporaryPath()
  const store = await open(directory)
  // Many writers share frames; some commits are refused, some abort, some change nothing.
  await Promise.all(Array.from({ length: 12 }, async (_, writer) => write(store, writer)))
  const { head } = store
  const positions: number[] = []
  for await (const { position } of store.events()) positions.push(position)
  await store.close()

  expect(positions).toEqual(Array.from({ length: head }, (_, index) => index + 1))
  let [next, previous] = [1, 0]
  for (const [key, value] of await rowsOf(logOf(directory))) {
    const frame = decodeFrame(key, value, value.subarray(16, 32))
    expect([frame.first, frame.previous]).toEqual([next, previous])
    next = frame.last + 1
    previous = frame.checksum
  }
  expect(next).toBe(head + 1)

  // The assertion that stays on.
  const parent = await temporaryPath()
  await mkdir(parent)
  const log = await LevelLog.create(parent, randomBytes(16))
  const append = log.append([commitOf(2, ['gap'])], { durable: true })
  await expect(append).rejects.toThrow(/invariant 1/i)
  expect(log.head).toBe(0)
  await log.close()
})

test('2 a frame never changes after it is written', async () => {
  const { directory } = await sampleStore()
  const frames = new Map<string, string>()
  const doings: ((store: Store) => Promise<unknown>)[] = [
    async () => undefined,
    async (store) => store.revise({ key: 'k1' }, { content: 'Other', metadata: { a: 1 } }),
    async (store) => store.forget({ key: 'k2' }),
    async (store) => store.rebuild(),
    async (store) => store.checkpoint(),
    async (store) => store.learn({ id: { key: 'k2' }, content: 'Again' }, { durability: 'os' })
  ]

  for (const doing of doings) {
    const store = await open(directory)
    await doing(store)
    await store.close()
    const rows = await rowsOf(logOf(directory))
    expect(rows.length).toBeGreaterThanOrEqual(frames.size)
    for (const [key, value] of rows) {
      const known = frames.get(key.toString('hex'))
      if (known !== undefined) expect(value.toString('hex')).toBe(known)
      frames.set(key.toString('hex'), value.toString('hex'))
    }
    expect(frames.size).toBe(rows.length)
  }
})

test('7 after the first failed durable write nothing is written until the store is reopened', async () => {
  const { directory, before: sample } = await sampleStore()
  const intervalMs = { min: 100, base: 100, max: 100 }
  const store = await open(directory, { pipeline: { intervalMs } })
  // Syncing what was not synced opens its files by name, which fails from here on.
  await rename(logOf(directory), join(directory, 'away'))
  await store.learn({ content: 'Not synced yet' }, { durability: 'os' })

  const failed = store.learn({ content: 'Never told' })

  await expect(failed).rejects.toMatchObject({ code: 'WRITE_FAILED', outcome: 'unknown' })
  await rename(join(directory, 'away'), logOf(directory))
  const before = await look(store)
  expect(before.position).toBe(sample.position + 1)
  expect(before.counts.concepts).toBe(sample.counts.concepts + 1)
  for (const durability of ['fsync', 'interval', 'os'] as const) {
    const later = store.learn({ content: 'Too late' }, { durability })
    await expect(later).rejects.toMatchObject({ code: 'STORE_POISONED', outcome: 'none' })
  }
  expect(await look(store)).toEqual(before)
  const view = await store.view()
  expect(await view.stateHash()).toBe(before.stateHash)
  await view.close()
  await store.close()
  const rows = await rowsOf(logOf(directory))
  expect(rows.length).toBeLessThanOrEqual(before.position + 1)
  await using again = await open(directory)
  expect((await again.learn({ content: 'Welcome' })).outcome).toBe('appended')
})

test('9 a torn tail is dropped and told, a hole in the middle is never skipped', async () => {
  const torn = await sampleStore()
  const middle = await sampleStore()

  // Frames behind the watermark were never promised to survive.
  const [storeId, last] = await lastFrame(torn.directory)
  const log = await LevelLog.open(torn.directory, storeId)
  await log.recover(0, false)
  await log.append([commitOf(log.head + 1, ['unsynced'])], { durable: false })
  await log.append([commitOf(log.head + 1, ['unsynced too'])], { durable: false })
  await log.close()
  const row = (await rowsOf(logOf(torn.directory))).at(-2) as Row
  await changeRow(logOf(torn.directory), row[0], flipped(row[1], 50))
  await using store = await open(torn.directory)
  const told: unknown[] = []
  store.telemetry$.subscribe((event) => told.push(event)).unsubscribe()
  const dropped = { type: 'torn-tail-dropped', position: last + 1, frames: 2 }
  expect(told).toContainEqual(expect.objectContaining(dropped))
  expect(await look(store)).toEqual(torn.before)

  const keys = (await rowsOf(logOf(middle.directory))).map(([key]) => key)
  const key = keys[10] as Buffer
  await deleteRows(logOf(middle.directory), [key])
  const position = Number(key.readBigUInt64BE())
  const details = { from: position, to: position }
  await using holed = await open(middle.directory)
  const reading = (async () => {
    for await (const _ of holed.events());
  })()
  await expect(reading).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
  expect(await holed.verify()).toMatchObject({ ok: false, problems: [details] })
})

test('10 an acknowledged commit is in every later read and view, also after a kill', async () => {
  const directory = await temporaryPath()
  const store = await open(directory)
  for (let n = 1; n <= 40; n++) {
    await store.learn({ id: { key: `n${n}` }, content: `Number ${n}` }, { durability: 'os' })
    await using view = await store.view()
    expect(await store.has({ key: `n${n}` })).toBe(true)
    expect(await view.has({ key: `n${n}` })).toBe(true)
    expect((await store.counts()).concepts).toBe(n)
  }
  await store.close()
  const plan = { commits: 1e6, durabilities: ['os', 'fsync', 'interval'] }
  const child = new Child('support/writer.mjs', [directory, JSON.stringify(plan)])
  await child.after(60)

  const { lines } = await child.kill()

  await using again = await open(directory)
  const acknowledged = lines.filter((line) => 'ack' in line).length
  expect(acknowledged).toBeGreaterThanOrEqual(60)
  expect(again.head).toBeGreaterThanOrEqual(40 + acknowledged)
  for (let n = 1; n <= acknowledged; n++) expect(await again.has({ key: `k${n}` })).toBe(true)
})

async function write(store: Store, writer: number): Promise<void> {
  for (let n = 0; n < 20; n++) {
    const id = { key: `w${writer}-${n}` }
    const options = { durability: n % 3 === 0 ? 'fsync' : 'os' } as const
    switch (n % 5) {
      case 1:
        await expect(store.learn({ id, content: '' }, options)).rejects.toThrow()
        break
      case 2: {
        const stop = new AbortController()
        const aborted = store.learn({ id, content: 'x' }, { ...options, signal: stop.signal })
        stop.abort()
        await aborted.catch(() => undefined)
        break
      }
      case 3:
        await store.learn({ id: { key: `w${writer}-0` }, content: 'y', ifExists: 'keep' }, options)
        break
      default:
        await store.commit(
          [
            { do: 'learn', id, content: 'x' },
            { do: 'associate', source: id, target: id, type: 'self' }
          ],
          options
        )
    }
  }
}

async function lastFrame(directory: string): Promise<[storeId: Buffer, last: number]> {
  const [key, value] = (await rowsOf(logOf(directory))).at(-1) as Row
  const storeId = value.subarray(16, 32)
  return [storeId, decodeFrame(key, value, storeId).last]
}
