import type { EventVector, LogEvent } from '../../log/event.ts'
import { type FrameReader, logDamaged } from '../../log/reader.ts'
import type { FlatRows } from './flat-rows.ts'
import type { Pace } from './pace.ts'

/** A position at which a frame ends, and the row that follows the vectors up to there. */
export interface FrameEnd {
  position: number
  row: number
}

/**
 * Copies vectors out of the log into memory, frame by frame. A frame that holds a wanted position
 * is taken whole: it was written, and is durable, as a whole. None is read that begins behind it.
 */
export class LogIngest {
  readonly #reader: FrameReader
  readonly #space: string
  readonly #rows: FlatRows
  /** Ends of frames whose vectors may not be in a graph yet. */
  #ends: FrameEnd[] = []
  #taken = 0
  #position: number

  /** @param position Where a frame ends: the rows hold every vector up to there. */
  constructor(reader: FrameReader, space: string, rows: FlatRows, position: number) {
    this.#reader = reader
    this.#space = space
    this.#rows = rows
    this.#position = position
  }

  /** Every vector of the log up to here is in memory or in a segment. */
  get position(): number {
    return this.#position
  }

  /** @throws StoreError `LOG_DAMAGED` where a frame is missing: what was asked for is written. */
  async upTo(position: number, pace: Pace): Promise<void> {
    while (this.#position < position) {
      this.#readFrame(position)
      if (pace.due) await pace.breathe()
    }
  }

  /** The ends of frames, one after the other, reading on in the log where none is waiting. */
  takeFrame(wanted: number): FrameEnd {
    if (this.#taken === this.#ends.length) this.#readFrame(wanted)
    const end = this.#ends[this.#taken++]
    if (end === undefined) throw logDamaged(this.#position, wanted, 'frames are missing')
    if (this.#taken === this.#ends.length) {
      this.#ends = []
      this.#taken = 0
    }
    return end
  }

  #readFrame(wanted: number): void {
    const first = this.#position + 1
    const frame = this.#reader.frameAt(first)
    if (frame === undefined) throw logDamaged(first, wanted, 'frames are missing')
    for (const { events } of frame.commits) {
      for (const event of events) {
        const vector = vectorOf(event)
        if (vector === undefined || vector.vector.space !== this.#space) continue
        this.#rows.append(vector.ordinal, vector.vector.revision, vector.vector.bytes)
      }
    }
    this.#position = frame.last
    this.#ends.push({ position: frame.last, row: this.#rows.to })
  }
}

function vectorOf(event: LogEvent): { ordinal: number; vector: EventVector } | undefined {
  if (
    event.type !== 'concept-learned' &&
    event.type !== 'concept-reinforced' &&
    event.type !== 'concept-revised'
  ) {
    return undefined
  }
  const { ordinal, fields } = event
  return fields.vector ? { ordinal, vector: fields.vector } : undefined
}
