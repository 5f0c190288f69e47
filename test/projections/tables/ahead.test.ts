/** A batch that is gathered while another is written: the same rows, and no other's trouble. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, open } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import type { RawFrame } from '#sutra/log/frame-decode.js'
import { FrameReader } from '#sutra/log/reader.js'
import { readWriterState, tablesTuning } from '#sutra/projections/tables/generation.js'
import { TablesWriter } from '#sutra/projections/tables/tables-writer.js'
import { Level, LevelBatch } from '#sutra/storage/level.js'
import { readFormat } from '#sutra/store/format.js'
import { Random } from '../../support/random.ts'
import { temporaryPath } from '../../support/temp.ts'

const COMMITS = 250
const TUNING = { cacheBytes: 2 ** 20, writeBufferBytes: 2 ** 24, maxFileBytes: 2 ** 21 }

test('batches make the same rows, whether they are gathered ahead or not', async () => {
  const random = new Random()
  for (const forgets of [false, true]) {
    const batches = cut(random, await someFrames(random, forgets))

    const plain = await tablesOf(batches, 'each in its turn')
    const ahead = await tablesOf(batches, 'ahead')

    const seed = `seed ${random.seed}`
    expect(ahead.rows, seed).toEqual(plain.rows)
    expect(ahead.sums, seed).toEqual(plain.sums)
    expect(plain.ahead).toBe(0)
    // Nothing is gathered beside sweeps.
    expect(ahead.ahead, seed).toBeGreaterThan(batches.length * (forgets ? 0.01 : 0.9))
  }
})

test('sums are those of the rows that are written, whatever is gathered ahead', async () => {
  const frames = await someFrames(new Random(), false)
  await using tables = await Writing.begin()
  const { writer } = tables
  await writer.apply(frames.slice(0, 100), () => frames.slice(100, 200))
  const { sums } = writer

  await using others = await Writing.begin()
  await others.writer.apply(frames.slice(0, 100))

  expect(writer.isAhead).toBe(true)
  expect(sums).toEqual(others.writer.sums)
})

test('what is damaged ahead is told to whoever asks for it, and nothing of it is written', async () => {
  const frames = await someFrames(new Random(), false)
  const damaged = frames.slice(100, 200)
  const value = Buffer.from(damaged[50]?.value ?? [])
  // Behind the header, whose checksum was compared already.
  value.fill(0xc1, 56)
  damaged[50] = { ...(damaged[50] as RawFrame), value }
  await using tables = await Writing.begin()
  const { writer, level } = tables

  await writer.apply(frames.slice(0, 100), () => damaged)

  const { checkpoint } = writer
  expect(checkpoint).toBe(frames[99]?.last)
  const before = await rowsOf(level)
  await expect(writer.apply([])).rejects.toThrow(/damaged|malformed/i)
  await expect(writer.apply(frames.slice(100, 200))).rejects.toThrow(/damaged|malformed/i)
  expect(await rowsOf(level)).toEqual(before)
})

test('after a write that failed, nothing that was gathered ahead is written', async () => {
  const frames = await someFrames(new Random(), false)
  await using tables = await Writing.begin()
  const { writer, level } = tables
  await writer.apply(frames.slice(0, 100))
  const before = await rowsOf(level)
  const write = vi.spyOn(LevelBatch.prototype, 'write')
  try {
    write.mockRejectedValueOnce(new Error('the disk is full'))
    const ahead = (): RawFrame[] => frames.slice(200, 250)

    await expect(writer.apply(frames.slice(100, 200), ahead)).rejects.toThrow('the disk is full')

    await expect(writer.apply([])).rejects.toThrow('the disk is full')
    expect(await rowsOf(level)).toEqual(before)
  } finally {
    write.mockRestore()
  }
})

/** Tables that a writer writes. */
class Writing implements AsyncDisposable {
  readonly level: Level
  readonly writer: TablesWriter

  private constructor(level: Level, writer: TablesWriter) {
    this.level = level
    this.writer = writer
  }

  static async begin(): Promise<Writing> {
    const path = await temporaryPath('tables')
    await mkdir(path, { recursive: true })
    const level = await Level.create(path, tablesTuning(0))
    return new Writing(level, new TablesWriter(level, await readWriterState(level)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer.close()
    await this.level.close()
  }
}

interface Written {
  rows: string[]
  sums: TablesWriter['sums']
  /** How many batches were begun before their turn. */
  ahead: number
}

async function tablesOf(
  batches: RawFrame[][],
  how: 'ahead' | 'each in its turn'
): Promise<Written> {
  await using tables = await Writing.begin()
  const { level, writer } = tables
  let ahead = 0
  for (const [at, frames] of batches.entries()) {
    ahead += Number(writer.isAhead)
    await writer.apply(writer.isAhead ? [] : frames, () =>
      how === 'ahead' ? (batches[at + 1] ?? []) : []
    )
    expect(writer.checkpoint).toBe(frames.at(-1)?.last)
    // Now and then all is swept, and batches may be gathered ahead again.
    while (at % 10 === 9 && writer.hasDead) await writer.sweep()
  }
  return { rows: await rowsOf(level), sums: writer.sums, ahead }
}

async function rowsOf(level: Level): Promise<string[]> {
  const rows: string[] = []
  for await (const block of level.blocks({})) {
    for (const [key, value] of block) {
      rows.push(`${key.toString('latin1')} ${value.toString('hex')}`)
    }
  }
  return rows
}

/** Frames in a row, one to nine of them a batch. */
function cut(random: Random, frames: RawFrame[]): RawFrame[][] {
  const batches: RawFrame[][] = []
  for (let at = 0; at < frames.length; ) {
    const size = 1 + random.below(9)
    batches.push(frames.slice(at, at + size))
    at += size
  }
  return batches
}

/** The log of a store with a past. */
async function someFrames(random: Random, forgets: boolean): Promise<RawFrame[]> {
  const directory = await temporaryPath('past')
  const store = await open(directory, { durability: 'os' })
  const there = new Set<string>()
  for (let n = 0; n < COMMITS; n++) {
    const commands: Command[] = []
    for (let i = random.below(12); i >= 0; i--) commands.push(anyCommand(random, there, forgets))
    const idempotencyKey = random.below(4) === 0 ? { idempotencyKey: `commit ${n}` } : {}
    await store.commit(commands, idempotencyKey)
  }
  await store.close()
  const { storeId } = await readFormat(directory)
  const level = await Level.open(join(directory, 'log'), TUNING)
  try {
    const reader = new FrameReader(level, Buffer.from(storeId))
    const frames: RawFrame[] = []
    for (let next = 1; ; ) {
      const frame = reader.rawFrameAt(next)
      if (frame === undefined) return frames
      frames.push(frame)
      next = frame.last + 1
    }
  } finally {
    await level.close()
  }
}

/** Mostly what can be gathered ahead; the rest asks for rows that are just being written. */
function anyCommand(random: Random, there: Set<string>, forgets: boolean): Command {
  const some = random.pick([...there, 'first'])
  const [id, other] = [{ key: some }, { key: random.pick([...there, some]) }]
  const kind = there.has(some) ? random.below(30) : 29
  if (kind === 0) return { do: 'reinforce', target: id, strength: random.below(100) / 100 }
  if (kind === 1) return { do: 'revise', target: id, type: random.pick(['a', 'b', 'c']) }
  if (kind === 2) return { do: 'learn', id, content: `${some} once more` }
  if (kind === 3 && forgets) {
    there.delete(some)
    return { do: 'forget', id }
  }
  if (kind < 18) {
    const type = random.pick(['knows', 'is'])
    return { do: 'associate', source: id, target: other, type, strength: random.below(9) / 9 }
  }
  const key = there.has('first') ? `k${random.below(5000)}` : 'first'
  there.add(key)
  return { do: 'learn', id: { key }, type: random.pick(['a', 'b']), content: key }
}
