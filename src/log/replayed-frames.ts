/** What a damaged write-ahead file of the log's LevelDB means in positions, before LevelDB replays it. */
import { readManifest } from '../storage/level-manifest.ts'
import { type ReplayedPart, replayedParts } from '../storage/replayed-files.ts'
import { entriesOfBatch } from '../storage/write-ahead-file.ts'
import { FrameDamage, KEY_BYTES, placeOf, positionOfKey } from './frame.ts'

/** Frames that LevelDB would lose. */
export interface LostWrites extends Pick<ReplayedPart, 'file' | 'offset' | 'isWhole'> {
  reason: string
  /** The first position that may be lost, and whether the one before is known to be there. */
  from: number
  isExact: boolean
  /** The last one; `undefined` where no frame stands behind, as a crash may leave it. */
  to: number | undefined
}

/** In order. Only the last one may have nothing behind it. */
export async function* lostWrites(log: string, storeId: Buffer): AsyncGenerator<LostWrites> {
  let walk: Walk | undefined
  for await (const parts of replayedParts(log)) {
    walk ??= new Walk(await lastKeyOf(log))
    for (const part of parts) {
      for (const write of writesOf(part, storeId)) {
        const lost = walk.next(part, write)
        if (lost !== undefined) yield lost
      }
    }
  }
  if (walk?.lost !== undefined) yield { ...walk.lost, to: undefined }
}

/** Goes from one write to the next and notes what is lost between them. */
class Walk {
  /** Seen, and no frame behind it yet. */
  lost: Omit<LostWrites, 'to'> | undefined
  #last: number
  /** How many events the last frame of the tables has is not looked up: where it begins is a bound. */
  #isExact = false

  constructor(last: number) {
    this.#last = last
  }

  /** What is lost between the frame before and this one. */
  next(part: ReplayedPart, { problem, first, end }: Write): LostWrites | undefined {
    if (problem !== undefined) {
      // What no crash leaves is told before what one may have left.
      const isTold = this.lost !== undefined && (this.lost.isWhole || !part.isWhole)
      if (!isTold) this.lost = this.#lostAt(part, problem, part.isWhole)
      return undefined
    }
    if (end === undefined) {
      if (this.#last >= first) this.#isExact = false
      this.#last = Math.min(this.#last, first - 1)
      return undefined
    }
    if (this.#isExact && first > this.#last + 1) {
      this.lost ??= this.#lostAt(part, 'frames are missing', false)
    }
    const lost = this.lost && { ...this.lost, to: Math.max(this.lost.from, first - 1) }
    this.lost = undefined
    this.#last = end
    this.#isExact = true
    return lost
  }

  #lostAt(
    { file, offset }: ReplayedPart,
    reason: string,
    isWhole: boolean
  ): Omit<LostWrites, 'to'> {
    return { file, offset, reason, isWhole, from: this.#last + 1, isExact: this.#isExact }
  }
}

/** Where the last frame begins that is in a table; 0 if none is. */
async function lastKeyOf(log: string): Promise<number> {
  const tables = (await readManifest(log))?.tables.values() ?? []
  const keys = [...tables]
    .map(({ largest }) => largest)
    .filter(({ length }) => length === KEY_BYTES)
  return Math.max(0, ...keys.map(positionOfKey))
}

interface Write {
  problem: string | undefined
  first: number
  /** Of a frame that is put, its last position; a torn end is deleted. */
  end: number | undefined
}

function* writesOf({ record, reason }: ReplayedPart, storeId: Buffer): Generator<Write> {
  if (record === undefined || reason !== undefined) {
    yield { problem: reason, first: 0, end: undefined }
    return
  }
  for (const { key, value } of entriesOfBatch(record)) {
    try {
      const { first, last } = placeOf(key, value, storeId)
      yield { problem: undefined, first, end: value && last }
    } catch (error) {
      if (!(error instanceof FrameDamage)) throw error
      yield { problem: error.message, first: 0, end: undefined }
    }
  }
}
