import {
  checkFields,
  checkId,
  checkRef,
  checkText,
  invalid,
  type Scope,
  wrongType
} from '../checks/values.ts'
import type { CommitMeta } from '../log/frame.ts'
import { optionInvalid } from '../options.ts'
import type { CommitOptions, Durability, Expectation } from '../types.ts'
import type { ValidExpectation } from './staged-commit.ts'

const NAMES: readonly string[] = [
  'expect',
  'idempotencyKey',
  'subject',
  'causation',
  'correlation',
  'headers',
  'durability',
  'bulk',
  'signal'
]
const NO_EXPECTATIONS: readonly ValidExpectation[] = []
const DURABILITIES: readonly unknown[] = ['fsync', 'interval', 'os']

export interface ValidCommitOptions {
  expect: readonly ValidExpectation[]
  idempotencyKey: string | undefined
  meta: CommitMeta | undefined
  durability: Durability
  bulk: boolean
  signal: AbortSignal | undefined
  bytes: number
}

/** @throws StoreError `OPTION_INVALID`, `COMMAND_INVALID`, `LIMIT_EXCEEDED`, `ID_INVALID`. */
export function checkCommitOptions(
  scope: Scope,
  options: CommitOptions,
  durability: Durability
): ValidCommitOptions {
  if (typeof options !== 'object' || options === null)
    throw wrongType('options', 'an object', options)
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) throw optionInvalid(name, 'present', 'absent: no such option')
  }
  if (options.durability !== undefined && !DURABILITIES.includes(options.durability)) {
    throw optionInvalid('durability', options.durability, `one of ${DURABILITIES.join(', ')}`)
  }
  if (options.bulk !== undefined && typeof options.bulk !== 'boolean') {
    throw wrongType('bulk', 'true or false', options.bulk)
  }
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    throw wrongType('signal', 'an AbortSignal', options.signal)
  }
  const meta = checkMeta(scope, options)
  return {
    expect: checkExpectations(scope, options.expect),
    idempotencyKey: checkOptionalText(scope, 'idempotencyKey', options.idempotencyKey),
    meta,
    durability: options.durability ?? durability,
    bulk: options.bulk ?? false,
    signal: options.signal,
    bytes: meta === undefined ? 0 : JSON.stringify(meta).length
  }
}

function checkOptionalText(scope: Scope, field: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  const text = checkText(scope, field, value, scope.limits.keyBytes, 'keyBytes')
  if (text === '') throw invalid(scope, field, text, 'not empty')
  return text
}

function checkHeaders(scope: Scope, value: unknown): Record<string, string> | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null) throw wrongType('headers', 'an object', value)
  const headers: Record<string, string> = {}
  let left = scope.limits.metadataBytes
  for (const [name, text] of Object.entries(value)) {
    if (name === '__proto__') throw invalid(scope, 'headers', name, 'another name')
    checkText(scope, `headers.${name}`, name, left, 'metadataBytes')
    headers[name] = checkText(scope, `headers.${name}`, text, left, 'metadataBytes')
    left -= Buffer.byteLength(name) + Buffer.byteLength(text as string)
  }
  return headers
}

/** What travels with the commit; `undefined` for nothing, which is what most commits carry. */
function checkMeta(scope: Scope, options: CommitOptions): CommitMeta | undefined {
  const subject = checkOptionalText(scope, 'subject', options.subject)
  const causation = checkOptionalText(scope, 'causation', options.causation)
  const correlation = checkOptionalText(scope, 'correlation', options.correlation)
  const headers = checkHeaders(scope, options.headers)
  const meta: CommitMeta = {}
  if (subject !== undefined) meta.subject = subject
  if (causation !== undefined) meta.causation = causation
  if (correlation !== undefined) meta.correlation = correlation
  if (headers !== undefined) meta.headers = headers
  return (subject ?? causation ?? correlation ?? headers) ? meta : undefined
}

function checkExpectations(
  scope: Scope,
  value: CommitOptions['expect']
): readonly ValidExpectation[] {
  if (value === undefined) return NO_EXPECTATIONS
  if (!Array.isArray(value)) throw wrongType('expect', 'an array', value)
  // `map` would jump over the holes of a sparse array.
  return Array.from(value, (one: Expectation) => checkExpectation(scope, one))
}

function checkExpectation(scope: Scope, value: Expectation): ValidExpectation {
  if (typeof value !== 'object' || value === null) throw wrongType('expect', 'an object', value)
  if ('head' in value) {
    checkFields(scope, value, ['head'])
    return { head: checkWhole(scope, 'expect.head', value.head) }
  }
  const version = checkWhole(scope, 'expect.version', value.version)
  if ('concept' in value) {
    checkFields(scope, value, ['concept', 'version'])
    return { concept: checkId(scope, value.concept), version }
  }
  checkFields(scope, value, ['association', 'version'])
  return { association: checkRef(scope, value.association), version }
}

function checkWhole(scope: Scope, field: string, value: unknown): number {
  if (typeof value !== 'number') throw wrongType(field, 'a number', value)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw invalid(scope, field, value, 'a whole number from 0')
}
