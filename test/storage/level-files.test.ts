/** LevelDB's files as we read and check them ourselves. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { maskedCrc32c } from '#sutra/storage/crc32c.js'
import { checkTableFile, findDamagedFile } from '#sutra/storage/database-files.js'
import { Level } from '#sutra/storage/level.js'
import { uncompressSnappy } from '#sutra/storage/snappy.js'
import { type TableEntry, TableFile } from '#sutra/storage/table-file.js'
import { entriesOf } from '#sutra/storage/write-ahead-file.js'
import { Random } from '../support/random.ts'
import { filesOf, flipped, rowsOf } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

const TUNING = { cacheBytes: 2 ** 20, writeBufferBytes: 2 ** 22, maxFileBytes: 2 ** 21 }

/** A bit of every so many bytes is flipped. */
const STEP = 17

test('CRC-32C has the value of the standard', () => {
  expect(unmasked(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(unmasked(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(unmasked(Buffer.alloc(0))).toBe(0)
})

/** LevelDB stores it rotated and shifted, so that it may lie within what another one covers. */
function unmasked(bytes: Buffer): number {
  const shifted = (maskedCrc32c(bytes) - 0xa282ead8) >>> 0
  return ((shifted >>> 17) | (shifted << 15)) >>> 0
}

describe('a table file', () => {
  test('gives the rows that LevelDB gives', async () => {
    const path = await database(flushed)
    const [file = ''] = await filesOf(path, '.ldb')

    const entries = [...(await TableFile.read(file)).entries()]

    expect(entries.map(({ key, value }) => [key, value])).toEqual(await rowsOf(path))
    expect(await checkTableFile(file)).toMatchObject({ problem: undefined })
  })

  test('with a bit flipped anywhere is found damaged, or reads the same', async () => {
    const path = await database(flushed)
    const [file = ''] = await filesOf(path, '.ldb')
    const bytes = await readFile(file)
    const before = plain(new TableFile(bytes).entries())
    let found = 0

    for (let at = 0; at < bytes.length; at += STEP) {
      const damaged = new TableFile(flipped(bytes, at))
      await writeFile(file, flipped(bytes, at))
      const problem = (await checkTableFile(file))?.problem
      if (problem !== undefined) found += 1
      else expect(plain(damaged.entries())).toEqual(before)
      // What is left of it is a part of what was there.
      for (const [key, value] of plain(damaged.entries())) {
        expect(before).toContainEqual([key, value])
        if (at > 70) break
      }
    }

    expect(found).toBeGreaterThan(bytes.length / STEP - 12)
  }, 120_000)

  test('cut short is found damaged, wherever it is cut', async () => {
    const path = await database(flushed)
    const [file = ''] = await filesOf(path, '.ldb')
    const bytes = await readFile(file)

    for (let length = 0; length < bytes.length; length += 97) {
      await writeFile(file, bytes.subarray(0, length))
      expect(await findDamagedFile(path, Number.POSITIVE_INFINITY)).toMatchObject({ file })
    }
  })

  test('gives every row of large blocks when its footer or its index is lost', async () => {
    const random = new Random()
    const rows = Array.from({ length: 20 }, (_, n): [Buffer, Buffer] => [
      Buffer.from(`row ${String(n).padStart(3, '0')}`),
      random.bytes(50_000)
    ])
    const path = await database(async (level) => {
      for (const [key, value] of rows) await level.put(key, value, { sync: false })
      await level.flush()
    })
    const [file = ''] = await filesOf(path, '.ldb')
    const bytes = await readFile(file)

    for (const fromEnd of [3, 60, 90]) {
      const damaged = new TableFile(flipped(bytes, bytes.length - fromEnd))
      await writeFile(file, flipped(bytes, bytes.length - fromEnd))
      expect((await checkTableFile(file))?.problem).toBeDefined()
      expect(plain(damaged.entries())).toEqual(expect.arrayContaining(rows.map(hexRow)))
    }
  })

  test('larger than the window it is checked through is found damaged, wherever that is', async () => {
    const random = new Random()
    const path = await database(async (level) => {
      // One block that is larger than the window, and more of others than one window holds.
      await level.put(Buffer.from('large'), random.bytes(700_000), { sync: false })
      for (let n = 0; n < 60; n++) {
        await level.put(Buffer.from(`row ${n}`), random.bytes(20_000), { sync: false })
      }
      await level.flush()
    })
    const [file = ''] = await filesOf(path, '.ldb')
    const bytes = await readFile(file)
    expect(await checkTableFile(file)).toEqual({ bytes: bytes.length, problem: undefined })

    for (let round = 0; round < 20; round++) {
      // Behind the blocks of rows lie the filter and the index.
      const at = random.below(bytes.length - 20_000)
      await writeFile(file, flipped(bytes, at))
      const problem = (await checkTableFile(file))?.problem
      expect(problem?.offset, `seed ${random.seed}`).toBeLessThanOrEqual(at)
      expect(problem?.offset, `seed ${random.seed}`).toBeGreaterThan(at - 710_000)
      expect(problem?.reason).toBe('a block is damaged')
    }
  })

  test('is left unchecked beyond the budget, the smallest ones first', async () => {
    const path = await database(flushed)
    const [file = ''] = await filesOf(path, '.ldb')
    const bytes = await readFile(file)
    await writeFile(file, flipped(bytes, 10))

    expect(await findDamagedFile(path, bytes.length - 1)).toBeUndefined()
    expect(await findDamagedFile(path, bytes.length)).toMatchObject({ file, offset: 0 })
  })
})

describe('a write-ahead file', () => {
  test('gives the rows that were written, large ones too', async () => {
    const path = await database(async () => undefined)
    const [file = ''] = await filesOf(path, '.log')

    expect(plain(entriesOf(await readFile(file)))).toEqual(ROWS.map(hexRow))
  })

  test('with a bit flipped loses the row that it hits and no other', async () => {
    const path = await database(async () => undefined)
    const [file = ''] = await filesOf(path, '.log')
    const bytes = await readFile(file)
    const random = new Random()

    for (let round = 0; round < 60; round++) {
      const left = plain(entriesOf(flipped(bytes, random.below(bytes.length))))
      const lost = ROWS.length - left.length
      expect(lost, `seed ${random.seed}`).toBeLessThanOrEqual(1)
      expect(ROWS.map(hexRow)).toEqual(expect.arrayContaining(left))
    }
  })
})

test('what is no block of Snappy is refused, in bounded memory', () => {
  const random = new Random()
  for (let round = 0; round < 5000; round++) {
    const bytes = random.bytes(random.below(60))
    try {
      expect(uncompressSnappy(bytes, 1000).length).toBeLessThanOrEqual(1000)
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError)
    }
  }
})

const ROWS = Array.from({ length: 400 }, (_, n): [Buffer, Buffer] => [
  Buffer.from(`key ${String(n).padStart(6, '0')}`),
  Buffer.from(`value ${n} `.repeat(n === 200 ? 8000 : (n * 7) % 23))
])

async function database(end: (level: Level) => Promise<void>): Promise<string> {
  const path = join(await temporaryPath(), '..', 'level')
  const level = await Level.create(path, TUNING)
  for (const [key, value] of ROWS) await level.put(key, value, { sync: false })
  await end(level)
  await level.close()
  return path
}

async function flushed(level: Level): Promise<void> {
  await level.flush()
}

function plain(entries: Iterable<TableEntry>): string[][] {
  return [...entries].map(({ key, value = Buffer.alloc(0) }) => hexRow([key, value]))
}

function hexRow([key, value]: [Buffer, Buffer]): string[] {
  return [key.toString(), value.toString('latin1')]
}
