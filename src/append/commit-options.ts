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
  'signal'
]
const DURABILITIES: readonly unknown[] = ['fsync', 'interval', 'os']

export interface ValidCommitOptions {
  expect: ValidExpectation[]
  idempotencyKey: string | undefined
  meta: CommitMeta | undefined
  durability: Durability
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
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal)) {
    throw wrongType('signal', 'an AbortSignal', options.signal)
  }
  const name = (field: 'subject' | 'causation' | 'correlation' | 'idempotencyKey') =>
    checkOptionalText(scope, field, options[field])
  const meta = metaOf({
    subject: name('subject'),
    causation: name('causation'),
    correlation: name('correlation'),
    headers: checkHeaders(scope, options.headers)
  })
  return {
    expect: (options.expect ?? []).map((one) => checkExpectation(scope, one)),
    idempotencyKey: name('idempotencyKey'),
    meta,
    durability: options.durability ?? durability,
    signal: options.signal,
    bytes: JSON.stringify(meta ?? '').length
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

function metaOf(fields: {
  subject: string | undefined
  causation: string | undefined
  correlation: string | undefined
  headers: Record<string, string> | undefined
}): CommitMeta | undefined {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  // Only absent fields were left out, so what remains is a CommitMeta.
  return given.length === 0 ? undefined : (Object.fromEntries(given) as CommitMeta)
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
