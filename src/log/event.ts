/**
 * The events of the log and how each is laid out in MessagePack.
 *
 * An event is an array: `[code, version, …fields]`. Codes are part of the disk format: never
 * reuse one. What the writer resolved (ordinals, versions, resulting values) is in the event, so
 * that a projection never looks anything up. A field that is absent was not changed; `null` was
 * cleared. The frequent ones are written by event-writer.ts and read by event-reader.ts.
 *
 * | code | event                  | layout after `[code, version`                            |
 * | ---- | ---------------------- | -------------------------------------------------------- |
 * | 1    | concept-learned        | ordinal, id, concept version, created, mask, …fields     |
 * | 2    | concept-reinforced     | the same                                                 |
 * | 3    | concept-revised        | the same                                                 |
 * | 4    | concept-forgotten, 2   | ordinal, id, concept version, caller's key or nil        |
 * | 5    | association-created    | source, target, type, key, version, created, mask, …     |
 * | 6    | association-reinforced | the same                                                 |
 * | 7    | association-revised    | the same                                                 |
 * | 8    | association-removed    | source, target, type, key, version                       |
 * | 9    | vectors-declared       | map of the declaration                                   |
 * | 10   | commit-noted           | nothing: an idempotent commit that changed nothing       |
 * | 11   | event-quarantined      | subscription, position, attempts, error                  |
 * | 12   | event-released         | subscription, position, outcome                          |
 *
 * `source` and `target` are three elements each: ordinal, id, caller's key or nil. An id is 16
 * bytes. Versions are 1 but where the table names another; `upcast.ts` turns older layouts into
 * these when they are read. Metadata is MessagePack within a byte string: whoever only carries it never decodes it.
 */
import type { ConceptId } from '../ids.ts'
import { upcast } from './upcast.ts'

/** Bytes are kept as they were given: little-endian f32, `dimensions` of them. */
export interface EventVector {
  space: string
  /** Number of this vector in the store: dense from 1, given by the writer, never reused. */
  revision: number
  bytes: Uint8Array
}

export interface ConceptFields {
  key?: string
  type?: string | null
  content?: string
  data?: Uint8Array | null
  strength?: number
  confidence?: number
  /** Resulting metadata as MessagePack, after any merge. */
  metadata?: Uint8Array | null
  vector?: EventVector | null
  stub?: boolean
}

export interface ConceptChanged {
  type: 'concept-learned' | 'concept-reinforced' | 'concept-revised'
  ordinal: number
  id: ConceptId
  version: number
  created: boolean
  fields: ConceptFields
}

export interface ConceptForgotten {
  type: 'concept-forgotten'
  ordinal: number
  id: ConceptId
  /** The version of the forgetting itself; learning the id again goes on from it. */
  version: number
  /** The caller's key; unknown where the event was written in version 1. */
  key: string | undefined
}

export interface AssociationEnd {
  ordinal: number
  id: ConceptId
  key: string | undefined
}

export interface AssociationFields {
  strength?: number
  confidence?: number
  metadata?: Uint8Array | null
}

export interface AssociationChanged {
  type: 'association-created' | 'association-reinforced' | 'association-revised'
  source: AssociationEnd
  target: AssociationEnd
  name: string
  key: string | undefined
  version: number
  created: boolean
  fields: AssociationFields
}

export interface AssociationRemoved {
  type: 'association-removed'
  source: AssociationEnd
  target: AssociationEnd
  name: string
  key: string | undefined
  version: number
}

export interface VectorsDeclared {
  type: 'vectors-declared'
  space: string
  dimensions: number
  metric: 'cosine' | 'ip' | 'l2sq'
  model: string | undefined
  quantization: 'f32' | 'f16' | 'bf16' | 'i8'
  connectivity: number
  expansionAdd: number
  expansionSearch: number
}

export interface CommitNoted {
  type: 'commit-noted'
}

/** A subscription's handler could not do an event, which is set aside. */
export interface EventQuarantined {
  type: 'event-quarantined'
  subscription: string
  /** Of the event that is set aside. */
  position: number
  attempts: number
  error: string
}

/** An event that was set aside is so no more. */
export interface EventReleased {
  type: 'event-released'
  subscription: string
  position: number
  outcome: 'handled' | 'discarded'
}

export type LogEvent = (
  | ConceptChanged
  | ConceptForgotten
  | AssociationChanged
  | AssociationRemoved
  | VectorsDeclared
  | CommitNoted
  | EventQuarantined
  | EventReleased
) & {
  /** The version that the log holds, of an event that was upcast when it was read. */
  storedVersion?: number
}

/** The version that is written now: higher where the layout has changed since the first release. */
export function newestVersion(type: LogEvent['type']): number {
  return type === 'concept-forgotten' ? 2 : 1
}

/** The version in which the log holds an event. */
export function versionOf(event: LogEvent): number {
  return event.storedVersion ?? newestVersion(event.type)
}

export const CODES: Readonly<Record<LogEvent['type'], number>> = {
  'concept-learned': 1,
  'concept-reinforced': 2,
  'concept-revised': 3,
  'concept-forgotten': 4,
  'association-created': 5,
  'association-reinforced': 6,
  'association-revised': 7,
  'association-removed': 8,
  'vectors-declared': 9,
  'commit-noted': 10,
  'event-quarantined': 11,
  'event-released': 12
}

/** Fields of a concept's event up to its mask: code, version, ordinal, id, version, created, mask. */
export const CONCEPT_FIXED = 7
/** The same of an association: code, version, both ends, type, key, version, created, mask. */
export const ASSOCIATION_FIXED = 13

export const TYPES: readonly (LogEvent['type'] | undefined)[] = [
  undefined,
  ...(Object.keys(CODES) as LogEvent['type'][])
]

/** The events that come by the million: event-writer.ts and event-reader.ts make no array of them. */
export type FrequentEvent = ConceptChanged | AssociationChanged
export type RareEvent = Exclude<LogEvent, FrequentEvent>

/** Lays a rare event out as the array that MessagePack encodes. */
export function encodeEvent(event: RareEvent): unknown[] {
  const head: unknown[] = [CODES[event.type], newestVersion(event.type)]
  switch (event.type) {
    case 'concept-forgotten':
      head.push(event.ordinal, idBytes(event.id), event.version, event.key ?? null)
      return head
    case 'association-removed': {
      const { source, target } = event
      head.push(source.ordinal, idBytes(source.id), source.key ?? null)
      head.push(target.ordinal, idBytes(target.id), target.key ?? null)
      head.push(event.name, event.key ?? null, event.version)
      return head
    }
    case 'vectors-declared': {
      const { type: _, ...declaration } = event
      head.push({ ...declaration, model: event.model ?? null })
      return head
    }
    case 'commit-noted':
      return head
    case 'event-quarantined':
      head.push(event.subscription, event.position, event.attempts, event.error)
      return head
    case 'event-released':
      head.push(event.subscription, event.position, event.outcome)
      return head
  }
}

/**
 * Reads a rare event back and checks its shape: a checksum proves that the bytes are those that
 * were written, not that they were written by this version of this program.
 *
 * @throws MalformedEvent
 */
export function decodeEvent(value: unknown): RareEvent {
  const reader = new FieldReader(value)
  const code = reader.integer()
  const version = reader.integer()
  const type = TYPES[code]
  if (type === undefined) throw new MalformedEvent(`unknown event code ${code}`)
  const newest = newestVersion(type)
  if (version === newest) return decodeFields(type, reader)
  const layout = version < newest ? upcast(value as unknown[], newest) : undefined
  if (layout === undefined) throw new MalformedEvent(`unknown version ${version} of ${type}`)
  const upcasted = decodeFields(type, new FieldReader(layout.slice(2)))
  return { ...upcasted, storedVersion: version }
}

/** Reads what stands behind code and version. */
function decodeFields(type: LogEvent['type'], reader: FieldReader): RareEvent {
  switch (type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised':
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised':
      throw new MalformedEvent(`${type} of an unknown layout`)
    case 'concept-forgotten':
      return {
        type,
        ordinal: reader.integer(),
        id: reader.id(),
        version: reader.integer(),
        key: reader.optionalString()
      }
    case 'association-removed':
      return {
        type,
        source: readEnd(reader),
        target: readEnd(reader),
        name: reader.string(),
        key: reader.optionalString(),
        version: reader.integer()
      }
    case 'vectors-declared':
      return readDeclaration(reader)
    case 'commit-noted':
      return { type }
    case 'event-quarantined':
      return {
        type,
        subscription: reader.string(),
        position: reader.integer(),
        attempts: reader.integer(),
        error: reader.string()
      }
    case 'event-released':
      return {
        type,
        subscription: reader.string(),
        position: reader.integer(),
        outcome: readOutcome(reader)
      }
  }
}

export class MalformedEvent extends Error {
  override readonly name = 'MalformedEvent'
}

/** Bits of the mask that says which fields follow, in this order. */
export const FIELDS = {
  key: 1,
  type: 2,
  content: 4,
  data: 8,
  strength: 16,
  confidence: 32,
  metadata: 64,
  vector: 128,
  stub: 256
} as const

function readEnd(reader: FieldReader): AssociationEnd {
  return { ordinal: reader.integer(), id: reader.id(), key: reader.optionalString() }
}

function readDeclaration(reader: FieldReader): VectorsDeclared {
  const map = reader.next()
  if (typeof map !== 'object' || map === null) throw new MalformedEvent('declaration is no map')
  const { model, ...rest } = map as Omit<VectorsDeclared, 'model' | 'type'> & { model: unknown }
  if (!Number.isInteger(rest.dimensions) || typeof rest.space !== 'string') {
    throw new MalformedEvent('declaration without dimensions or space')
  }
  return { type: 'vectors-declared', ...rest, model: typeof model === 'string' ? model : undefined }
}

function readOutcome(reader: FieldReader): EventReleased['outcome'] {
  const outcome = reader.string()
  if (outcome === 'handled' || outcome === 'discarded') return outcome
  throw new MalformedEvent(`unknown outcome '${outcome}'`)
}

const ID_BYTES = 16

function idBytes(id: ConceptId): Buffer {
  return Buffer.from(id, 'hex')
}

/** Takes the elements of one array in order and checks the type of each. */
class FieldReader {
  readonly #fields: readonly unknown[]
  #at = 0

  constructor(value: unknown) {
    if (!Array.isArray(value)) throw new MalformedEvent('not an array')
    this.#fields = value
  }

  next(): unknown {
    if (this.#at >= this.#fields.length) throw new MalformedEvent('a field is missing')
    return this.#fields[this.#at++]
  }

  integer(): number {
    const value = this.next()
    if (Number.isSafeInteger(value)) return value as number
    throw this.#unexpected('an integer')
  }

  string(): string {
    const value = this.next()
    if (typeof value === 'string') return value
    throw this.#unexpected('a string')
  }

  optionalString(): string | undefined {
    const value = this.next()
    if (value === null) return undefined
    if (typeof value === 'string') return value
    throw this.#unexpected('a string or nil')
  }

  bytes(): Uint8Array {
    const value = this.next()
    if (value instanceof Uint8Array) return value
    throw this.#unexpected('bytes')
  }

  id(): ConceptId {
    const bytes = this.bytes()
    if (bytes.length !== ID_BYTES) throw this.#unexpected('16 bytes')
    // Buffer is what the decoder gives; the 32 digits of 16 bytes are an id by their making.
    const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes)
    return buffer.toString('hex') as ConceptId
  }

  #unexpected(expected: string): MalformedEvent {
    return new MalformedEvent(`field ${this.#at - 1} is not ${expected}`)
  }
}
