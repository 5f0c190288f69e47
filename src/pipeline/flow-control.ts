import { aborted, StoreError } from '../errors.ts'
import type { ResolvedPipeline } from '../options.ts'
import type { Gate } from './gate.ts'
import { BoundedQueue, type Load } from './queue.ts'

interface FlowSetup {
  options: ResolvedPipeline
  /** Acknowledged events that the tables do not hold yet. */
  depth: () => number
  /** What waits for the writer, beside what waits for the tables. */
  line: () => Load
  now: () => number
  /** Why nothing leaves the queue any more. */
  stopError: () => Error | undefined
  /** Somebody begins to wait: batches need not. */
  onWait: () => void
}

const ONE_EVENT: Load = { events: 1, bytes: 0 }
const NOTHING: Load = { events: 0, bytes: 0 }

/** Slows writers down while the tables are behind, and tells those who ask when they need not wait. */
export class FlowControl {
  readonly queue: BoundedQueue
  readonly #setup: FlowSetup
  /** Bulk loads leave the last part of the queue to single commits. */
  readonly #bulk: Gate
  readonly #calm: Gate
  /** Of the queue, for bulk: the way from the warning to full is shared with others. */
  readonly #bulkShare: number
  #isClosed = false

  constructor(setup: FlowSetup) {
    const { options, depth, now } = setup
    const { warnAt, queueEventsMax: eventsMax, queueBytesMax: bytesMax } = options
    this.#setup = setup
    this.#bulkShare = (1 + warnAt) / 2
    this.queue = new BoundedQueue({ eventsMax, bytesMax, depth, now })
    this.#bulk = this.queue.gate('wait for room for a bulk load', this.#bulkShare)
    const withLine = (): Load => this.#loadWithLine()
    this.#calm = this.queue.gate('wait until writers are welcome', warnAt, withLine)
  }

  /** How many events `bulkRoom` has room for, at least one. */
  get bulkEvents(): number {
    const most = Math.floor(this.#setup.options.queueEventsMax * this.#bulkShare)
    return Math.max(most - this.#setup.depth(), 1)
  }

  /**
   * `undefined` when there is room now for what comes. Otherwise resolves when there is and all who
   * asked before have been let in. The queue never grows beyond its bounds, except by what is larger
   * than they are: that waits until the queue is empty.
   *
   * @throws StoreError `PROJECTION_STOPPED` if there never will be, `STORE_CLOSED`, `ABORTED`.
   */
  room(load: Load = ONE_EVENT, signal?: AbortSignal): Promise<void> | undefined {
    if (this.#isClosed) return Promise.reject(storeClosed('room'))
    const hasRoom = this.queue.hasRoomFor(load)
    if (hasRoom && this.queue.waiting === 0) return undefined
    return this.#waitAt(this.queue, !hasRoom, load, signal)
  }

  /** As `room`, for what leaves the last part of the queue to others. */
  bulkRoom(load: Load = ONE_EVENT): Promise<void> | undefined {
    if (this.#isClosed) return Promise.reject(storeClosed('room'))
    if (this.#bulk.isOpenTo(load)) return undefined
    return this.#waitAt(this.#bulk, !this.#bulk.hasRoomFor(load), load)
  }

  /**
   * Resolves once a writer need not wait: what is in the queue, with what waits for the writer, is
   * below the warning. Who asked first hears of it first, and batches start at once meanwhile.
   *
   * @throws StoreError `PROJECTION_STOPPED` if it never will be, `STORE_CLOSED`, `ABORTED`.
   */
  async ready(signal?: AbortSignal): Promise<void> {
    if (this.#isClosed) throw storeClosed('ready')
    if (signal?.aborted === true) throw aborted(signal, 'wait until writers are welcome')
    if (this.#calm.isOpenTo(NOTHING)) return
    await this.#waitAt(this.#calm, !this.#calm.hasRoomFor(NOTHING), NOTHING, signal)
  }

  /** To be called when less waits for the writer than before, or something else is the next. */
  lineMoved(): void {
    this.queue.letIn()
  }

  close(): void {
    this.#isClosed = true
    this.#calm.rejectAll(storeClosed('ready'))
    this.queue.rejectAll(storeClosed('room'))
  }

  #waitAt(
    gate: Pick<Gate, 'wait'>,
    isShut: boolean,
    load: Load,
    signal?: AbortSignal
  ): Promise<void> {
    const stopped = this.#setup.stopError()
    if (stopped !== undefined && isShut) return Promise.reject(stopped)
    const wait = gate.wait(load, signal)
    this.#setup.onWait()
    return wait
  }

  #loadWithLine(): Load {
    const { events, bytes } = this.queue.load
    const line = this.#setup.line()
    return { events: events + line.events, bytes: bytes + line.bytes }
  }
}

export function storeClosed(operation: string): StoreError<'STORE_CLOSED'> {
  return new StoreError('STORE_CLOSED', `The store was closed before '${operation}' was done`, {
    operation
  })
}
