import { subjectOf, tripleOf } from './ntriples-entry.ts'
import type { Spill } from './spill.ts'
import type { Turns } from './turns.ts'

const FAN_BITS = 6
const FAN = 1 << FAN_BITS
/** Partings that one hash of 32 bits is good for; behind them, a part is of few subjects. */
const DEPTH_MAX = 5
/** Partings behind which a part that is still too large is all but one subject. */
const HUB_DEPTH = 3
/** What is put together at a time. In memory it takes several times as much. */
const PART_BYTES = 16 * 1024 * 1024

/**
 * Entries parted by their subjects, so that all of one subject come out in one part, however far
 * from each other they went in. A part that grows too large is parted again by other bits of the
 * hash: memory stays the same for any size. What comes out depends on what went in alone.
 */
export class Partitions {
  readonly #isOfTriples: boolean
  readonly #spill: Spill
  readonly #partBytes: number
  readonly #root: number
  /** Until the first part is too large, all is one, in the order of the source. */
  #parts: readonly number[] | undefined

  /**
   * @param options With `isOfTriples`, what comes out in one part is all of one triple: what is said of
   *   a subject may come out in several, where it is too much for one.
   */
  constructor(
    spill: Spill,
    {
      partBytes = PART_BYTES,
      isOfTriples = false
    }: { partBytes?: number; isOfTriples?: boolean } = {}
  ) {
    this.#spill = spill
    this.#partBytes = partBytes
    this.#isOfTriples = isOfTriples
    this.#root = spill.stream()
  }

  append(subject: string, entry: string): void {
    const part = this.#parts?.[bits(subject, 0)]
    this.#spill.append(part ?? this.#root, entry)
  }

  /** To be called now and then between appends. */
  async settle(turns: Turns): Promise<void> {
    if (this.#parts === undefined && this.#spill.bytesOf(this.#root) > this.#partBytes) {
      this.#parts = await this.#part(this.#root, 0, turns)
    }
  }

  /** Yields the pages of each part in turn, and drops the part behind them. */
  async *all(turns: Turns): AsyncGenerator<AsyncGenerator<string[], void>, void> {
    if (this.#parts === undefined) yield* this.#from(this.#root, 0, turns)
    else for (const part of this.#parts) yield* this.#from(part, 1, turns)
  }

  async *#from(
    stream: number,
    depth: number,
    turns: Turns
  ): AsyncGenerator<AsyncGenerator<string[], void>, void> {
    if (this.#spill.bytesOf(stream) === 0) return
    if (depth >= DEPTH_MAX || this.#spill.bytesOf(stream) <= this.#partBytes) {
      yield this.#spill.pages(stream)
      this.#spill.drop(stream)
      return
    }
    for (const part of await this.#part(stream, depth, turns)) {
      yield* this.#from(part, depth + 1, turns)
    }
  }

  async #part(stream: number, depth: number, turns: Turns): Promise<readonly number[]> {
    const parts = Array.from({ length: FAN }, () => this.#spill.stream())
    for await (const page of this.#spill.pages(stream)) {
      for (const entry of page) {
        const isOfHub = this.#isOfTriples && depth >= HUB_DEPTH
        const together = isOfHub ? tripleOf(entry) : subjectOf(entry)
        this.#spill.append(parts[bits(together, depth)] ?? stream, entry)
        if (turns.step(entry.length)) await turns.next()
      }
      if (this.#spill.isFull) await this.#spill.flush()
    }
    this.#spill.drop(stream)
    return parts
  }
}

/** Bits of a hash of what is to stay together (FNV-1a with the finisher of MurmurHash3). */
function bits(text: string, depth: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> (depth * FAN_BITS)) & (FAN - 1)
}
