/**
 * What binds derived state to one history. A store id and a position do not: two copies of a store
 * that went on with different facts share both. The checksum of a frame covers those before it, back
 * to a gap: frames behind one are those of the log as it was, and only `verify` tells these two apart.
 */
import { isStoreError } from '../errors.ts'
import type { FrameReader } from './reader.ts'

/** A place in one history: a position, and the checksum of the frame that holds it. */
export interface Anchor {
  position: number
  checksum: number
}

export class Anchors {
  readonly #reader: FrameReader
  readonly #end: () => Anchor

  /** @param end Where the log ends; until it is recovered, what HEAD says of that. */
  constructor(reader: FrameReader, end: () => Anchor) {
    this.#reader = reader
    this.#end = end
  }

  /** What a checkpoint at this position is written with; `undefined` where no sound frame holds it. */
  async at(position: number): Promise<Anchor | undefined> {
    const end = this.#end()
    return end.position === position ? end : this.#read(position)
  }

  /**
   * Whether a checkpoint was written behind these frames. What nobody can know is taken for granted:
   * an older program named no anchor, the log may end before it, or be damaged there.
   */
  async hold(anchor: Anchor | undefined): Promise<boolean> {
    if (anchor === undefined) return true
    const { position, checksum } = this.#end()
    if (anchor.position === position && anchor.checksum === checksum) return true
    // Read, even where the log ends: HEAD may be wrong, which is for `recover` to find.
    const found = await this.#read(anchor.position)
    return found === undefined || found.checksum === anchor.checksum
  }

  async #read(position: number): Promise<Anchor | undefined> {
    try {
      const frame = await this.#reader.frameWith(position)
      return frame && { position, checksum: frame.checksum }
    } catch (error) {
      if (!isStoreError(error, 'LOG_DAMAGED')) throw error
      return undefined
    }
  }
}

/** The anchor of a checkpoint: an older program moves that on and leaves the anchor where it was. */
export function anchorOf(position: number, anchor: Anchor | undefined): Anchor | undefined {
  return anchor?.position === position ? anchor : undefined
}

/** Why derived state is made anew. */
export const OTHER_HISTORY = 'made of another history of this store'
