import { once } from 'node:events'
import type { Socket } from 'node:net'
import { StoreError } from '../errors.ts'
import { onAbort } from '../on-abort.ts'
import { TELEMETRY_KINDS } from '../telemetry/kinds.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { EventsOptions, StoredTelemetryOptions } from '../types.ts'
import { ProcessWatch } from './process-watch.ts'
import {
  FrameReader,
  type Message,
  packError,
  packEvent,
  REQUEST_BYTES_MAX,
  toFrame
} from './protocol.ts'
import type { Offered } from './server.ts'
import { TelemetryBuffer } from './telemetry-buffer.ts'

interface Request {
  id: number
  do: string
  options: Message
}

/** Requests that wait for the one before; who asks for more does not read the answers. */
const WAITING_MAX = 16
/** A request is written at once: who takes longer for one has died, or means no good. */
const REQUEST_MS = 10_000
/** How long the last words may take. Who does not read them has lost nothing. */
const FAREWELL_MS = 200

/** One connection: answers one request after the other until either side hangs up. */
export class Session {
  readonly #socket: Socket
  readonly #store: Offered
  readonly #reader = new FrameReader(REQUEST_BYTES_MAX)
  readonly #watch = new ProcessWatch()
  /** Fires when the other side is gone, or the store closes. */
  readonly #gone = new AbortController()
  readonly #closed: Promise<void>
  readonly #waiting: Request[] = []
  #working: Promise<void> | undefined
  #late: NodeJS.Timeout | undefined

  constructor(socket: Socket, store: Offered, onClosed: () => void) {
    this.#socket = socket
    this.#store = store
    this.#closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#gone.abort()
        this.#watch.stop()
        clearTimeout(this.#late)
        onClosed()
        resolve()
      })
    })
    // A connection that breaks is closed next, which is all there is to do about it.
    socket.on('error', () => undefined)
    // Who has hung up wants no more answers. Reading goes on during a stream to notice it.
    socket.on('end', () => socket.destroy())
    socket.on('data', (chunk) => this.#receive(chunk))
  }

  start(hello: Message): void {
    this.#socket.write(toFrame(hello))
  }

  /** Ends the stream under way, if there is one, and hangs up. Resolves when both are done. */
  async end(): Promise<void> {
    this.#gone.abort()
    const timer = setTimeout(() => this.#socket.destroy(), FAREWELL_MS)
    await this.#working
    this.#socket.end(() => this.#socket.destroy())
    await this.#closed
    clearTimeout(timer)
  }

  #receive(chunk: Buffer): void {
    clearTimeout(this.#late)
    try {
      for (const message of this.#reader.push(chunk)) this.#ask(toRequest(message))
    } catch (error) {
      this.#hangUp(error)
      return
    }
    if (this.#reader.isWithin) {
      this.#late = setTimeout(() => this.#socket.destroy(), REQUEST_MS).unref()
    }
  }

  #ask(request: Request): void {
    if (this.#waiting.length >= WAITING_MAX) {
      throw new Error(`more than ${WAITING_MAX} requests wait for an answer`)
    }
    this.#waiting.push(request)
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#socket.destroyed) return
      try {
        await this.#answer(next)
      } catch (error) {
        // Nobody is left to be told, or the stream ends with the store.
        if (this.#gone.signal.aborted) return this.#sayEnd(next.id)
        await this.#send({ id: next.id, error: packError(error) })
      }
    }
  }

  async #answer({ id, do: what, options }: Request): Promise<void> {
    switch (what) {
      case 'stats':
        return this.#send({ id, value: this.#store.stats() })
      case 'process':
        return this.#send({ id, value: this.#watch.read() })
      case 'metrics':
        return this.#send({ id, value: this.#store.metrics() })
      case 'counts':
        return this.#send({ id, value: await this.#store.counts({ signal: this.#gone.signal }) })
      case 'events':
        return this.#sendEvents(id, options)
      case 'telemetry':
        return this.#sendTelemetry(id, options)
      case 'storedTelemetry':
        return this.#sendStoredTelemetry(id, options)
      default: {
        const reason = `there is nothing called '${what.slice(0, 80)}' to ask for`
        throw new StoreError('UNSUPPORTED', `A store that is attached to: ${reason}`, {
          operation: what.slice(0, 80),
          reason
        })
      }
    }
  }

  /** What is read slowly is read slowly from the log: nothing piles up here. */
  async #sendEvents(id: number, options: Message): Promise<void> {
    const { signal } = this.#gone
    // `events` checks every name and value itself; the signal is ours.
    const events = this.#store.events({ ...(options as EventsOptions), signal })
    let began = performance.now()
    for await (const event of events) {
      await this.#send({ id, value: packEvent(event) })
      if (performance.now() - began < STRETCH_MS) continue
      await turn()
      began = performance.now()
    }
    await this.#send({ id, end: true })
  }

  /** What happens goes on happening: what a slow reader has no room for is counted, not kept. */
  async #sendTelemetry(id: number, options: Message): Promise<void> {
    const buffer = new TelemetryBuffer(typesOf(options))
    const { signal } = this.#gone
    const subscription = this.#store.telemetry$.subscribe(buffer)
    const stop = onAbort(signal, () => buffer.complete())
    try {
      for await (const { dropped, event } of buffer) {
        if (dropped > 0) await this.#send({ id, dropped })
        await this.#send({ id, value: event })
      }
    } finally {
      stop()
      subscription.unsubscribe()
    }
    await this.#send({ id, end: true })
  }

  /** Read no faster than it is taken. Parts that cannot be read are told of in their place. */
  async #sendStoredTelemetry(id: number, options: Message): Promise<void> {
    const { signal } = this.#gone
    const unreadable: Message[] = []
    const onUnreadable = (segment: string, error: Error): void => {
      unreadable.push({ id, unreadable: segment, reason: packError(error) })
    }
    const tell = async (): Promise<void> => {
      for (const one of unreadable.splice(0)) await this.#send(one)
    }
    // `storedTelemetry` checks every name and value itself; what follows them is ours.
    const asked = { ...(options as StoredTelemetryOptions), onUnreadable, signal }
    for await (const value of this.#store.storedTelemetry(asked)) {
      await tell()
      await this.#send({ id, value })
    }
    await tell()
    await this.#send({ id, end: true })
  }

  /** Resolves when there is room for more, or nobody to make room for. */
  async #send(message: Message): Promise<void> {
    const { signal } = this.#gone
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    // What is sent in one turn of the loop goes out in one piece.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork()
      setImmediate(() => this.#socket.uncork())
    }
    const hasRoom = this.#socket.write(toFrame(message))
    if (hasRoom || signal.aborted) return
    await once(this.#socket, 'drain', { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  /** The last frame of a stream that was cut off, where somebody is there to read it. */
  #sayEnd(id: number): void {
    const { destroyed, writableEnded, writableNeedDrain } = this.#socket
    if (destroyed || writableEnded || writableNeedDrain) return
    this.#socket.write(toFrame({ id, end: true }))
  }

  /** What came is no request, and what follows cannot be trusted to be one. */
  #hangUp(error: unknown): void {
    this.#socket.removeAllListeners('data')
    // Read on, so that the other side's end is noticed; what it still says is thrown away.
    this.#socket.resume()
    this.#late = setTimeout(() => this.#socket.destroy(), FAREWELL_MS).unref()
    this.#socket.end(toFrame({ id: 0, error: packError(error) }), () => this.#socket.destroy())
    this.#gone.abort()
  }
}

function toRequest({ id, do: what, options = {} }: Message): Request {
  if (typeof id !== 'number' || typeof what !== 'string') {
    throw new Error('a request needs a number as its id, and what to do')
  }
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new Error('the options of a request must be a map')
  }
  // It is an object that is no array.
  return { id, do: what, options: options as Message }
}

function isKind(type: unknown): boolean {
  return TELEMETRY_KINDS.some((kind) => kind === type)
}

function typesOf({ types }: Message): ReadonlySet<string> | undefined {
  if (types === undefined) return undefined
  if (Array.isArray(types) && types.every(isKind)) return new Set(types)
  const expected = 'an array of types of telemetry'
  throw new StoreError('QUERY_INVALID', `'types' must be ${expected}`, {
    option: 'types',
    received: types,
    expected
  })
}
