import type { Item } from './batch.ts'
import { IN_FLIGHT_MAX } from './committer.ts'

export interface WindowLimits {
  /** How many records an association waits for its ends. */
  readonly records: number
  /** Or for so many bytes of the source, whatever comes first: that is what waiting can hold. */
  readonly bytes: number
}

/** An association whose ends were missing when the commit of this batch was staged. */
export interface Waiting {
  readonly item: Item
  readonly batch: number
}

const WINDOW_BYTES: number = 64 * 1024 * 1024
const WINDOW_RECORDS = 100_000
/**
 * What became of a batch is known for sure when so many more were handed over. It may be known
 * before, but whatever is cut must not depend on how fast commits are.
 */
export const BATCHES_BEHIND: number = IN_FLIGHT_MAX + 1
/** Those that have left are dropped by the thousand: shifting one by one would move all others. */
const DROPPED_MIN = 4096

/**
 * Associations wait here, in order, until so much more of the source was read: by then the concepts
 * at their ends are there, if they stand within the window. When they leave follows from the source
 * alone: a resumed import does just the same.
 */
export class Window {
  readonly #limits: WindowLimits
  #waiting: (Waiting | undefined)[] = []
  #first = 0
  #records = 0
  #bytes = 0
  #hasEnded = false

  constructor(limits: WindowLimits) {
    this.#limits = limits
  }

  /** Bytes of the source read so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Tells how far the source is read: the number of a record, and its size. */
  read(number: number, bytes: number): void {
    this.#records = number
    this.#bytes += bytes
  }

  hold({ item, batch }: Waiting): void {
    this.#waiting.push({ item: detached(item), batch })
  }

  /** The source has ended, so there is nothing left to wait for. */
  end(): void {
    this.#hasEnded = true
  }

  /** The one that waits longest, if that is long enough for this batch, which is being filled. */
  due(batch: number): Item | undefined {
    const oldest = this.#waiting[this.#first]
    if (oldest === undefined || this.#hasEnded) return oldest?.item
    if (oldest.batch > batch - BATCHES_BEHIND) return undefined
    const { item } = oldest
    const { records, bytes } = this.#limits
    const isDue = this.#records - item.number >= records || this.#bytes - item.readTo >= bytes
    return isDue ? item : undefined
  }

  /** Lets go of the one that waits longest. */
  drop(): void {
    this.#waiting[this.#first] = undefined
    this.#first += 1
    if (this.#first >= DROPPED_MIN && this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first)
      this.#first = 0
    }
  }
}

/** A strict import takes the lines as they come, unless it is told otherwise. */
export function windowLimits(options: { window?: number; strict?: boolean }): WindowLimits {
  const records = options.window ?? (options.strict === true ? 0 : WINDOW_RECORDS)
  return { records, bytes: WINDOW_BYTES }
}

/** A copy: its strings may be pieces of a block of the source, of which one would hold it all. */
function detached(item: Item): Item {
  const { what, text } = item
  const copy = what instanceof Error ? what : structuredClone(what)
  return { ...item, what: copy, text: text === undefined ? text : structuredClone(text) }
}
