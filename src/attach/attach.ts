import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ioFailed, StoreError, show } from '../errors.ts'
import { isMisplaced, isMissing } from '../storage/files.ts'
import type { Stats, TelemetryEvent } from '../telemetry/types.ts'
import type {
  Attached,
  Counts,
  EventsOptions,
  FollowTelemetryOptions,
  ProcessStats,
  ReadOptions,
  StoredEvent,
  StoredTelemetryOptions
} from '../types.ts'
import { Connection, closedOr } from './connection.ts'
import { type Message, unpackError, unpackEvent } from './protocol.ts'

/** @see attach of open.ts */
export async function attach(directory: string, options: ReadOptions): Promise<Attached> {
  if (typeof directory !== 'string' || directory === '') {
    throw new TypeError(`'directory' must be a non-empty string, received ${show(directory)}`)
  }
  checkShape(options)
  const path = resolve(directory)
  await assertStore(path)
  return new AttachedStore(path, await Connection.open(path, options.signal))
}

class AttachedStore implements Attached {
  readonly directory: string
  readonly #connection: Connection
  /** Each stream has its own, so that one that is read slowly holds up nothing else. */
  readonly #streams = new Set<Connection>()
  /** Requests take turns: they are answered in order. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(directory: string, connection: Connection) {
    this.directory = directory
    this.#connection = connection
  }

  get pid(): number {
    return this.#connection.hello.pid
  }

  get storeId(): string {
    return this.#connection.hello.storeId
  }

  async stats(options: ReadOptions = {}): Promise<Stats> {
    // The other side runs the same method of a store; so it is below.
    return (await this.#ask('stats', options)) as Stats
  }

  async process(options: ReadOptions = {}): Promise<ProcessStats> {
    return (await this.#ask('process', options)) as ProcessStats
  }

  async counts(options: ReadOptions = {}): Promise<Counts> {
    return (await this.#ask('counts', options)) as Counts
  }

  async metrics(options: ReadOptions = {}): Promise<string> {
    return (await this.#ask('metrics', options)) as string
  }

  async *events(options: EventsOptions = {}): AsyncGenerator<StoredEvent, void> {
    checkShape(options)
    const { signal, ...query } = options
    for await (const { value } of this.#follow('events', query, signal)) yield unpackEvent(value)
  }

  async *telemetry(options: FollowTelemetryOptions = {}): AsyncGenerator<TelemetryEvent, void> {
    checkShape(options)
    const { signal, onDropped, ...query } = options
    for await (const { value, dropped } of this.#follow('telemetry', query, signal)) {
      if (typeof dropped === 'number') onDropped?.(dropped)
      // What the store's own stream of telemetry emitted.
      else yield value as TelemetryEvent
    }
  }

  async *storedTelemetry(
    options: StoredTelemetryOptions = {}
  ): AsyncGenerator<TelemetryEvent, void> {
    checkShape(options)
    const { signal, onUnreadable, ...query } = options
    for await (const message of this.#follow('storedTelemetry', query, signal)) {
      const { value, unreadable, reason } = message
      if (typeof unreadable !== 'string') {
        // What the store's own iterable yielded.
        yield value as TelemetryEvent
        continue
      }
      if (onUnreadable === undefined) throw unpackError(reason)
      onUnreadable(unreadable, unpackError(reason))
    }
  }

  async close(): Promise<void> {
    this.#connection.close()
    for (const stream of this.#streams) stream.close()
    await this.#turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #ask(what: string, options: ReadOptions): Promise<unknown> {
    checkShape(options)
    const { signal } = options
    const mine = this.#turn.then(async () => this.#askNow(what, signal))
    // A failure belongs to whoever asked.
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #askNow(what: string, signal: AbortSignal | undefined): Promise<unknown> {
    this.#assertOpen(what)
    const answer = await this.#connection.request(what, signal)
    if (answer !== undefined) return answer['value']
    // The store closed before it could answer, or this side hung up.
    this.#assertOpen(what)
    throw new StoreError('STORE_CLOSED', 'The store is closed', { operation: what })
  }

  async *#follow(
    what: string,
    options: object,
    signal: AbortSignal | undefined
  ): AsyncGenerator<Message, void> {
    this.#assertOpen(what)
    const stream = await this.#connect(what, signal)
    this.#streams.add(stream)
    try {
      // Closing may have come while the connection was made.
      this.#assertOpen(what)
      yield* stream.stream(what, { ...options }, signal)
    } finally {
      this.#streams.delete(stream)
      stream.close()
    }
  }

  async #connect(what: string, signal: AbortSignal | undefined): Promise<Connection> {
    try {
      return await Connection.open(this.directory, signal)
    } catch (error) {
      throw await closedOr(error, this.directory, what)
    }
  }

  #assertOpen(operation: string): void {
    if (!this.#connection.isClosed) return
    throw new StoreError('STORE_CLOSED', 'This side has hung up', { operation })
  }
}

/** Here, as in the store's own methods, what is no object and no signal is a mistake of the program. */
function checkShape(options: ReadOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`'options' must be an object, received ${show(options)}`)
  }
  const { signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(`'signal' must be an AbortSignal, received ${show(signal)}`)
  }
}

async function assertStore(directory: string): Promise<void> {
  try {
    await stat(join(directory, 'FORMAT'))
  } catch (cause) {
    if (isMisplaced(cause)) {
      const message = `'${directory}' is not a store but a file`
      throw new StoreError('NOT_A_STORE', message, { directory, found: [] }, { cause })
    }
    if (!isMissing(cause)) throw ioFailed(cause, 'attach')
    const message = `There is no store in '${directory}'`
    throw new StoreError('STORE_NOT_FOUND', message, { directory }, { cause })
  }
}
