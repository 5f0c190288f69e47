/** Checks of single values at the public border. Each names the field, the value and the limit. */
import { StoreError } from '../errors.ts'
import { ConceptId, type IdInput, idInvalid, isConceptId } from '../ids.ts'
import type { Limits } from '../options.ts'
import type { AssociationRef } from '../types.ts'

const BYTES_PER_UNIT_MAX = 3

/** Where a value stands: the command's number in its commit and the limits in force. */
export interface Scope {
  command: number | undefined
  limits: Readonly<Limits>
}

/** An id with the caller's key that it was derived from, if any. */
export interface NamedId {
  id: ConceptId
  key: string | undefined
}

export interface ValidRef {
  source: NamedId
  target: NamedId
  name: string
  key: string | undefined
}

export function invalid(
  scope: Scope,
  field: string,
  received: unknown,
  expected: string
): StoreError<'COMMAND_INVALID'> {
  const message = `Field '${field}' must be ${expected}, received ${show(received)}`
  return new StoreError('COMMAND_INVALID', message, {
    ...commandOf(scope),
    field,
    received,
    expected
  })
}

export function limitExceeded(
  scope: Scope,
  limit: string,
  value: number,
  max: number
): StoreError<'LIMIT_EXCEEDED'> {
  const message = `The limit '${limit}' is ${max}, received ${value}`
  return new StoreError('LIMIT_EXCEEDED', message, { ...commandOf(scope), limit, value, max })
}

export function commandOf(scope: Scope): { command?: number } {
  return scope.command === undefined ? {} : { command: scope.command }
}

/** @throws StoreError `ID_INVALID`, `COMMAND_INVALID`, `LIMIT_EXCEEDED`. */
export function checkId(scope: Scope, value: IdInput): NamedId {
  if (typeof value === 'string') {
    if (!isConceptId(value)) throw idInvalid(value, scope.command)
    return { id: value, key: undefined }
  }
  if (typeof value !== 'object' || value === null || !('key' in value)) {
    throw idInvalid(value, scope.command)
  }
  checkFields(scope, value, ID_FIELDS)
  const key = checkName(scope, 'id.key', value.key)
  return { id: idOfKey(key), key }
}

const ID_FIELDS: readonly string[] = ['key']

/** Keys met last, by a hash, with their ids. Lines of an import, and hot reads, name the same concepts. */
const RECENT = 512
const recentKeys: string[] = new Array<string>(RECENT).fill('')
const recentIds: ConceptId[] = new Array<ConceptId>(RECENT).fill(ConceptId.fromKey(''))
/** A key may be a piece of the chunk that it was read from, and keeps all of it: so few, and short ones. */
const RECENT_LENGTH_MAX = 64

/** As `ConceptId.fromKey`, which hashes: that takes as long as all else about an association. */
export function idOfKey(key: string): ConceptId {
  if (key.length > RECENT_LENGTH_MAX) return ConceptId.fromKey(key)
  let hash = key.length
  // Keys differ in their ends.
  for (let i = Math.max(0, key.length - 8); i < key.length; i++) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0
  }
  const at = (hash ^ (hash >>> 10)) & (RECENT - 1)
  const known = recentIds[at]
  if (known !== undefined && recentKeys[at] === key) return known
  const id = ConceptId.fromKey(key)
  recentKeys[at] = key
  recentIds[at] = id
  return id
}

/** @throws StoreError `ID_INVALID`, `COMMAND_INVALID`, `LIMIT_EXCEEDED`. */
export function checkRef(scope: Scope, value: AssociationRef): ValidRef {
  if (typeof value !== 'object' || value === null) throw wrongType('ref', 'an object', value)
  return {
    source: checkId(scope, value.source),
    target: checkId(scope, value.target),
    name: checkName(scope, 'type', value.type),
    key: value.key === undefined ? undefined : checkName(scope, 'key', value.key)
  }
}

/** A key, a type: 1 to `limits.keyBytes` bytes of well-formed text without the character NUL. */
export function checkName(scope: Scope, field: string, value: unknown): string {
  const text = checkText(scope, field, value, scope.limits.keyBytes, 'keyBytes')
  if (text === '') throw invalid(scope, field, text, 'not empty')
  // Keys of the tables end a type with NUL; see projections/tables/keys.ts.
  if (text.includes('\0')) throw invalid(scope, field, text, 'free of the character NUL')
  return text
}

/** Text that UTF-8 gives back as it was. The limit is checked before anything is encoded. */
export function checkText(
  scope: Scope,
  field: string,
  value: unknown,
  maxBytes: number,
  limit: string
): string {
  if (typeof value !== 'string') throw wrongType(field, 'a string', value)
  // UTF-8 never has fewer bytes than UTF-16 has units, so this refuses without counting.
  if (value.length > maxBytes) throw limitExceeded(scope, limit, value.length, maxBytes)
  // Nor more than three times as many: most texts are far from the limit.
  if (value.length * BYTES_PER_UNIT_MAX > maxBytes) {
    const bytes = Buffer.byteLength(value)
    if (bytes > maxBytes) throw limitExceeded(scope, limit, bytes, maxBytes)
  }
  if (!value.isWellFormed()) throw invalid(scope, field, value, 'well-formed Unicode')
  return value
}

/** A number in [0, 1]; -0 becomes 0, which MessagePack would not keep apart either. */
export function checkUnit(scope: Scope, field: string, value: unknown): number {
  if (typeof value !== 'number') throw wrongType(field, 'a number', value)
  if (value >= 0 && value <= 1) return value + 0
  throw invalid(scope, field, value, 'a number from 0 to 1')
}

/** Bytes of the caller, copied: they may change while the commit waits. */
export function checkBytes(scope: Scope, field: string, value: unknown, maxBytes: number): Buffer {
  if (!(value instanceof Uint8Array)) throw wrongType(field, 'a Uint8Array', value)
  if (value.byteLength > maxBytes) {
    throw limitExceeded(scope, 'contentBytes', value.byteLength, maxBytes)
  }
  return Buffer.from(value)
}

/** @throws StoreError `COMMAND_INVALID` for a field that the command does not have. */
export function checkFields(scope: Scope, value: object, allowed: readonly string[]): void {
  for (const field of Object.keys(value)) {
    if (!allowed.includes(field)) throw invalid(scope, field, 'present', 'absent: no such field')
  }
}

export function wrongType(field: string, expected: string, received: unknown): TypeError {
  return new TypeError(`'${field}' must be ${expected}, received ${show(received)}`)
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 80)}'`
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'array' : 'object'
  return String(value)
}
