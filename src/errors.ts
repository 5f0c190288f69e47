import { inspect } from 'node:util'

/** What the caller learns besides the code. One entry per code; the keys are the codes. */
export interface StoreErrorDetails {
  // Opening
  OPTION_INVALID: { option: string; received: unknown; expected: string }
  OPTION_CONFLICT: { option: string; declared: unknown; received: unknown }
  MODEL_CONFLICT: { declared: string | undefined; received: string }
  STORE_NOT_FOUND: { directory: string }
  STORE_LOCKED: { pid: number; since: string }
  NOT_A_STORE: { directory: string; found: string[] }
  STORE_DAMAGED: { file: string; reason: string }
  FORMAT_UNSUPPORTED: { format: number; supported: number }
  MIGRATION_UNFINISHED: { from: number; to: number }
  LOG_DAMAGED: { from: number; to: number; reason: string }
  LOG_BEHIND_CHECKPOINT: { projection: string; checkpoint: number; head: number }
  // Life of a store
  STORE_CLOSED: { operation: string }
  STORE_READ_ONLY: { operation: string }
  STORE_POISONED: { durableHead: number }
  VIEW_CLOSED: { position: number }
  ABORTED: { operation: string }
  WRITE_FAILED: { first: number; last: number }
  IO_FAILED: { operation: string; reason: string }
  DISK_LOW: { freeBytes: number; reserveBytes: number }
  TABLES_DAMAGED: { key: string; reason: string }
  PROJECTION_STOPPED: { projection: string; position: number }
  PROJECTION_BUILDING: { projection: string; position: number; head: number }
  PROJECTION_DAMAGED: { projection: string; key: string; reason: string }
  // Commands
  COMMAND_INVALID: { command?: number; field: string; received: unknown; expected: string }
  LIMIT_EXCEEDED: { command?: number; limit: string; value: number; max: number }
  ID_INVALID: { command?: number; received: unknown }
  METADATA_INVALID: { command?: number; path: string; reason: string }
  CONCEPT_NOT_FOUND: { command?: number; id: string; key?: string }
  CONCEPT_EXISTS: { command?: number; id: string; version: number }
  ASSOCIATION_NOT_FOUND: AssociationDetails
  ASSOCIATION_EXISTS: AssociationDetails & { version: number }
  EXPECTATION_FAILED: { subject: string; expected: number; actual: number }
  IDEMPOTENCY_CONFLICT: { idempotencyKey: string; first: number; last: number }
  // Vectors
  VECTOR_INVALID: { command?: number; reason: string; index?: number }
  VECTOR_DIMENSION_MISMATCH: { command?: number; expected: number; received: number }
  VECTORS_NOT_DECLARED: { operation: string }
  VECTORS_UNAVAILABLE: { reason: string }
  EMBED_FAILED: { texts: number; reason: string }
  // Backup and restore
  BACKUP_NOT_FOUND: { directory: string }
  BACKUP_TARGET_REFUSED: { directory: string; reason: string }
  BACKUP_DAMAGED: { file: string; reason: string }
  BACKUP_FAILED: { directory: string; reason: string }
  // Queries and import
  QUERY_INVALID: { option: string; received: unknown; expected: string }
  CURSOR_INVALID: { cursor: string }
  PATH_TOO_LARGE: { explored: number; max: number }
  IMPORT_LINE_INVALID: { line: number; reason: string }
  IMPORT_SOURCE_INVALID: { source: string; reason: string }
  IMPORT_SOURCE_CHANGED: { resumeKey: string; before: string; now: string }
  UNSUPPORTED: { operation: string; reason: string }
  // Subscriptions
  SUBSCRIPTION_ACTIVE: { subscription: string }
  SUBSCRIPTION_DAMAGED: { subscription: string; file: string; reason: string }
  SUBSCRIPTION_DIVERGED: { subscription: string; position: number; head: number }
  SUBSCRIPTION_STOPPED: { subscription: string; position: number; reason: string }
  // Attaching
  ATTACH_UNAVAILABLE: { directory: string; reason: string }
}

interface AssociationDetails {
  command?: number
  source: string
  target: string
  type: string
  key?: string
}

export type StoreErrorCode = keyof StoreErrorDetails

/** Codes after which the same call may succeed later without a change by the caller. */
const RETRYABLE: ReadonlySet<StoreErrorCode> = new Set([
  'STORE_LOCKED',
  'DISK_LOW',
  'PROJECTION_BUILDING',
  'EMBED_FAILED',
  'EXPECTATION_FAILED',
  'ATTACH_UNAVAILABLE',
  'ABORTED'
])

/**
 * Codes of a write that may or may not be in the log: reopen, then retry with the same key. Or in a
 * backup, whose last step may have been taken: repeating it goes on with what is there.
 */
const OUTCOME_UNKNOWN: ReadonlySet<StoreErrorCode> = new Set(['WRITE_FAILED', 'BACKUP_FAILED'])

/**
 * An operating error: something a correct program can meet and may want to handle.
 * Branch on `code`, which is stable between major versions; `message` is not.
 */
export class StoreError<C extends StoreErrorCode = StoreErrorCode> extends Error {
  override readonly name = 'StoreError'
  readonly code: C
  readonly details: StoreErrorDetails[C]
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean
  /** Whether the write surely did not happen (`none`) or may have (`unknown`). */
  readonly outcome: 'none' | 'unknown'

  constructor(code: C, message: string, details: StoreErrorDetails[C], options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.details = details
    this.retryable = RETRYABLE.has(code)
    this.outcome = OUTCOME_UNKNOWN.has(code) ? 'unknown' : 'none'
  }
}

/** Compares by name and code, because two copies of this package may share one process. */
export function isStoreError<C extends StoreErrorCode = StoreErrorCode>(
  error: unknown,
  code?: C
): error is StoreError<C> {
  if (!(error instanceof Error) || error.name !== 'StoreError' || !('code' in error)) return false
  return code === undefined || error.code === code
}

/**
 * What the system refused, as `IO_FAILED`; every other error as it is. For work that promises nothing
 * but itself, such as opening and rebuilding.
 */
export function ioFailed(error: unknown, operation: string): unknown {
  if (!(error instanceof Error) || isStoreError(error)) return error
  // Errors of the system and of LevelDB have a code; mistakes and broken invariants have none.
  if (!('code' in error) || typeof error.code !== 'string' || error instanceof TypeError)
    return error
  const { cause } = error
  const reason = cause instanceof Error ? `${error.message}: ${cause.message}` : error.message
  const message = `The system refused what '${operation}' needs: ${reason}`
  return new StoreError('IO_FAILED', message, { operation, reason }, { cause: error })
}

/** Shows any value at all. `String` throws for objects without a prototype, a template for symbols. */
export function show(received: unknown): string {
  return inspect(received, {
    depth: 0,
    maxStringLength: 100,
    maxArrayLength: 10,
    breakLength: Number.POSITIVE_INFINITY,
    // What a caller's object does when it is looked at is not for us to run.
    customInspect: false
  })
}

/** What a function of the caller threw, which may be anything. */
export function asError(thrown: unknown): Error {
  try {
    return thrown instanceof Error ? thrown : new Error(String(thrown))
  } catch {
    // A value may refuse even to be told, by its prototype or a proxy.
    return new Error('a value was thrown that no text can be made of')
  }
}

/** Throws `ABORTED`, with the signal's reason as its cause, once the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined, operation: string): void {
  if (signal?.aborted === true) throw aborted(signal, operation)
}

export function aborted(signal: AbortSignal, operation: string): StoreError<'ABORTED'> {
  return new StoreError(
    'ABORTED',
    `The ${operation} was aborted`,
    { operation },
    { cause: signal.reason }
  )
}
