import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConceptId, type Durability, isStoreError, open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { checkFrame, positionOfKey, sealFrame } from '#sutra/log/frame.js'
import { LevelLog } from '#sutra/log/level-log.js'
import { TableFile } from '#sutra/storage/table-file.js'
import { readFormat } from '#sutra/store/format.js'
import { commitOf } from '../support/commits.ts'
import { changeRow, deleteRows, filesOf, flipFile, flipped, logOf, rowsOf } from '../support/raw.ts'
import { look, makeSample, sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

describe('damage to the log of a closed store', () => {
  test('FORMAT missing while there are frames is damage, never a new store', async () => {
    const { directory } = await sampleStore()
    await rm(join(directory, 'FORMAT'))
    const before = await rowsOf(logOf(directory))

    const opening = open(directory)

    const details = { file: 'FORMAT', reason: expect.any(String) }
    await expect(opening).rejects.toMatchObject({ code: 'STORE_DAMAGED', details })
    expect(await rowsOf(logOf(directory))).toEqual(before)
  })

  test.each(['', '{', 'null', '5', '{"format":1}', '{"format":1,"storeId":"x","createdAt":""}'])(
    'FORMAT with %j is damage',
    async (text) => {
      const { directory } = await sampleStore()
      await writeFile(join(directory, 'FORMAT'), text)

      const details = { file: 'FORMAT', reason: expect.any(String) }
      await expect(open(directory)).rejects.toMatchObject({ code: 'STORE_DAMAGED', details })
    }
  )

  test('HEAD missing is damage', async () => {
    const { directory } = await sampleStore()
    await rm(join(directory, 'HEAD'))

    const details = { file: 'HEAD', reason: expect.any(String) }
    await expect(open(directory)).rejects.toMatchObject({ code: 'STORE_DAMAGED', details })
  })

  test('one slot of HEAD flipped: the other one is read', async () => {
    for (const at of [20, 532]) {
      const { directory, before } = await sampleStore()
      await flipFile(join(directory, 'HEAD'), at)

      await using store = await open(directory)

      expect(await look(store)).toEqual(before)
    }
  })

  test('both slots of HEAD flipped is damage', async () => {
    const { directory } = await sampleStore()
    await flipFile(join(directory, 'HEAD'), 20)
    await flipFile(join(directory, 'HEAD'), 532)

    const details = { file: 'HEAD', reason: expect.any(String) }
    await expect(open(directory)).rejects.toMatchObject({ code: 'STORE_DAMAGED', details })
  })

  test('the database of the log lost is damage', async () => {
    for (const lost of ['log', 'log/CURRENT']) {
      const { directory } = await sampleStore()
      await rm(join(directory, lost), { recursive: true })

      const details = { file: 'log', reason: expect.any(String) }
      await expect(open(directory)).rejects.toMatchObject({ code: 'STORE_DAMAGED', details })
    }
  })

  test('a bit flipped in the last frame is found when the store is opened', async () => {
    const { directory } = await sampleStore()
    const rows = await rowsOf(logOf(directory))
    const [key, value] = rows.at(-1) ?? []
    if (key === undefined || value === undefined) throw new Error('The log is empty')

    for (const at of [0, 8, 20, 33, 45, value.length - 1]) {
      await changeRow(logOf(directory), key, flipped(value, at))
      const position = Number(key.readBigUInt64BE())
      const details = { from: position, to: position, reason: expect.any(String) }
      await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
    }
    await changeRow(logOf(directory), key, value)
    await using store = await open(directory)
    expect((await store.verify()).ok).toBe(true)
  })

  test('a bit flipped in a frame below the checkpoint is never read as if it were whole', async () => {
    const { directory, before } = await sampleStore()
    const rows = await rowsOf(logOf(directory))
    const [key, value] = rows[4] ?? []
    if (key === undefined || value === undefined) throw new Error('The log is short')
    await changeRow(logOf(directory), key, flipped(value, value.length - 2))
    const position = Number(key.readBigUInt64BE())

    await using store = await open(directory)

    expect(await look(store)).toEqual(before)
    await expectDamage(store, position, position)
  })

  test('a frame deleted in the middle is a hole with its positions', async () => {
    const { directory, before } = await sampleStore()
    const keys = (await rowsOf(logOf(directory))).map(([key]) => key)
    await deleteRows(logOf(directory), keys.slice(4, 6))
    const [from, to] = [4, 6].map((at) => Number(keys[at]?.readBigUInt64BE()))

    await using store = await open(directory)

    expect(await look(store)).toEqual(before)
    await expectDamage(store, from ?? 0, (to ?? 0) - 1)
  })

  test('a hole behind the checkpoint is found when the store is opened', async () => {
    const { directory } = await sampleStore()
    await rm(join(directory, 'tables'), { recursive: true })
    const keys = (await rowsOf(logOf(directory))).map(([key]) => key)
    await deleteRows(logOf(directory), keys.slice(0, 1))

    const details = { from: 1, to: 1, reason: expect.any(String) }
    await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
  })

  test('frames lost at the end are missed', async () => {
    const { directory, before } = await sampleStore()
    const { position } = before
    const keys = (await rowsOf(logOf(directory))).map(([key]) => key)
    await deleteRows(logOf(directory), keys.slice(-2))

    const opening = open(directory)

    const details = { from: position - 1, to: position, reason: expect.any(String) }
    await expect(opening).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
    await rm(join(directory, 'tables'), { recursive: true })
    await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
  })

  test('a frame put in the place of another breaks the chain', async () => {
    const { directory } = await sampleStore()
    const other = await temporaryPath('other')
    await makeSample(other)
    const [key, value] = (await rowsOf(logOf(other))).at(-1) ?? []
    if (key === undefined || value === undefined) throw new Error('The log is empty')
    await changeRow(logOf(directory), key, value)

    await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
  })

  // Whole in itself and of the right store: only the frame behind it tells.
  test('a frame sealed anew breaks the chain behind it', async () => {
    const { directory } = await sampleStore()
    const { storeId } = await readFormat(directory)
    const [key, value] = (await rowsOf(logOf(directory)))[3] ?? []
    if (key === undefined || value === undefined) throw new Error('The log is short')
    const header = checkFrame(key, value, storeId)
    const body = value.subarray(value.length - value.readUInt32LE(36))
    const sealed = sealFrame(body, { ...header, time: (header.time ?? 0) + 1, storeId })
    await changeRow(logOf(directory), key, sealed.value)

    await using store = await open(directory)
    const { problems } = await store.verify()

    const from = header.last + 1
    expect(problems).toEqual([
      expect.objectContaining({ part: 'log', reason: 'the chain is broken', from })
    ])
  })
})

describe('the positions told of a damaged table file', () => {
  test('hold what was hit, and no frame that is whole', async () => {
    const directory = await temporaryPath()
    // Two files, frames of several events, several blocks in each file.
    const frames: { first: number; last: number }[] = []
    for (let part = 0; part < 2; part++) {
      await using store = await open(directory)
      for (let n = 0; n < 30; n++) {
        const content = (at: number): string => `${part} ${n} ${at} `.padEnd(400, 'x')
        const events = Array.from({ length: 1 + ((n * 7) % 5) }, (_, at) => content(at))
        frames.push(await store.commit(events.map((text) => ({ do: 'learn', content: text }))))
      }
    }
    const files = await filesOf(logOf(directory), '.ldb')
    expect(files).toHaveLength(2)

    for (const file of files) {
      const bytes = await readFile(file)
      const firsts = [...new TableFile(bytes).entries()].map(({ key }) => positionOfKey(key))
      const ends = frames.filter(({ first }) => firsts.includes(first)).map(({ last }) => last)
      for (let n = 0; n < 24; n++) {
        const damaged = flipped(bytes, Math.floor((bytes.length * (n + 0.5)) / 24))
        await writeFile(file, damaged)
        const left = [...new TableFile(damaged).entries()].map(({ key }) => positionOfKey(key))
        const lost = frames.filter(({ first }) => firsts.includes(first) && !left.includes(first))

        const { from, to } = await refusedAt(directory)

        // Without a bit of a frame lost, as in the index, it is the whole file.
        expect(from).toBe(lost[0]?.first ?? Math.min(...firsts))
        expect(to).toBe(lost.at(-1)?.last ?? Math.max(...ends))
      }
      await writeFile(file, bytes)
    }
  })
})

async function refusedAt(directory: string): Promise<{ from: number; to: number }> {
  const error: unknown = await open(directory).catch((cause: unknown) => cause)
  if (!isStoreError(error, 'LOG_DAMAGED')) throw error
  const { from, to } = error.details
  return { from, to }
}

describe('damage to the log of a store that was killed', () => {
  test('a bit flipped below the watermark is damage, with the positions', async () => {
    const directory = await killedStore('fsync', 20)
    const [file] = await filesOf(logOf(directory), '.log')
    if (file === undefined) throw new Error('A killed store has a write-ahead log')

    await flipFile(file, 2500)

    const opening = open(directory)
    await expect(opening).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
    const error: unknown = await opening.catch((cause: unknown) => cause)
    if (!isStoreError(error, 'LOG_DAMAGED')) throw error
    expect(error.details.from).toBeGreaterThan(1)
    expect(error.details.to).toBeLessThanOrEqual(20)
  })

  test('a tail cut off below the watermark is damage', async () => {
    const directory = await killedStore('fsync', 20)
    const [file] = await filesOf(logOf(directory), '.log')
    if (file === undefined) throw new Error('A killed store has a write-ahead log')

    await truncate(file, 10_000)

    const details = { to: 20, reason: expect.any(String) }
    await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
  })

  test('a bit flipped beyond the watermark drops the tail, and every subscriber is told', async () => {
    const directory = await killedStore('os', 60)
    const [file] = await filesOf(logOf(directory), '.log')
    if (file === undefined) throw new Error('A killed store has a write-ahead log')
    await flipFile(file, 12_500)
    const readOnly = await open(directory, { readOnly: true })
    const kept = readOnly.head
    expect(kept).toBeGreaterThan(5)
    // LevelDB goes on with the next block of 32 KiB, so that frames stand behind a hole.
    expect(kept).toBeLessThan(30)
    const events: number[] = []
    for await (const { position } of readOnly.events()) events.push(position)
    expect(events).toHaveLength(kept)
    await readOnly.close()

    await using store = await open(directory)

    const findings: unknown[] = []
    store.telemetry$.subscribe((event) => findings.push(event)).unsubscribe()
    const dropped = { type: 'torn-tail-dropped', position: kept + 1, reason: expect.any(String) }
    expect(findings).toContainEqual(expect.objectContaining(dropped))
    expect(store.head).toBe(kept)
    expect(await store.has(idOf(kept))).toBe(true)
    expect(await store.has(idOf(kept + 1))).toBe(false)
    await store.learn({ id: { key: 'later' }, content: 'Later' })
    expect(await store.verify()).toMatchObject({ ok: true, position: kept + 1 })
  })

  test.each([
    ['before the last sync is damage', 12_500, 'LOG_DAMAGED'],
    ['behind it drops the tail, as if it had not been written', 45_000, undefined]
  ])('with `interval`, a bit flipped %s', async (_, offset, code) => {
    const directory = await killedStore('interval', 60)
    const [file] = await filesOf(logOf(directory), '.log')
    if (file === undefined) throw new Error('A killed store has a write-ahead log')
    await flipFile(file, offset)

    const opening = open(directory)

    if (code !== undefined) {
      await expect(opening).rejects.toMatchObject({ code })
      return
    }
    await using store = await opening
    expect(store.head).toBeGreaterThanOrEqual(30)
    expect(store.head).toBeLessThan(60)
    expect((await store.verify()).ok).toBe(true)
  })
})

/** Frames of a kilobyte each, in LevelDB's own log file, as a process that was killed leaves them. */
async function killedStore(durability: Durability, frames: number): Promise<string> {
  const directory = await temporaryPath()
  await (await open(directory)).close()
  const { storeId } = await readFormat(directory)
  const log = await LevelLog.open(directory, storeId)
  await log.recover(0, false)
  for (let first = 1; first <= frames; first++) {
    const commit = commitOf(first, [`${first} `.padEnd(1000, 'x')])
    await log.append([commit], { durable: durability === 'fsync' })
    if (durability === 'interval' && first === frames / 2) await log.sync()
  }
  // Closing writes nothing.
  await log.close()
  return directory
}

function idOf(position: number): ConceptId {
  return ConceptId.fromContent(`${position} `.padEnd(1000, 'x'))
}

/** Reading the damaged stretch fails with its positions; `verify` finds it. */
async function expectDamage(store: Store, from: number, to: number): Promise<void> {
  const reading = async (): Promise<void> => {
    for await (const _ of store.events());
  }
  const details = { from, to, reason: expect.any(String) }
  await expect(reading()).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
  await expect(store.rebuild()).rejects.toMatchObject({ code: 'LOG_DAMAGED', details })
  const report = await store.verify()
  expect(report).toMatchObject({ ok: false, problems: [{ part: 'log', from, to }] })
}
