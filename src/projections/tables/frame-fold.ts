import { assert } from '../../assert.ts'
import type { LogEvent } from '../../log/event.ts'
import { LearnedConcept, readEvent } from '../../log/event-reader.ts'
import { BodyReader, type CommitHead, type RawFrame } from '../../log/frame-decode.ts'
import { bodyDamage } from '../../log/reader.ts'
import type { MessageReader } from '../../storage/message-reader.ts'
import type { At } from '../state.ts'

/** Takes what frames hold, in its order. */
export interface FoldTarget {
  passGap(last: number): void
  putIdempotencyKey(key: string, position: number): void
  /** Whether concepts that are new may be given as the bytes that they are in. */
  mayCopy(): boolean
  addLearned(body: Buffer, learned: LearnedConcept, at: At): void
  /** Whether an event can be folded now; else it waits until what is being written can be read. */
  mayFold(event: LogEvent): boolean
  fold(event: LogEvent, at: At): void
}

/** Frames on their way into one batch, which may stop between two events and go on later. */
export class FrameFold {
  /** How many events they hold. */
  readonly events: number
  /** The last position in them, and the checksum of that frame. */
  readonly end: { readonly position: number; readonly checksum: number }
  readonly #frames: readonly RawFrame[]
  readonly #target: FoldTarget
  readonly #learned = new LearnedConcept()
  readonly #folding: Generator<undefined, void>

  /** @param frames At least one. Their first follows `position`. */
  constructor(frames: readonly RawFrame[], position: number, target: FoldTarget) {
    let events = 0
    let end = { position, checksum: 0 }
    for (const { first, last, kind, count, checksum } of frames) {
      assert(first === end.position + 1, 'frames follow the checkpoint without a hole')
      if (kind !== 'gap') events += count
      end = { position: last, checksum }
    }
    this.events = events
    this.end = end
    this.#frames = frames
    this.#target = target
    this.#folding = this.#fold()
  }

  /**
   * Folds what can be folded now.
   *
   * @returns Whether that was the rest.
   * @throws StoreError on a body that is not what its checksum says: then nothing of it may be written.
   */
  goOn(): boolean {
    return this.#folding.next().done === true
  }

  *#fold(): Generator<undefined, void> {
    for (const frame of this.#frames) {
      if (frame.kind === 'gap') this.#target.passGap(frame.last)
      else yield* this.#foldFrame(frame)
    }
  }

  *#foldFrame(frame: RawFrame): Generator<undefined, void> {
    try {
      const body = new BodyReader(frame)
      for (let head = body.nextCommit(); head !== undefined; head = body.nextCommit()) {
        const { idempotency } = head.meta ?? {}
        if (idempotency !== undefined) this.#target.putIdempotencyKey(idempotency.key, head.first)
        const end = head.first + head.count
        let next = this.#foldEvents(body.reader, head, head.first)
        while (next < end) {
          yield
          next = this.#foldEvents(body.reader, head, next)
        }
      }
    } catch (error) {
      throw bodyDamage(error, frame)
    }
  }

  /** @returns The position of the event that has to wait, or the end of the commit. */
  #foldEvents(reader: MessageReader, { first, count, time }: CommitHead, from: number): number {
    const learned = this.#learned
    const target = this.#target
    const mayCopy = target.mayCopy()
    for (let position = from; position < first + count; position++) {
      if (mayCopy && learned.read(reader)) {
        target.addLearned(reader.bytes, learned, { position, time })
        continue
      }
      const start = reader.at
      const event = readEvent(reader)
      if (!target.mayFold(event)) {
        reader.goTo(start)
        return position
      }
      target.fold(event, { position, time })
    }
    return first + count
  }
}
