import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { aborted, isStoreError, StoreError, throwIfAborted } from '../errors.ts'
import { onAbort } from '../on-abort.ts'
import { isMissing } from '../storage/files.ts'
import { readAddress } from './address.ts'
import {
  ANSWER_BYTES_MAX,
  FrameReader,
  type Message,
  PROTOCOL_VERSION,
  ProtocolError,
  toFrame,
  unpackError
} from './protocol.ts'

/** What a store says of itself before it is asked. */
export interface Hello {
  readonly pid: number
  readonly storeId: string
  readonly directory: string
}

/** A process that is busy answers late; one that hangs must not make us hang. */
const HELLO_MS = 10_000

/** One connection to the process that has a store open. */
export class Connection {
  readonly hello: Hello
  readonly #socket: Socket
  readonly #messages: AsyncGenerator<Message, void>
  readonly #directory: string
  #lastId = 0
  #isClosed = false

  private constructor(
    directory: string,
    socket: Socket,
    messages: AsyncGenerator<Message, void>,
    hello: Hello
  ) {
    this.#directory = directory
    this.#socket = socket
    this.#messages = messages
    this.hello = hello
  }

  /** @throws StoreError `ATTACH_UNAVAILABLE`, `ABORTED`. */
  static async open(directory: string, signal?: AbortSignal): Promise<Connection> {
    const path = await readAddress(directory)
    throwIfAborted(signal, 'attach')
    if (path === undefined) throw unavailable(directory, NOT_OFFERED)
    const socket = createConnection({ path })
    // Whoever waits for the socket hears of its errors; those that come later end the reading.
    socket.on('error', () => undefined)
    const giveUp = (reason: string) => (): void => {
      socket.destroy(new Error(reason))
    }
    const timer = setTimeout(giveUp(`it did not answer within ${HELLO_MS / 1000} s`), HELLO_MS)
    const stop = onAbort(signal, giveUp('aborted'))
    try {
      await once(socket, 'connect')
      const messages = readMessages(socket)
      return new Connection(directory, socket, messages, await readHello(messages))
    } catch (error) {
      socket.destroy()
      throwIfAborted(signal, 'attach')
      throw isGone(error) ? unavailable(directory, NOT_OFFERED, error) : lost(directory, error)
    } finally {
      clearTimeout(timer)
      stop()
    }
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Asks for one value. A request that is aborted leaves the connection as it is: its answer is taken
   * when it comes, and thrown away.
   */
  async request(what: string, signal: AbortSignal | undefined): Promise<Message | undefined> {
    throwIfAborted(signal, what)
    const answer = this.#ask(what, {}).next()
    const { done, value } = await (signal ? orAborted(answer, signal, what) : answer)
    return done === true ? undefined : value
  }

  /** Members of a stream, until it ends. The connection is of no use for anything else then. */
  async *stream(
    what: string,
    options: Message,
    signal: AbortSignal | undefined
  ): AsyncGenerator<Message, void> {
    throwIfAborted(signal, what)
    const stop = onAbort(signal, () => this.#socket.destroy())
    try {
      yield* this.#ask(what, options)
    } catch (error) {
      throwIfAborted(signal, what)
      throw error
    } finally {
      stop()
    }
  }

  async *#ask(what: string, options: Message): AsyncGenerator<Message, void> {
    try {
      this.#socket.write(toRequest({ id: ++this.#lastId, do: what, options }))
      for (;;) {
        const { done, value } = await this.#messages.next()
        if (done === true) throw new ProtocolError('the other side hung up')
        if (value['error'] !== undefined) throw unpackError(value['error'])
        if (value['end'] === true) return
        yield value
      }
    } catch (error) {
      // Whoever closes it has seen enough, and what is under way ends.
      if (this.#isClosed) return
      if (!isBroken(error)) throw error
      throw await closedOr(lost(this.#directory, error), this.#directory, what)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#socket.destroy()
  }
}

async function readHello(messages: AsyncGenerator<Message, void>): Promise<Hello> {
  const { done, value } = await messages.next()
  if (done === true) throw new ProtocolError('it hung up at once')
  const { v, refused, pid, storeId, directory } = value
  if (typeof refused === 'string') throw new ProtocolError(refused)
  if (v !== PROTOCOL_VERSION) {
    const versions = `version ${String(v)} of the protocol, this program ${PROTOCOL_VERSION}`
    throw new ProtocolError(`it speaks ${versions}`)
  }
  return { pid: Number(pid), storeId: String(storeId), directory: String(directory) }
}

/** Whole messages, read no faster than they are taken. */
async function* readMessages(socket: Socket): AsyncGenerator<Message, void> {
  const reader = new FrameReader(ANSWER_BYTES_MAX)
  for await (const chunk of socket) {
    // Without an encoding, a socket gives buffers.
    yield* reader.push(chunk as Buffer)
  }
}

/** Values that cannot travel are not what the store would take either. */
function toRequest(request: Message): Buffer {
  try {
    return toFrame(request)
  } catch (cause) {
    throw new TypeError("'options' must be of plain values", { cause })
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => reject(aborted(signal, what)))
    work.finally(stop).then(resolve, reject)
  })
}

/** Why a store that answered before does so no more: it takes its address away only when it closes. */
export async function closedOr(
  error: unknown,
  directory: string,
  operation: string
): Promise<unknown> {
  if (!isStoreError(error, 'ATTACH_UNAVAILABLE')) return error
  if ((await readAddress(directory)) !== undefined) return error
  return new StoreError('STORE_CLOSED', 'The store is closed', { operation }, { cause: error })
}

const NOT_OFFERED =
  'no process that has it open offers it: there, open the store with { attach: true }'

/** The socket is gone, or nobody listens: a process that died without tidying up. */
function isGone(error: unknown): boolean {
  return (
    isMissing(error) || (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED')
  )
}

/** The connection broke, rather than the answer being an error. */
function isBroken(error: unknown): boolean {
  if (error instanceof ProtocolError) return true
  return error instanceof Error && !(error instanceof StoreError) && 'code' in error
}

function lost(directory: string, cause: unknown): StoreError<'ATTACH_UNAVAILABLE'> {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return unavailable(directory, reason, cause)
}

function unavailable(
  directory: string,
  reason: string,
  cause?: unknown
): StoreError<'ATTACH_UNAVAILABLE'> {
  const message = `The store in '${directory}' cannot be attached to: ${reason}`
  return new StoreError('ATTACH_UNAVAILABLE', message, { directory, reason }, { cause })
}
