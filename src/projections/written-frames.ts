/**
 * The frames that hold what a segment of the overlay no longer keeps as objects. What is kept in their
 * place is the number of an event in its frame: which frame follows from the place in the list.
 */
import { assert } from '../assert.ts'
import type { LogEvent } from '../log/event.ts'
import { readEvent } from '../log/event-reader.ts'
import type { WrittenFrame } from '../log/log.ts'
import { MessageReader } from '../storage/message-reader.ts'
import type { At } from './state.ts'

export class WrittenFrames {
  /** Each from one place of the list on: frames are written in the order of the list. */
  readonly #frames: { from: number; frame: WrittenFrame }[] = []

  /** Notes that what is at a place is an event of this frame. @returns The number of the event. */
  add(place: number, position: number, frame: WrittenFrame): number {
    if (this.#frames.at(-1)?.frame !== frame) this.#frames.push({ from: place, frame })
    return position - frame.first
  }

  positionOf(place: number, number: number): number {
    return this.#at(place).first + number
  }

  /** At the beginning of the event. */
  reader(place: number, number: number): MessageReader {
    const { value, starts } = this.#at(place)
    return new MessageReader(value, starts[number] ?? value.length)
  }

  event(place: number, number: number): { event: LogEvent; at: At } {
    const { first, commits } = this.#at(place)
    const event = readEvent(this.reader(place, number))
    const position = first + number
    const commit = lastFrom(commits, position, (one) => one.first)
    assert(commit !== undefined, 'an event is of a commit')
    return { event, at: { position, time: commit.time } }
  }

  #at(place: number): WrittenFrame {
    const found = lastFrom(this.#frames, place, ({ from }) => from)
    assert(found !== undefined, 'what is no object is in a frame')
    return found.frame
  }
}

/** The last one that begins at or before a place: there may be thousands. */
function lastFrom<T>(
  items: readonly T[],
  place: number,
  beginOf: (item: T) => number
): T | undefined {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = items[middle]
    if (item !== undefined && beginOf(item) <= place) low = middle + 1
    else high = middle
  }
  return items[low - 1]
}
