/** What LevelDB replays when it opens: checked before, since it drops what is damaged and believes the rest. */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isStoreError, open, repair, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { maskedCrc32c } from '#sutra/storage/crc32c.js'
import { partsOf } from '#sutra/storage/write-ahead-file.js'
import { Random } from '../support/random.ts'
import { copyStore, filesOf, flipped, logOf, tablesOf } from '../support/raw.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'
import { ids } from './ids-projection.ts'

const COMMITS = 900
const UNSYNCED = 300
const BLOCK = 32 * 1024
const seed = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 1_000_000)

describe('a bit flipped in a write-ahead file of the log, after the process died', () => {
  test('is found when the store is opened, with the positions it hit and no others', async () => {
    const random = new Random(seed)
    const killed = await killedStore()
    for (let round = 0; round < 5; round++) {
      const { directory, file, bytes } = await imageOf(killed)
      const at = random.below(killed.promisedBytes - BLOCK)
      await writeFile(file, flipped(bytes, at))

      const { from, to } = await lostAt(directory)

      expect(to - from, `seed ${seed}, byte ${at}`).toBeLessThanOrEqual(1)
      // A second open finds the same: the first one changed nothing.
      expect(await lostAt(directory)).toEqual({ from, to })
    }
  })

  test('costs a repair nothing that stands behind it in its block', async () => {
    const random = new Random(seed)
    const killed = await killedStore()
    for (let round = 0; round < 2; round++) {
      const { directory, file, bytes } = await imageOf(killed)
      const at = random.below(killed.promisedBytes - BLOCK)
      await writeFile(file, flipped(bytes, at))
      const { from, to } = await lostAt(directory)
      const told = `seed ${seed}, byte ${at}`

      const report = await repair(directory)

      expect(report, told).toMatchObject({ changed: true, eventsLost: to - from + 1 })
      expect(report.lost, told).toMatchObject([{ from, to }])
      expect(report.files, told).toMatchObject([{ file: basename(file) }])
      await using store = await open(directory)
      expect(await positionsOf(store)).toEqual(
        positionsUpTo(COMMITS + UNSYNCED).filter((position) => position < from || position > to)
      )
      expect(await store.verify()).toMatchObject({ ok: true })
    }
  })

  test('is found in a hole between two of them, too', async () => {
    const killed = await killedStore()
    const { directory, file, bytes } = await imageOf(killed)
    const records = recordsIn(bytes)
    const [, , third, fourth] = records
    // The first three records stay; a file that begins with the fifth one comes behind it.
    await writeFile(file, bytes.subarray(0, third?.end))
    const rest = records.filter(({ at }) => at >= (fourth?.end ?? 0)).map(({ record }) => record)
    await writeFile(join(logOf(directory), '000099.log'), fileOf(rest))

    expect(await lostAt(directory)).toEqual({ from: 4, to: 4 })
  })
})

describe('what a crash leaves of a write-ahead file is no damage', () => {
  const ends: [string, (bytes: Buffer, keep: number, random: Random) => Buffer][] = [
    ['cut anywhere', (bytes, keep, random) => bytes.subarray(0, somewhere(bytes, keep, random))],
    [
      'zeros instead of its end',
      (bytes, keep, random) => zeroed(bytes, somewhere(bytes, keep, random))
    ],
    ['room that was taken before', (bytes) => Buffer.concat([bytes, Buffer.alloc(3 * BLOCK + 11)])],
    [
      'a page of what was not synced that never came',
      (bytes, keep, random) => {
        const at = Math.floor(somewhere(bytes, keep + 4096, random) / 4096) * 4096
        return zeroed(bytes, at, Math.min(at + 4096, bytes.length))
      }
    ]
  ]

  test.each(ends)('%s', async (_, tear) => {
    const random = new Random(seed)
    const killed = await killedStore()
    for (let round = 0; round < 3; round++) {
      const { directory, file, bytes } = await imageOf(killed)
      await writeFile(file, tear(bytes, killed.promisedBytes, random))

      await using store = await open(directory)

      expect(store.head, `seed ${seed}`).toBeGreaterThanOrEqual(COMMITS)
      expect(await positionsOf(store)).toEqual(positionsUpTo(store.head))
    }
  })

  test('a whole one is replayed whole', async () => {
    const { directory } = await imageOf(await killedStore())
    expect(await repair(directory)).toMatchObject({ changed: false, files: [] })
    await using store = await open(directory)
    expect(store.head).toBe(COMMITS + UNSYNCED)
  })
})

describe('a whole record that LevelDB did not write there', () => {
  test.each([
    ['a number that LevelDB cannot hold', batch(2n ** 56n, [])],
    ['a larger one', batch(2n ** 64n - 1n, [put('12345678', 'x')])],
    ['entries beyond the last number', batch(2n ** 56n - 1n, [put('12345678', 'x')])],
    ['another count of entries', batch(2n ** 40n, [put('12345678', 'x')], 2)],
    ['an entry of no kind', batch(2n ** 40n, [Buffer.from([7, 1, 65])])],
    ['an entry that is cut', batch(2n ** 40n, [put('12345678', 'x').subarray(0, -1)])],
    ['no header', Buffer.from('short')],
    ['a number that is in a table', batch(1n, [put('12345678', 'x')])]
  ])('%s', async (_, record) => {
    const directory = await closedStore()
    const [log = '', tables = '', rows = ''] = await writeAheadFiles(directory)
    await writeFile(tables, fileOf([record]))
    await writeFile(rows, fileOf([record]))
    await expectWhole(directory)

    await writeFile(log, fileOf([record]))

    await expectMended(directory, ['LOG_DAMAGED'])
  })

  test.each([
    ['of another database', batch(2n ** 40n, [put('a key of tables', 'x')])],
    ['of another store', batch(2n ** 40n, [put('12345678', 'x'.repeat(60))])]
  ])('a row %s in the log', async (_, record) => {
    const directory = await closedStore()
    const [log = ''] = await writeAheadFiles(directory)
    await writeFile(log, fileOf([record]))

    await expectMended(directory, ['LOG_DAMAGED'])
  })

  test('a number in MANIFEST that LevelDB cannot hold', async () => {
    const directory = await closedStore()
    const [manifest = ''] = await filesOf(logOf(directory), '').then((paths) =>
      paths.filter((path) => path.includes('MANIFEST-'))
    )
    const edits = recordsIn(await readFile(manifest)).map(({ record }) => record)
    const sequence = [4, ...Array.from({ length: 8 }, () => 0x80), 2]
    await writeFile(manifest, fileOf([...edits, Buffer.from(sequence)]))

    await expectMended(directory, ['LOG_DAMAGED'])
  })
})

test('a file of LevelDB in the place of another ends no process', async () => {
  const directory = await closedStore()
  const image = (await imageOf(await killedStore())).file
  const [log = '', tables = ''] = await writeAheadFiles(directory)
  const other = await filesOf(logOf(directory), '')
  const others = other.filter((path) => /MANIFEST-|ldb$/.test(path))
  const swaps = [
    ...[log, tables].flatMap((to) => [...others, image].map((from) => [from, to])),
    ...others.map((to) => [image, to])
  ]
  for (const [from = '', to = ''] of swaps) {
    const copy = await temporaryPath()
    await cp(directory, copy, { recursive: true })
    await cp(from, to.replace(directory, copy))
    await expectMended(copy, ['LOG_DAMAGED', 'STORE_DAMAGED'])
  }
}, 60_000)

interface Killed {
  directory: string
  /** So much of the write-ahead file was synced. */
  promisedBytes: number
}

let killed: Promise<Killed> | undefined

/** As the process left it: everything in one write-ahead file, the end of which was never synced. */
async function killedStore(): Promise<Killed> {
  killed ??= makeKilled()
  return killed
}

async function makeKilled(): Promise<Killed> {
  const path = await lastingPath('killed')
  await using store = await open(path)
  await learn(store, 1, COMMITS)
  await store.caughtUp()
  await store.checkpoint()
  const directory = await copyStore(path, 'image')
  const [file = ''] = await filesOf(logOf(path), '.log')
  const promisedBytes = (await readFile(file)).length
  // HEAD and the tables stay as they were: what is written now is promised to nobody.
  await learn(store, COMMITS + 1, COMMITS + UNSYNCED)
  await cp(file, file.replace(path, directory))
  return { directory, promisedBytes }
}

let closed: Promise<string> | undefined

/** With tables and a projection of its own, opened a few times, so that there are some files. */
async function closedStore(): Promise<string> {
  closed ??= makeClosed()
  const directory = await temporaryPath()
  await cp(await closed, directory, { recursive: true })
  return directory
}

async function makeClosed(): Promise<string> {
  const path = await lastingPath('closed')
  for (let n = 0; n < 3; n++) {
    await using store = await open(path, { projections: [ids] })
    await learn(store, n * 20 + 1, n * 20 + 20)
    await store.caughtUp()
  }
  return path
}

async function learn(store: Store, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) {
    const content = `Concept ${n} ${'x'.repeat((n * 13) % 90)}`
    await store.learn({ id: { key: `k${n}` }, content }, { durability: 'os' })
  }
}

/** A copy of what the process left, and its largest write-ahead file. */
async function imageOf({ directory: made }: Killed): Promise<{
  directory: string
  file: string
  bytes: Buffer
}> {
  const directory = await temporaryPath()
  await cp(made, directory, { recursive: true })
  const [file = ''] = await filesOf(logOf(directory), '.log')
  return { directory, file, bytes: await readFile(file) }
}

async function writeAheadFiles(directory: string): Promise<string[]> {
  const places = [logOf(directory), await tablesOf(directory), join(directory, 'projections/ids/1')]
  return Promise.all(places.map(async (path) => (await filesOf(path, '.log'))[0] ?? ''))
}

async function lostAt(directory: string): Promise<{ from: number; to: number }> {
  try {
    await (await open(directory)).close()
  } catch (error) {
    if (!isStoreError(error, 'LOG_DAMAGED')) throw error
    const { from, to } = error.details
    return { from, to }
  }
  throw new Error('It was opened')
}

async function positionsOf(store: Store): Promise<number[]> {
  const found: number[] = []
  for await (const { position } of store.events()) found.push(position)
  return found
}

function positionsUpTo(last: number): number[] {
  return Array.from({ length: last }, (_, n) => n + 1)
}

async function expectWhole(directory: string): Promise<void> {
  await using store = await open(directory, { projections: [ids] })
  expect(await positionsOf(store)).toEqual(positionsUpTo(60))
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}

/** Refused by one of the codes, until it is repaired; or healed by itself. */
async function expectMended(directory: string, codes: readonly string[]): Promise<void> {
  try {
    await expectWhole(directory)
    return
  } catch (error) {
    if (!isStoreError(error)) throw error
    expect(codes).toContain(error.code)
  }
  const { lost, changed } = await repair(directory)
  expect(changed).toBe(true)
  await using store = await open(directory, { projections: [ids] })
  const isLost = (position: number): boolean =>
    lost.some(({ from, to }) => position >= from && position <= to)
  expect(await positionsOf(store)).toEqual(positionsUpTo(60).filter((one) => !isLost(one)))
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}

function somewhere(bytes: Buffer, from: number, random: Random): number {
  return from + random.below(bytes.length - from)
}

function zeroed(bytes: Buffer, from: number, to = bytes.length): Buffer {
  return Buffer.from(bytes).fill(0, from, to)
}

/** The records of a write-ahead file, and where the next one begins. */
function recordsIn(bytes: Buffer): { at: number; end: number; record: Buffer }[] {
  const parts = [...partsOf(bytes)]
  return parts.map(({ at, record = Buffer.alloc(0) }, index) => ({
    at,
    end: parts[index + 1]?.at ?? bytes.length,
    record
  }))
}

/** A write-ahead file as LevelDB writes it. */
function fileOf(records: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = []
  let room = BLOCK
  for (const record of records) {
    let rest = record
    for (let isFirst = true; isFirst || rest.length > 0; isFirst = false) {
      if (room < 7) {
        pieces.push(Buffer.alloc(room))
        room = BLOCK
      }
      const piece = rest.subarray(0, room - 7)
      rest = rest.subarray(piece.length)
      const isLast = rest.length === 0
      const type = isFirst ? (isLast ? 1 : 2) : isLast ? 4 : 3
      const header = Buffer.alloc(7)
      header.writeUInt16LE(piece.length, 4)
      header[6] = type
      header.writeUInt32LE(maskedCrc32c(Buffer.concat([header.subarray(6), piece])))
      pieces.push(header, piece)
      room -= 7 + piece.length
    }
  }
  return Buffer.concat(pieces)
}

function batch(sequence: bigint, entries: readonly Buffer[], count = entries.length): Buffer {
  const header = Buffer.alloc(12)
  header.writeBigUInt64LE(sequence)
  header.writeUInt32LE(count, 8)
  return Buffer.concat([header, ...entries])
}

function put(key: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([1, key.length]),
    Buffer.from(key),
    Buffer.from([value.length]),
    Buffer.from(value)
  ])
}
