import { StoreError } from '../errors.ts'
import { optionInvalid } from '../options.ts'
import type { ImportOptions } from '../types.ts'
import { checkCsvOptions, checkNTriplesOptions } from './format-options.ts'

type Check = readonly [accepts: (value: unknown) => boolean, expected: string]

const FORMATS = ['jsonl', 'csv', 'ntriples', 'parquet', 'arrow'] as const

const flag: Check = [(value) => typeof value === 'boolean', 'true or false']
const group: Check = [(value) => typeof value === 'object', 'an object']
const action: Check = [(value) => typeof value === 'function', 'a function']
const text: Check = [(value) => typeof value === 'string' && value !== '', 'a non-empty string']

/** One rule an option: a name that is not here is no option. */
const CHECKS: Readonly<Record<keyof ImportOptions, Check>> = {
  format: oneOf(FORMATS),
  csv: group,
  ntriples: group,
  map: action,
  createMissing: flag,
  ifExists: oneOf(['merge', 'replace', 'keep', 'fail']),
  strict: flag,
  rejectFile: text,
  dryRun: flag,
  durability: oneOf(['fsync', 'interval', 'os']),
  onProgress: action,
  signal: [(value) => value instanceof AbortSignal, 'an AbortSignal'],
  window: [(value) => Number.isSafeInteger(value) && Number(value) >= 0, 'a whole number from 0'],
  resumeKey: text
}

/**
 * Checks the options of an import, once, at the border.
 *
 * @throws StoreError `OPTION_INVALID` for an unknown name or a wrong value, `UNSUPPORTED` for what
 *   this version cannot do yet.
 */
export function checkImportOptions(options: ImportOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('The options of an import must be an object')
  }
  for (const [name, value] of Object.entries(options)) {
    // The names come from a program that may be plain JavaScript, so any string can be among them.
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof ImportOptions] : undefined
    if (check === undefined) throw optionInvalid(name, 'present', 'absent: no such option')
    const [accepts, expected] = check
    if (value !== undefined && !accepts(value)) throw optionInvalid(name, value, expected)
  }
  checkCsvOptions(options.csv)
  checkNTriplesOptions(options.ntriples)
  if (options.resumeKey !== undefined && options.dryRun === true) {
    throw optionInvalid('resumeKey', options.resumeKey, 'absent with dryRun, which leaves no trace')
  }
}

export function unsupported(operation: string, reason: string): StoreError<'UNSUPPORTED'> {
  return new StoreError('UNSUPPORTED', `The ${operation} is not supported: ${reason}`, {
    operation,
    reason
  })
}

function oneOf(choices: readonly string[]): Check {
  return [(value) => choices.some((one) => one === value), `one of ${choices.join(', ')}`]
}
