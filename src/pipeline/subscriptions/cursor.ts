/**
 * Where a subscription has come in the log. It reads one frame ahead and no further, however slow its
 * handler is: the log is the queue.
 *
 * It goes only as far as the log is durable. What is acknowledged and not durable yet, a power cut may
 * take, and give its position to another fact: a handler that keeps positions would then take that one
 * for handled.
 */
import type { LogEvent } from '../../log/event.ts'
import type { Frame, LogCommit } from '../../log/frame.ts'
import { isAbout, toStoredEvent } from '../../log/stored-event.ts'
import { STRETCH_MS } from '../../turn.ts'
import type { StoredEvent } from '../../types.ts'
import type { EventFilter } from './options.ts'

/** A batch ends with the event that fills it up to here: the largest commit is 64 MiB. */
const BATCH_BYTES = 1024 * 1024

/** Told of a subscription by the store; a handler that fails on them would set them aside forever. */
const OWN_TYPES: ReadonlySet<string> = new Set(['event-quarantined', 'event-released'])

export interface CursorSource {
  durableHead(): number
  /** Frames in order, from the one that holds a position to the present head. */
  read(from: number): AsyncIterable<Frame>
}

/** Events to deliver, none where nothing matched, and how far one is behind them. */
export interface Batch {
  events: StoredEvent[]
  last: number
  /** Of the event at `last`; 0 where it was lost. */
  time: number
}

interface Member {
  commit: LogCommit
  index: number
  event: LogEvent
}

export class Cursor {
  readonly #source: CursorSource
  readonly #filter: EventFilter
  readonly #name: string
  #position: number
  #time: number
  #frames: AsyncIterator<Frame> | undefined
  #frame: Frame | undefined
  #members: Iterator<Member> | undefined

  /** @param name Of the subscription: what the log says of itself is not delivered to it. */
  constructor(source: CursorSource, filter: EventFilter, name: string, position: number) {
    this.#source = source
    this.#filter = filter
    this.#name = name
    this.#position = position
    this.#time = 0
  }

  /** All up to here was given out or passed over. */
  get position(): number {
    return this.#position
  }

  /**
   * The next events, `max` at most; `undefined` when all that is durable was given out.
   *
   * @throws StoreError `LOG_DAMAGED`
   */
  async next(max: number): Promise<Batch | undefined> {
    const began = performance.now()
    const before = this.#position
    const events: StoredEvent[] = []
    let bytes = 0
    try {
      while (events.length < max && bytes < BATCH_BYTES) {
        const frame = await this.#open()
        if (frame === undefined) break
        const share = frame.bytes / frame.count
        for (const member of this.#rest(frame)) {
          events.push(this.#take(member))
          bytes += share
          if (events.length >= max || bytes >= BATCH_BYTES) break
        }
        if (this.#frame === undefined && performance.now() - began >= STRETCH_MS) break
      }
    } catch (error) {
      await this.release()
      // What stands before the damage is delivered first; it is met again behind it.
      if (this.#position === before) throw error
    }
    if (this.#position === before) return undefined
    return { events, last: this.#position, time: this.#time }
  }

  /** Goes on behind another position. */
  async moveTo(position: number): Promise<void> {
    await this.release()
    this.#position = position
    this.#time = 0
  }

  /** Lets go of what it reads from, as long as nothing is asked for. */
  async release(): Promise<void> {
    const frames = this.#frames
    this.#frames = undefined
    this.#frame = undefined
    this.#members = undefined
    await frames?.return?.()
  }

  /** The frame at hand, or the next one if it is durable. */
  async #open(): Promise<Frame | undefined> {
    const source = this.#source
    if (this.#frame === undefined) {
      if (this.#position >= source.durableHead()) return undefined
      this.#frames ??= source.read(this.#position + 1)[Symbol.asyncIterator]()
      const found = await this.#frames.next()
      if (found.done === true) {
        // It ended where the head was when it began; what came since is read by another.
        this.#frames = undefined
        return this.#position < source.durableHead() ? this.#open() : undefined
      }
      this.#frame = found.value
    }
    // A frame is durable whole or not at all.
    return this.#frame.last <= source.durableHead() ? this.#frame : undefined
  }

  #take({ commit, index, event }: Member): StoredEvent {
    const stored = toStoredEvent(commit, index, event)
    this.#position = stored.position
    this.#time = stored.time
    return stored
  }

  /** What of the frame was not given out yet and passes. */
  *#rest(frame: Frame): Generator<Member> {
    this.#members ??= this.#passing(frame)
    for (let next = this.#members.next(); next.done !== true; next = this.#members.next()) {
      yield next.value
    }
    this.#members = undefined
    this.#frame = undefined
    this.#position = frame.last
    this.#time = frame.commits.at(-1)?.time ?? frame.time ?? 0
  }

  *#passing({ commits }: Frame): Generator<Member> {
    const { types, concept } = this.#filter
    const from = this.#position + 1
    for (const commit of commits) {
      for (const [index, event] of commit.events.entries()) {
        if (commit.first + index < from) continue
        if (types === undefined ? OWN_TYPES.has(event.type) : !types.has(event.type)) continue
        if (concept !== undefined && !isAbout(event, concept)) continue
        if ('subscription' in event && event.subscription === this.#name) continue
        yield { commit, index, event }
      }
    }
  }
}
