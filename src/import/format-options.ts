/** Checks of the options that belong to a single format. */
import { optionInvalid } from '../options.ts'
import type { CsvImportOptions, NTriplesImportOptions } from '../types.ts'

type Check = readonly [accepts: (value: unknown) => boolean, expected: string]
type Checks = Readonly<Record<string, Check>>

const text: Check = [(value) => typeof value === 'string' && value !== '', 'a non-empty string']
const texts: Check = [isTexts, 'an array of strings']
const OTHERS: readonly unknown[] = ['metadata', 'ignore', 'refuse']

const CSV: Readonly<Record<keyof CsvImportOptions, Check>> = {
  delimiter: [isCharacter, 'one character that ends no line'],
  quote: [
    (value) => value === '' || isCharacter(value),
    'one character that ends no line, or none'
  ],
  columns: [
    (value) => isRecordOf(value, (one) => one === null || typeof one === 'string'),
    'an object of strings and nulls'
  ],
  header: [
    (value) => typeof value === 'boolean' || (isTexts(value) && value.length > 0),
    'true, false or names'
  ],
  other: [(value) => OTHERS.includes(value), 'one of metadata, ignore, refuse']
}

const NTRIPLES: Readonly<Record<keyof NTriplesImportOptions, Check>> = {
  content: texts,
  languages: texts,
  prefixes: [
    (value) => isRecordOf(value, (one) => typeof one === 'string' && one !== ''),
    'an object of namespaces'
  ],
  type: text,
  tempDirectory: text
}

/** @throws StoreError `OPTION_INVALID`, also when delimiter and quote are the same. */
export function checkCsvOptions(options: unknown): void {
  checkAll('csv', CSV, options)
  // Checked just above: each is a string or absent.
  const { delimiter, quote } = (options ?? {}) as CsvImportOptions
  if ((delimiter ?? ',') === (quote ?? '"')) {
    throw optionInvalid('csv.quote', quote, 'another character than the delimiter')
  }
}

/** @throws StoreError `OPTION_INVALID` */
export function checkNTriplesOptions(options: unknown): void {
  checkAll('ntriples', NTRIPLES, options)
}

function checkAll(group: string, checks: Checks, options: unknown): void {
  if (options === undefined) return
  if (!isRecordOf(options, () => true)) throw optionInvalid(group, options, 'an object')
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    const option = `${group}.${name}`
    if (check === undefined) throw optionInvalid(option, 'present', 'absent: no such option')
    const [accepts, expected] = check
    if (value !== undefined && !accepts(value)) throw optionInvalid(option, value, expected)
  }
}

function isCharacter(value: unknown): boolean {
  return typeof value === 'string' && value.length === 1 && value !== '\n' && value !== '\r'
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

function isRecordOf(value: unknown, accepts: (one: unknown) => boolean): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every(accepts)
}
