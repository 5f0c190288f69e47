import { readFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { ConceptId, type IdInput } from '../index.ts'
import { UsageError } from './session.ts'

const ID = /^[0-9a-f]{32}$/i

/** Thirty-two hex digits are an id, everything else is a key. */
export function toId(text: string): IdInput {
  return ID.test(text) ? ConceptId.fromHex(text.toLowerCase()) : { key: text }
}

/** Gives a command what every command on a store has. */
export function onStore(command: Command): Command {
  return command.addOption(storeOption().makeOptionMandatory()).option('--json', 'print JSON')
}

export function storeOption(): Option {
  return new Option('--dir <directory>', 'directory of the store').argParser(toPath)
}

/** For one that may be given several times. */
export function toPaths(text: string, before: readonly string[] = []): string[] {
  return [...before, toPath(text)]
}

/** A variable of a script that was never set is no directory. */
export function toPath(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('Expected a path.')
}

/** Plain decimal digits: `1e3` and `0x10` are more often a slip than a number. */
export function toInteger(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new InvalidArgumentError('Expected a whole number from 0.')
}

export function toNumber(text: string): number {
  const value = Number(text)
  if (isDecimal(text) && Number.isFinite(value)) return value
  throw new InvalidArgumentError('Expected a number.')
}

export function isDecimal(text: string): boolean {
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(text)
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

/** Reads a vector given as a JSON array, or as the name of a file that holds one. */
export async function toVector(text: string): Promise<number[]> {
  const isInline = text.trimStart().startsWith('[')
  const json = isInline ? text : await readFile(text, 'utf8')
  let vector: unknown
  try {
    vector = JSON.parse(json)
  } catch (cause) {
    throw new UsageError('--vector is not valid JSON', { cause })
  }
  if (Array.isArray(vector) && vector.every((one) => typeof one === 'number')) return vector
  throw new UsageError('--vector must be a JSON array of numbers, or a file that holds one')
}

/** Leaves out what was not given: an absent option and an undefined one are not the same. */
export function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  // The entries are those of `options` without the undefined ones, which is what the type says.
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
