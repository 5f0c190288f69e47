import { StoreError } from '../errors.ts'
import { isCorruption, type Level } from '../storage/level.ts'
import {
  checkFrame,
  type Frame,
  FrameDamage,
  type FrameHeader,
  frameKey,
  positionOfKey
} from './frame.ts'
import { damageOf, decodeFrame, type RawFrame } from './frame-decode.ts'

type Decode<T> = (key: Uint8Array, value: Buffer, storeId: Uint8Array) => T

/**
 * Reads frames out of the log's LevelDB, in any thread. Checks every frame it decodes and that
 * each begins where the one before ended; the chain of checksums is checked where asked for.
 */
export class FrameReader {
  readonly #level: Level
  readonly #storeId: Buffer

  constructor(level: Level, storeId: Buffer) {
    this.#level = level
    this.#storeId = storeId
  }

  /**
   * The frame that begins at `first`. Blocks the thread for one point read: for workers.
   *
   * @throws StoreError `LOG_DAMAGED`
   */
  frameAt(first: number): Frame | undefined {
    return this.#at(decodeFrame, first)
  }

  /** The same for who reads its body event by event. Its checksum is checked. */
  rawFrameAt(first: number): RawFrame | undefined {
    return this.#at(checkRaw, first)
  }

  /** Names the hole that begins at `first`, where a frame should be. */
  async holeAt(first: number): Promise<StoreError<'LOG_DAMAGED'>> {
    const next = await this.#level.first({ gt: frameKey(first) })
    const to = next === undefined ? first : positionOfKey(next[0]) - 1
    return logDamaged(first, to, 'frames are missing')
  }

  /**
   * The frame that holds `position`; `undefined` where the log does not reach it. Its checksum is checked.
   *
   * @throws StoreError `LOG_DAMAGED`
   */
  async frameWith(position: number): Promise<RawFrame | undefined> {
    try {
      const row = await this.#level.first({ lte: frameKey(position), reverse: true })
      const frame = row && this.#decode(checkRaw, ...row)
      return frame !== undefined && frame.last >= position ? frame : undefined
    } catch (cause) {
      throw asDamage(cause, position)
    }
  }

  /** The position at which the frame that holds `position` begins. */
  async firstOfFrameWith(position: number): Promise<number | undefined> {
    const row = await this.#level.first({ lte: frameKey(position), reverse: true })
    return row === undefined ? undefined : positionOfKey(row[0])
  }

  /**
   * Frames in order, beginning with the one that holds `from`: up to `to`, all of which must be
   * there, or as far as the log goes now.
   *
   * @throws StoreError `LOG_DAMAGED` at a hole or a damaged frame.
   */
  framesFrom(from: number, to?: number): AsyncGenerator<Frame> {
    return this.#walk(decodeFrame, from, to)
  }

  /** The same as `framesFrom` for who copies frames: their checksums are checked, no more. */
  rawFramesFrom(from: number, to?: number): AsyncGenerator<RawFrame> {
    return this.#walk(checkRaw, from, to)
  }

  #at<T>(decode: Decode<T>, first: number): T | undefined {
    const key = frameKey(first)
    try {
      const value = this.#level.getSync(key)
      return value === undefined ? undefined : this.#decode(decode, key, value)
    } catch (cause) {
      throw asDamage(cause, first)
    }
  }

  async *#walk<T extends FrameHeader>(
    decode: Decode<T>,
    from: number,
    to?: number
  ): AsyncGenerator<T> {
    if (to !== undefined && from > to) return
    const end = to === undefined ? {} : { lte: frameKey(to) }
    let next = from
    try {
      next = (await this.firstOfFrameWith(from)) ?? from
      for await (const rows of this.#level.blocks({ gte: frameKey(next), ...end })) {
        for (const [key, value] of rows) {
          const found = positionOfKey(key)
          if (found !== next) throw logDamaged(next, found - 1, 'frames are missing')
          const frame = this.#decode(decode, key, value)
          next = frame.last + 1
          if (frame.last >= from) yield frame
        }
      }
    } catch (cause) {
      throw asDamage(cause, next)
    }
    if (to !== undefined && next <= to) throw logDamaged(next, to, 'frames are missing')
  }

  #decode<T>(decode: Decode<T>, key: Uint8Array, value: Buffer): T {
    try {
      return decode(key, value, this.#storeId)
    } catch (cause) {
      if (!(cause instanceof FrameDamage)) throw cause
      const first = positionOfKey(key)
      throw logDamaged(first, first, cause.message, cause)
    }
  }
}

function checkRaw(key: Uint8Array, value: Buffer, storeId: Uint8Array): RawFrame {
  return { ...checkFrame(key, value, storeId), value }
}

/** LevelDB itself stumbled: it reads no further than the frame before this position. */
function asDamage(error: unknown, position: number): unknown {
  if (!isCorruption(error)) return error
  return logDamaged(position, position, error.message, error)
}

/** What is thrown where the body of a frame is read event by event, as who asked is told of it. */
export function bodyDamage(error: unknown, { first, last }: FrameHeader): unknown {
  const damage = damageOf(error)
  return damage === undefined ? error : logDamaged(first, last, damage.message, damage)
}

export function logDamaged(
  from: number,
  to: number,
  reason: string,
  cause?: unknown
): StoreError<'LOG_DAMAGED'> {
  const message = `The log is damaged at positions ${from} to ${to}: ${reason}`
  return new StoreError('LOG_DAMAGED', message, { from, to, reason }, { cause })
}
