import { StoreError } from '../errors.ts'
import { optionInvalid } from '../options.ts'
import type { ImportOptions } from '../types.ts'

type Check = readonly [accepts: (value: unknown) => boolean, expected: string]

const FORMATS = ['jsonl', 'csv', 'ntriples', 'parquet', 'arrow'] as const
export type ImportFormat = (typeof FORMATS)[number]

const flag: Check = [(value) => typeof value === 'boolean', 'true or false']
const action: Check = [(value) => typeof value === 'function', 'a function']
const text: Check = [(value) => typeof value === 'string' && value !== '', 'a non-empty string']

/** One rule an option: a name that is not here is no option. */
const CHECKS: Readonly<Record<keyof ImportOptions, Check>> = {
  format: oneOf(FORMATS),
  map: action,
  createMissing: flag,
  ifExists: oneOf(['merge', 'replace', 'keep', 'fail']),
  strict: flag,
  rejectFile: text,
  dryRun: flag,
  durability: oneOf(['fsync', 'interval', 'os']),
  onProgress: action,
  signal: [(value) => value instanceof AbortSignal, 'an AbortSignal'],
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
  if (options.resumeKey !== undefined) {
    throw unsupported('import with resumeKey', 'this version cannot resume an import')
  }
  if (options.format !== undefined) checkFormat(options.format)
}

/** @throws StoreError `UNSUPPORTED` for every format but JSON Lines. */
export function checkFormat(format: ImportFormat): void {
  if (format === 'jsonl') return
  throw unsupported(`import of ${format}`, 'this version reads JSON Lines alone')
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
