import { StoreError } from '../errors.ts'
import { isPlain, pack, unpack } from '../storage/codec.ts'
import { commandOf, limitExceeded, type Scope, wrongType } from './values.ts'

const DEPTH_MAX = 64

/**
 * Encodes metadata, after making sure that MessagePack gives it back as it was.
 *
 * @returns MessagePack of the object.
 * @throws StoreError `METADATA_INVALID`, `LIMIT_EXCEEDED`.
 */
export function encodeMetadata(scope: Scope, value: unknown): Buffer {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrongType('metadata', 'an object or null', value)
  }
  const { metadataBytes } = scope.limits
  const counted = { bytes: 0, max: metadataBytes }
  checkObject(scope, value, '', 0, counted)
  const bytes = pack(value)
  if (bytes.length > metadataBytes) {
    throw limitExceeded(scope, 'metadataBytes', bytes.length, metadataBytes)
  }
  return bytes
}

export function decodeMetadata(bytes: Uint8Array | undefined): Record<string, unknown> {
  // Written by `encodeMetadata` and covered by a checksum, so it is an object.
  return bytes === undefined ? {} : (unpack(bytes) as Record<string, unknown>)
}

/** The same members in the order of their names: JSON on the way may have changed it. */
export function canonicalMetadata(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonicalMetadata)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, member]) => [name, canonicalMetadata(member)])
  return entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
}

/** Lays a JSON merge patch over metadata: objects merge, `null` removes. RFC 7396. */
export function mergeMetadata(
  scope: Scope,
  target: Uint8Array | undefined,
  patch: Uint8Array
): Buffer {
  const merged = merge(decodeMetadata(target), decodeMetadata(patch))
  return encodeMetadata(scope, merged)
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isPlain(patch)) return patch
  const result: Record<string, unknown> = isPlain(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else result[name] = merge(result[name], value)
  }
  return result
}

interface Counted {
  bytes: number
  max: number
}

/** Also counts a lower bound of the size, so that a huge value is refused before it is encoded. */
function checkValue(
  scope: Scope,
  value: unknown,
  path: string,
  depth: number,
  counted: Counted
): void {
  counted.bytes += typeof value === 'string' ? value.length : 1
  if (counted.bytes > counted.max) {
    throw limitExceeded(scope, 'metadataBytes', counted.bytes, counted.max)
  }
  switch (typeof value) {
    case 'boolean':
      return
    case 'string':
      if (!value.isWellFormed()) throw refuse(scope, path, 'text that is not well-formed')
      return
    case 'number':
      if (!Number.isFinite(value)) throw refuse(scope, path, `the number ${value}`)
      if (Object.is(value, -0)) throw refuse(scope, path, 'the number -0')
      return
    case 'object':
      if (value === null) return
      if (depth >= DEPTH_MAX) throw refuse(scope, path, `nesting deeper than ${DEPTH_MAX}`)
      if (Array.isArray(value)) checkArray(scope, value, path, depth, counted)
      else checkObject(scope, value, path, depth, counted)
      return
    case 'bigint':
    case 'function':
    case 'symbol':
    case 'undefined':
      throw refuse(scope, path, `a value of type ${typeof value}`)
  }
}

function checkArray(
  scope: Scope,
  value: readonly unknown[],
  path: string,
  depth: number,
  counted: Counted
): void {
  for (let i = 0; i < value.length; i++) {
    if (!(i in value)) throw refuse(scope, `${path}[${i}]`, 'a hole in an array')
    checkValue(scope, value[i], `${path}[${i}]`, depth + 1, counted)
  }
}

function checkObject(
  scope: Scope,
  value: object,
  path: string,
  depth: number,
  counted: Counted
): void {
  if (!isPlain(value)) throw refuse(scope, path, `an object of class ${value.constructor?.name}`)
  if (Object.getOwnPropertySymbols(value).length > 0) throw refuse(scope, path, 'a symbol as name')
  for (const [name, member] of Object.entries(value)) {
    const memberPath = path === '' ? name : `${path}.${name}`
    if (name === '__proto__') throw refuse(scope, memberPath, 'a member named __proto__')
    if (!name.isWellFormed()) throw refuse(scope, memberPath, 'a name that is not well-formed')
    counted.bytes += name.length
    checkValue(scope, member, memberPath, depth + 1, counted)
  }
}

function refuse(scope: Scope, path: string, reason: string): StoreError<'METADATA_INVALID'> {
  const message = `Metadata '${path}' holds ${reason}, which could not be given back as it was`
  return new StoreError('METADATA_INVALID', message, { ...commandOf(scope), path, reason })
}
