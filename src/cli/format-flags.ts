import type { Command } from 'commander'
import type { ImportOptions } from '../index.ts'
import { collect, given } from './arguments.ts'
import { UsageError } from './session.ts'

/** What can be said of the files to import, beside their format. */
export interface FormatFlags {
  delimiter?: string
  quote?: string
  header?: boolean
  column?: string[]
  language?: string[]
  prefix?: string[]
}

export function onFormat(command: Command): Command {
  return command
    .option('--delimiter <character>', 'CSV: what parts the fields; \\t is a tab')
    .option('--quote <character>', 'CSV: what holds a field together; empty: nothing does')
    .option('--no-header', 'CSV: the first row names no columns, which are 1, 2, 3 …')
    .option('--column <name=field>', 'CSV: what a column holds; may be given again', collect)
    .option('--language <tag>', 'N-Triples: of the content; may be given again', collect)
    .option('--prefix <name=namespace>', 'N-Triples: shortens IRIs; may be given again', collect)
}

/** @throws UsageError */
export function formatOptions(flags: FormatFlags): Pick<ImportOptions, 'csv' | 'ntriples'> {
  const { delimiter, quote, header, column, language, prefix } = flags
  const csv = given({
    delimiter: delimiter === '\\t' ? '\t' : delimiter,
    quote,
    // Without the flag it is true, which is the default of the import as well.
    header: header === false ? header : undefined,
    columns: column && pairsOf('--column', column)
  })
  // A literal without a language is the last resort of whoever asks for one.
  const languages = language && [...language, '']
  const ntriples = given({ languages, prefixes: prefix && pairsOf('--prefix', prefix) })
  return {
    ...(Object.keys(csv).length > 0 && { csv }),
    ...(Object.keys(ntriples).length > 0 && { ntriples })
  }
}

function pairsOf(flag: string, pairs: readonly string[]): Record<string, string> {
  const entries = pairs.map((pair): [string, string] => {
    const at = pair.indexOf('=')
    if (at < 1) throw new UsageError(`${flag} takes two names with = between them, not '${pair}'`)
    return [pair.slice(0, at), pair.slice(at + 1)]
  })
  return Object.fromEntries(entries)
}
