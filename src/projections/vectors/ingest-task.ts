import { setImmediate } from 'node:timers/promises'
import { assert } from '../../assert.ts'
import type { EventVector, LogEvent } from '../../log/event.ts'
import { LOG_TUNING } from '../../log/level-log.ts'
import { FrameReader, logDamaged } from '../../log/reader.ts'
import { Level } from '../../storage/level.ts'
import { RowIds, Slab, slabRows } from './layout.ts'
import { CancelFlag } from './pace.ts'
import type { Ingested, IngestTask } from './protocol.ts'

/** About what one task may take: whoever asked goes on from there. */
const TASK_MS = 50

/**
 * Copies vectors out of the log into shared memory, in its order, until the slab is full or time is
 * up. A frame may be taken in parts: it was written, and is durable, as a whole.
 *
 * @throws StoreError `LOG_DAMAGED` where a frame is missing: what was asked for is written.
 */
export async function ingest(task: IngestTask): Promise<Ingested> {
  // Databases are shared by their path within a process: opening one again costs little.
  const level = await Level.open(task.log, LOG_TUNING)
  try {
    return await takeFrames(new FrameReader(level, Buffer.from(task.storeId)), task)
  } finally {
    await level.close()
  }
}

async function takeFrames(reader: FrameReader, task: IngestTask): Promise<Ingested> {
  const started = performance.now()
  const taker = new RowTaker(task)
  const cancel = new CancelFlag(task.cancel)
  while (taker.position < task.to && !taker.isFull && !cancel.raised) {
    // A place within a frame is found from the frame's own first position.
    const next = taker.position + 1
    const frame = await frameThatHolds(reader, next)
    if (frame === undefined) throw logDamaged(next, task.to, 'frames are missing')
    for (const { first, events } of frame.commits) {
      for (const [index, event] of events.entries()) {
        if (first + index < next) continue
        if (!taker.take(event, first + index)) return taker.ingested
      }
    }
    taker.passed(frame.last)
    if (performance.now() - started > TASK_MS) break
    await setImmediate()
  }
  return taker.ingested
}

async function frameThatHolds(reader: FrameReader, position: number): ReturnType<typeof firstOf> {
  return reader.frameAt(position) ?? (await firstOf(reader, position))
}

/** The frame that a position lies within. */
async function firstOf(
  reader: FrameReader,
  position: number
): Promise<ReturnType<FrameReader['frameAt']>> {
  for await (const frame of reader.framesFrom(position, position)) return frame
  return undefined
}

/** Puts vectors into rows while there is room. */
class RowTaker {
  position: number
  readonly #task: IngestTask
  readonly #ids: RowIds
  readonly #slab: Slab
  readonly #slots: number
  readonly #ends: number[] = []
  #row: number

  constructor(task: IngestTask) {
    this.#task = task
    this.position = task.from - 1
    this.#ids = new RowIds(task.ids)
    this.#slab = new Slab(task.slab, task.dimensions)
    this.#slots = slabRows(task.dimensions)
    this.#row = task.row
  }

  get isFull(): boolean {
    return this.#row >= this.#task.end
  }

  get ingested(): Ingested {
    return { position: this.position, row: this.#row, ends: Float64Array.from(this.#ends) }
  }

  /** @returns Whether there was room for what the event holds. */
  take(event: LogEvent, position: number): boolean {
    const vector = vectorOf(event, this.#task.space)
    if (vector !== undefined) {
      if (this.isFull) return false
      const isWhole = vector.bytes.length === 4 * this.#task.dimensions
      assert(isWhole, 'a vector has the declared dimensions')
      this.#ids.set(this.#row, vector.ordinal, vector.revision)
      this.#slab.fill(this.#row % this.#slots, vector.bytes)
      this.#row += 1
    }
    this.position = position
    return true
  }

  /** A frame was taken whole, or there was nothing more to take in it. */
  passed(position: number): void {
    this.position = position
    this.#ends.push(position, this.#row)
  }
}

export interface LogVector {
  ordinal: number
  revision: number
  bytes: Uint8Array
}

/** The vector that an event brings into a space. */
export function vectorOf(event: LogEvent, space: string): LogVector | undefined {
  if (
    event.type !== 'concept-learned' &&
    event.type !== 'concept-reinforced' &&
    event.type !== 'concept-revised'
  ) {
    return undefined
  }
  const vector: EventVector | null | undefined = event.fields.vector
  if (!vector || vector.space !== space) return undefined
  return { ordinal: event.ordinal, revision: vector.revision, bytes: vector.bytes }
}
