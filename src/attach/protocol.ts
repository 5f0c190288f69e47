/**
 * What a store and those who attach to it say to each other. A frame is the length of its body, four
 * bytes big endian, and the body, one map in MessagePack, so that numbers, bytes and infinity arrive
 * as what they were.
 *
 * | who | says | when |
 * | --- | --- | --- |
 * | store | `{ v, pid, storeId, directory }` | first, to everybody who connects |
 * | store | `{ v, refused }` | instead: the reason, then it hangs up |
 * | client | `{ id, do, options }` | a request; one is answered after the other |
 * | store | `{ id, value }` | the answer, or the next member of a stream |
 * | store | `{ id, dropped }` | so many members of a stream of telemetry were left out here |
 * | store | `{ id, unreadable, reason }` | a part of kept telemetry is passed over here |
 * | store | `{ id, end }` | the stream is over |
 * | store | `{ id, error }` | what became of the request instead |
 *
 * A request can only read. Who has seen enough of a stream hangs up: each stream has a connection
 * of its own, so that what is read slowly holds up nothing else.
 */
import { StoreError, type StoreErrorCode, type StoreErrorDetails } from '../errors.ts'
import { pack, unpack } from '../storage/codec.ts'
import type { StoredEvent } from '../types.ts'

/** Raised when an older program would misunderstand what is said. */
export const PROTOCOL_VERSION = 1

/** Of a request. The longest name of a type or a key is far shorter. */
export const REQUEST_BYTES_MAX: number = 64 * 1024
/** Of an answer: one event may be as large as a commit, and some. */
export const ANSWER_BYTES_MAX: number = 256 * 1024 * 1024

const LENGTH_BYTES = 4

export type Message = Readonly<Record<string, unknown>>

export function toFrame(message: Message): Buffer {
  const body = pack(message)
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + body.length)
  frame.writeUInt32BE(body.length, 0)
  frame.set(body, LENGTH_BYTES)
  return frame
}

/** What came over the line is no frame: nothing behind it can be trusted. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

/** Cuts a stream of bytes into messages. Holds no more than one frame that is not whole. */
export class FrameReader {
  readonly #bytesMax: number
  #chunks: Buffer[] = []
  #length = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Whether a frame has begun that is not whole yet. */
  get isWithin(): boolean {
    return this.#length > 0
  }

  /** @throws ProtocolError */
  *push(chunk: Buffer): Generator<Message> {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    for (let body = this.#take(); body !== undefined; body = this.#take()) yield toMessage(body)
  }

  #take(): Buffer | undefined {
    if (this.#length < LENGTH_BYTES) return undefined
    const bodyLength = this.#head().readUInt32BE(0)
    // Refused by the length alone, before memory is taken for it.
    if (bodyLength > this.#bytesMax) {
      throw new ProtocolError(`a frame of ${bodyLength} bytes, more than ${this.#bytesMax}`)
    }
    const length = LENGTH_BYTES + bodyLength
    if (this.#length < length) return undefined
    const all = this.#chunks.length === 1 ? this.#head() : Buffer.concat(this.#chunks)
    this.#chunks = all.length > length ? [all.subarray(length)] : []
    this.#length -= length
    return all.subarray(LENGTH_BYTES, length)
  }

  /** The first chunk, made long enough to tell the length. */
  #head(): Buffer {
    const [first] = this.#chunks
    if (first !== undefined && first.length >= LENGTH_BYTES) return first
    const joined = Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }
}

function toMessage(body: Buffer): Message {
  let value: unknown
  try {
    value = unpack(body)
  } catch (cause) {
    throw new ProtocolError('a frame that is not MessagePack', { cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ProtocolError('a frame that holds no map')
  }
  // It is an object that is no array; every member is looked at before it is used.
  return value as Message
}

/** An event as it is sent: MessagePack has no arrays of floats, so an embedding goes as its bytes. */
export function packEvent(event: StoredEvent): Message {
  const { embedding } = event.data
  if (!(embedding instanceof Float32Array)) return { ...event }
  const { buffer, byteOffset, byteLength } = embedding
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  return { ...event, data: { ...event.data, embedding: bytes }, floats: true }
}

export function unpackEvent(value: unknown): StoredEvent {
  // What a store of the same version of the protocol packed above.
  const { floats, ...event } = value as StoredEvent & { floats?: boolean }
  const { embedding, data } = event.data
  // Bytes come as a Buffer that keeps all that was received with it alive.
  if (data instanceof Uint8Array) event.data['data'] = Uint8Array.from(data)
  if (floats === true && embedding instanceof Uint8Array) {
    event.data['embedding'] = toFloats(embedding)
  }
  return event
}

/** Copied, because the bytes may lie at an odd offset of what was received. */
function toFloats(bytes: Uint8Array): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer)
}

export function packError(error: unknown): Message {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const { name, message } = error
  return error instanceof StoreError
    ? { name, message, code: error.code, details: error.details }
    : { name, message }
}

export function unpackError(value: unknown): Error {
  const { name, message, code, details } = value as Message
  const text = String(message)
  if (typeof code === 'string') {
    // Codes and details are those of the other process, which may be newer than this one.
    return new StoreError(
      code as StoreErrorCode,
      text,
      details as StoreErrorDetails[StoreErrorCode]
    )
  }
  return name === 'TypeError' ? new TypeError(text) : new Error(text)
}
