import { InexactNumber, parseExactly } from './exact-json.ts'
import { RecordError } from './record.ts'

const TEXT = new Set(['kind', 'content', 'type', 'id'])
/** Keys are text; files of columns often number their rows. */
const KEYS = new Set(['key', 'source', 'target', 'sourceKey', 'targetKey'])
const NUMBERS = new Set(['strength', 'confidence'])

/**
 * Makes a record of a row: columns with the names of its fields are these, all others metadata.
 * A column without a value is an absent field. Rows with a source are associations where no column
 * `kind` says what they are.
 *
 * @param isOurs Whether a missing embedding says that there is none.
 * @throws RecordError
 */
export function recordOf(row: Record<string, unknown>, isOurs: boolean): Record<string, unknown> {
  const record: Record<string, unknown> = { kind: kindOf(row) }
  const others: Record<string, unknown> = {}
  let metadata: unknown
  for (const [name, value] of Object.entries(row)) {
    if (name === 'embedding') {
      if (value != null) record[name] = toEmbedding(value)
      else if (isOurs && record['kind'] === 'concept') record[name] = null
    } else if (value == null || name === 'kind') {
      // An absent field keeps what is there.
    } else if (TEXT.has(name) || KEYS.has(name)) record[name] = toText(value)
    else if (NUMBERS.has(name)) record[name] = Number(value)
    else if (name === 'metadata') metadata = toMetadata(value)
    else if (name === 'data') record[name] = value
    else if (name === 'stub') {
      // Of an association only what cannot be is passed on, to be refused.
      if (value !== false) record[name] = value
    } else if (!Number.isNaN(value)) others[name] = toJson(value)
  }
  if (metadata !== undefined || Object.keys(others).length > 0) {
    record['metadata'] = { ...(metadata as object | undefined), ...others }
  }
  return record
}

function kindOf(row: Record<string, unknown>): unknown {
  if (row['kind'] != null) return toText(row['kind'])
  return row['source'] != null || row['sourceKey'] != null ? 'association' : 'concept'
}

function toText(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  // Old writers do not say of bytes that they are text.
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value
}

function toEmbedding(value: unknown): unknown {
  return ArrayBuffer.isView(value) && !(value instanceof Float32Array)
    ? Float32Array.from(value as unknown as ArrayLike<number>)
    : value
}

function toMetadata(value: unknown): unknown {
  if (typeof value !== 'string') return toJson(value)
  try {
    return parseExactly(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const fault = cause instanceof InexactNumber ? reason : `metadata is not valid JSON: ${reason}`
    throw new RecordError(fault, { cause })
  }
}

/** What JSON can hold of a value: dates as ISO text, bytes as base64, large integers as text. */
function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : String(value)
  }
  // Nor are -0 and 0 told apart there.
  if (typeof value === 'number') return value + 0
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, toJson)
  if (Array.isArray(value)) return value.map(toJson)
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJson(member)]))
}
