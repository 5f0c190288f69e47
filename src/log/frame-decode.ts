/** Reads what frames hold: whole, or event by event for who needs no more than one at a time. */
import { MalformedMessage, MessageReader } from '../storage/message-reader.ts'
import type { CommandResult } from '../types.ts'
import { type LogEvent, MalformedEvent } from './event.ts'
import { readEvent } from './event-reader.ts'
import {
  bodyAt,
  type CommitMeta,
  checkFrame,
  type Frame,
  FrameDamage,
  type FrameHeader,
  type Gap,
  type Idempotency,
  type LogCommit
} from './frame.ts'

/** A frame as it lies in the log: checked, but not decoded. */
export interface RawFrame extends FrameHeader {
  value: Buffer
}

/** A commit without its events. */
export interface CommitHead {
  time: number
  first: number
  meta: CommitMeta | undefined
  /** How many events follow. */
  count: number
}

const COMMIT_PARTS = 3

/**
 * The body of a normal frame, commit by commit. Whoever asks for the next one has read the events of
 * the one before, as many as it has. What is thrown while they are read, `damageOf` tells.
 */
export class BodyReader {
  readonly reader: MessageReader
  readonly #frame: RawFrame
  #left: number
  #next: number
  #time: number | undefined

  constructor(frame: RawFrame) {
    this.#frame = frame
    this.#next = frame.first
    this.reader = bodyReader(frame)
    this.#left = this.reader.array()
  }

  /** `undefined` behind the last one: all is as the header says. */
  nextCommit(): CommitHead | undefined {
    const { reader } = this
    if (this.#left === 0) {
      this.#checkEnd()
      return undefined
    }
    this.#left -= 1
    if (reader.array() !== COMMIT_PARTS) throw new FrameDamage('a commit is not three parts')
    const time = reader.number()
    const meta = reader.nil() ? undefined : decodeMeta(reader.value())
    const count = reader.array()
    const first = this.#next
    this.#next += count
    this.#time = time
    return { time, first, meta, count }
  }

  #checkEnd(): void {
    const { time, last } = this.#frame
    if (!this.reader.isAtEnd) throw new FrameDamage('the body goes on behind its last commit')
    if (this.#next !== last + 1) throw new FrameDamage('count of events differs from the header')
    if (time !== undefined && time !== this.#time) {
      throw new FrameDamage('time differs from the header')
    }
  }
}

/**
 * Checks and decodes a frame.
 *
 * @throws FrameDamage
 */
export function decodeFrame(key: Uint8Array, value: Buffer, storeId: Uint8Array): Frame {
  const header = checkFrame(key, value, storeId)
  const frame = { ...header, value }
  const bytes = value.length
  try {
    if (header.kind === 'gap') return { ...header, bytes, commits: [], gap: decodeGap(frame) }
    const commits = decodeCommits(new BodyReader(frame))
    return { ...header, time: commits.at(-1)?.time, bytes, commits, gap: undefined }
  } catch (error) {
    throw damageOf(error) ?? error
  }
}

/** What is wrong with a frame, if that is why something was thrown while its body was read. */
export function damageOf(error: unknown): FrameDamage | undefined {
  if (error instanceof FrameDamage) return error
  if (!(error instanceof MalformedMessage || error instanceof MalformedEvent)) return undefined
  return new FrameDamage(`the body is malformed: ${error.message}`, { cause: error })
}

function decodeCommits(body: BodyReader): LogCommit[] {
  const commits: LogCommit[] = []
  for (let head = body.nextCommit(); head !== undefined; head = body.nextCommit()) {
    const { time, first, meta, count } = head
    const events: LogEvent[] = []
    for (let i = 0; i < count; i++) events.push(readEvent(body.reader))
    commits.push({ time, first, meta, events })
  }
  return commits
}

function bodyReader({ value }: RawFrame): MessageReader {
  return new MessageReader(value, bodyAt(value))
}

function decodeGap(frame: RawFrame): Gap {
  const reader = bodyReader(frame)
  const value = reader.value()
  if (!reader.isAtEnd) throw new FrameDamage('a gap goes on behind its end')
  if (!Array.isArray(value)) throw new FrameDamage('a gap is not an array')
  const [previous, next, reason] = value as unknown[]
  if (previous !== frame.previous) throw new FrameDamage('a gap names two frames before it')
  if (typeof reason !== 'string' || (next !== null && typeof next !== 'number')) {
    throw new FrameDamage('malformed gap')
  }
  return { next: next ?? undefined, reason }
}

function decodeMeta(value: unknown): CommitMeta | undefined {
  if (value === null) return undefined
  if (!Array.isArray(value) || value.length !== 5) throw new FrameDamage('malformed commit meta')
  const [subject, causation, correlation, headers, idempotency] = value as unknown[]
  const meta: CommitMeta = {}
  if (typeof subject === 'string') meta.subject = subject
  if (typeof causation === 'string') meta.causation = causation
  if (typeof correlation === 'string') meta.correlation = correlation
  if (typeof headers === 'object' && headers !== null) {
    meta.headers = headers as Record<string, string>
  }
  if (Array.isArray(idempotency)) meta.idempotency = decodeIdempotency(idempotency)
  return meta
}

function decodeIdempotency([key, digest, results]: unknown[]): Idempotency {
  if (typeof key !== 'string' || !(digest instanceof Uint8Array) || !Array.isArray(results)) {
    throw new FrameDamage('malformed idempotency record')
  }
  return { key, digest, results: results.map(decodeResult) }
}

function decodeResult(value: unknown): CommandResult {
  if (!Array.isArray(value)) throw new FrameDamage('malformed command result')
  const [id, key, version, created] = value as [string | null, string | null, number, boolean]
  const result: CommandResult = { version, created }
  // Written from a checked id and covered by the frame's checksum.
  if (id !== null) result.id = id as NonNullable<CommandResult['id']>
  if (key !== null) result.key = key
  return result
}
