/**
 * The listening side of attaching: a socket on which other processes of the same user ask an open
 * store how it fares and what happens. They can read and nothing else; how many, and how much memory
 * each may take, is bounded; whatever one of them does, the store goes on.
 */
import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import type { Store } from '../types.ts'
import { type Address, makeAddress, removeAddress } from './address.ts'
import { PROTOCOL_VERSION, toFrame } from './protocol.ts'
import { Session } from './session.ts'

/** What can be asked of a store from outside. */
export type Offered = Pick<
  Store,
  'stats' | 'counts' | 'metrics' | 'events' | 'telemetry$' | 'storedTelemetry'
>

/** Connections at once: a screen takes one, each stream another. */
const CLIENTS_MAX = 32
/** Waits for each of them to be read, at most, and one event. */
const BUFFER_BYTES = 128 * 1024
const OWNER_ALONE = 0o600

export class AttachServer {
  readonly #directory: string
  readonly #server: Server
  readonly #sessions = new Set<Session>()
  #closing: Promise<void> | undefined

  private constructor(directory: string, storeId: string, store: Offered) {
    this.#directory = directory
    const hello = { v: PROTOCOL_VERSION, pid: process.pid, storeId, directory }
    this.#server = createServer({ highWaterMark: BUFFER_BYTES }, (socket) => {
      if (this.#sessions.size >= CLIENTS_MAX) {
        refuse(socket, `${CLIENTS_MAX} others are attached already`)
        return
      }
      // Nobody's process stays alive because somebody looks on.
      socket.unref()
      const session = new Session(socket, store, () => this.#sessions.delete(session))
      this.#sessions.add(session)
      session.start(hello)
    })
    this.#server.unref()
    // A connection that could not be taken, for want of file handles, is the other side's loss.
    this.#server.on('error', () => undefined)
  }

  /**
   * Begins to listen. If it throws, nothing is left behind.
   *
   * @param storeId As 32 hex digits.
   */
  static async start(directory: string, storeId: string, store: Offered): Promise<AttachServer> {
    const server = new AttachServer(directory, storeId, store)
    try {
      await server.#listen(await makeAddress(directory, storeId))
    } catch (error) {
      await server.close()
      throw error
    }
    return server
  }

  /** Hangs up on everybody and removes the socket. Waits for nobody who does not read. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    const isListening = this.#server.listening
    const closed = isListening ? once(this.#server, 'close') : undefined
    if (isListening) this.#server.close()
    try {
      // First: by it, whoever is hung up on tells a store that closed from a process that died.
      await removeAddress(this.#directory)
    } finally {
      await Promise.all([...this.#sessions].map(async (session) => session.end()))
      await closed
    }
  }

  async #listen({ path, folder }: Address): Promise<void> {
    const listening = once(this.#server, 'listening')
    this.#server.listen(path)
    await listening
    // The folder keeps others out already; this says so to whoever looks at the socket.
    if (folder !== undefined) await chmod(path, OWNER_ALONE)
  }
}

function refuse(socket: Socket, refused: string): void {
  // Whoever is refused may be gone before it hears of it.
  socket.on('error', () => undefined)
  socket.unref()
  socket.end(toFrame({ v: PROTOCOL_VERSION, refused }), () => socket.destroy())
}
