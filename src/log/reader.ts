import { StoreError } from '../errors.ts'
import type { Level } from '../storage/level.ts'
import { decodeFrame, type Frame, FrameDamage, frameKey, positionOfKey } from './frame.ts'

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
    const key = frameKey(first)
    const value = this.#level.getSync(key)
    return value === undefined ? undefined : this.#decode(key, value)
  }

  /** The position at which the frame that holds `position` begins. */
  async firstOfFrameWith(position: number): Promise<number | undefined> {
    const row = await this.#level.first({ lte: frameKey(position), reverse: true })
    return row === undefined ? undefined : positionOfKey(row[0])
  }

  /**
   * Frames in order, beginning with the one that holds `from`, as far as the log goes now.
   *
   * @throws StoreError `LOG_DAMAGED` at a hole or a damaged frame.
   */
  async *framesFrom(from: number): AsyncGenerator<Frame> {
    const first = await this.firstOfFrameWith(from)
    let next = first ?? from
    for await (const rows of this.#level.blocks({ gte: frameKey(next) })) {
      for (const [key, value] of rows) {
        const found = positionOfKey(key)
        if (found !== next) throw logDamaged(next, found - 1, 'frames are missing')
        const frame = this.#decode(key, value)
        next = frame.last + 1
        if (frame.last >= from) yield frame
      }
    }
  }

  #decode(key: Uint8Array, value: Buffer): Frame {
    try {
      return decodeFrame(key, value, this.#storeId)
    } catch (cause) {
      if (!(cause instanceof FrameDamage)) throw cause
      const first = positionOfKey(key)
      throw logDamaged(first, first, cause.message, cause)
    }
  }
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
