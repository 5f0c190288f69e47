import { optionInvalid } from '../options.ts'
import type { ExportOptions } from '../types.ts'

type Check = readonly [accepts: (value: unknown) => boolean, expected: string]

const FORMATS: readonly string[] = ['jsonl', 'csv', 'ntriples', 'parquet', 'arrow']

const flag: Check = [(value) => typeof value === 'boolean', 'true or false']

/** One rule an option: a name that is not here is no option. */
const CHECKS: Readonly<Record<keyof ExportOptions, Check>> = {
  format: [(value) => FORMATS.some((one) => one === value), `one of ${FORMATS.join(', ')}`],
  ntriples: [
    (value) => typeof value === 'object' && value !== null && hasOnlyPrefixes(value),
    "an object of 'prefixes'"
  ],
  types: [
    (value) => Array.isArray(value) && Array.from(value).every((one) => typeof one === 'string'),
    'an array of strings'
  ],
  associations: flag,
  vectors: flag,
  onProgress: [(value) => typeof value === 'function', 'a function'],
  signal: [(value) => value instanceof AbortSignal, 'an AbortSignal']
}

/**
 * Checks the options of an export, once, at the border.
 *
 * @throws StoreError `OPTION_INVALID` for an unknown name or a wrong value; TypeError.
 */
export function checkExportOptions(options: ExportOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('The options of an export must be an object')
  }
  for (const [name, value] of Object.entries(options)) {
    // The names come from a program that may be plain JavaScript, so any string can be among them.
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof ExportOptions] : undefined
    if (check === undefined) throw optionInvalid(name, 'present', 'absent: no such option')
    const [accepts, expected] = check
    if (value !== undefined && !accepts(value)) throw optionInvalid(name, value, expected)
  }
}

/** Prefixes are names for namespaces, both text. */
function hasOnlyPrefixes(value: object): boolean {
  const { prefixes = {}, ...others } = value as { prefixes?: unknown }
  const isObject = typeof prefixes === 'object' && prefixes !== null
  const isText = isObject && Object.values(prefixes).every((one) => typeof one === 'string' && one)
  return isText && Object.keys(others).length === 0
}
