import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import {
  type ImportOptions,
  type ImportProgress,
  type ImportReport,
  type Store,
  StoreError,
  type StoreOptions
} from '../../index.ts'
import { given, onStore, toInteger, toPath, toPaths } from '../arguments.ts'
import { loadEmbed } from '../embed-module.ts'
import { type FormatFlags, formatOptions, onFormat } from '../format-flags.ts'
import { formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { type Session, type StoreFlags, UsageError, warn } from '../session.ts'

type VectorOptions = NonNullable<StoreOptions['vectors']>

interface Flags
  extends StoreFlags,
    FormatFlags,
    Pick<
      ImportOptions,
      | 'format'
      | 'ifExists'
      | 'createMissing'
      | 'window'
      | 'strict'
      | 'rejectFile'
      | 'resumeKey'
      | 'dryRun'
      | 'durability'
    >,
    Partial<Pick<VectorOptions, 'dimensions' | 'metric' | 'model' | 'quantization'>> {
  embed?: string
}

const FORMATS = ['jsonl', 'csv', 'ntriples', 'parquet', 'arrow']
const RULES = ['merge', 'replace', 'keep', 'fail']
const DURABILITIES = ['fsync', 'interval', 'os']
const STANDARD_INPUT = '-'
const METRICS = ['cosine', 'ip', 'l2sq']
const QUANTIZATIONS = ['f32', 'f16', 'bf16', 'i8']
const REJECTED_SHOWN = 10

export function addImport(program: Command, session: Session): void {
  onFormat(onStore(program.command('import')))
    .description('Import files of records, plain or compressed; creates the store if need be')
    .argument('<file...>', 'files to import in this order; - is standard input', toPaths)
    .addOption(choice('--format <format>', 'what the files hold', FORMATS))
    .addOption(choice('--if-exists <rule>', 'what to do with what is there', RULES))
    .option('--create-missing', 'make the ends of associations that do not exist')
    .option('--window <records>', 'how long associations wait for their ends', toInteger)
    .option('--strict', 'stop at the first bad line')
    .option('--reject-file <file>', 'write every rejected line here, with its reason', toPath)
    .option('--resume-key <name>', 'go on where an import of this name was cut off')
    .option('--dry-run', 'check everything, write nothing but the --reject-file')
    .addOption(choice('--durability <mode>', 'when a commit is acknowledged', DURABILITIES))
    .option('--dimensions <count>', 'declare embeddings of so many numbers', toInteger)
    .addOption(choice('--metric <metric>', 'how embeddings are compared', METRICS))
    .addOption(choice('--quantization <kind>', 'numbers of the index', QUANTIZATIONS))
    .option('--model <name>', 'name of the embedding model')
    .option(
      '--embed <module>',
      'an ES module whose export `embed` turns texts into vectors',
      toPath
    )
    .action(async (files: string[], flags: Flags) => {
      if (flags.resumeKey !== undefined) {
        session.signal.addEventListener('abort', () =>
          warn('The same command will go on from here')
        )
      }
      const options = { ...importOptions(flags), ...formatOptions(flags) }
      const opened = await storeOptions(flags)
      await refuseMissing(files)
      const bar = new ProgressLine()
      await withTarget(flags, opened, session, async (store) => {
        try {
          const report = await store.import(files, {
            ...options,
            signal: session.signal,
            onProgress: (progress) => show(bar, progress)
          })
          bar.stop()
          if (flags.json) await session.printer.json(report)
          else await print(report, flags, session)
        } finally {
          bar.stop()
        }
      })
    })
}

function choice(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices)
}

function importOptions(flags: Flags): ImportOptions {
  const { format, ifExists, createMissing, window, strict, rejectFile } = flags
  const { resumeKey, dryRun, durability } = flags
  const rules = { format, ifExists, createMissing, window, strict, rejectFile }
  return given({ ...rules, resumeKey, dryRun, durability })
}

/** No store is made for files that are not there. What else is wrong with them, the import will tell. */
async function refuseMissing(files: readonly string[]): Promise<void> {
  for (const source of files) {
    if (source === STANDARD_INPUT) continue
    const found = await stat(source).catch((cause: unknown) => {
      throw sourceInvalid(source, cause)
    })
    if (found.isDirectory()) throw sourceInvalid(source, new Error('it is a directory'))
  }
}

function sourceInvalid(source: string, cause: unknown): StoreError<'IMPORT_SOURCE_INVALID'> {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `Source '${source}' cannot be read: ${reason}`
  return new StoreError('IMPORT_SOURCE_INVALID', message, { source, reason }, { cause })
}

async function withTarget(
  { dir, dimensions, dryRun }: Flags,
  options: StoreOptions,
  session: Session,
  work: (store: Store) => Promise<void>
): Promise<void> {
  if (dryRun !== true) {
    await session.withStore(dir, options, work)
  } else if (await isEmpty(dir)) {
    warn(`There is no store in ${dir}: checked against an empty one`)
    // A dry run writes nothing there, and a new store is something.
    const aside = await mkdtemp(join(tmpdir(), 'sutra-dry-run-'))
    try {
      await session.withStore(aside, options, work)
    } finally {
      await rm(aside, { recursive: true, force: true })
    }
  } else if (dimensions === undefined) {
    await session.withStore(dir, { ...options, createIfMissing: false }, work)
  } else {
    throw new UsageError('--dry-run writes nothing, so it cannot declare --dimensions')
  }
}

async function storeOptions(flags: Flags): Promise<StoreOptions> {
  const { dir, dimensions, metric, model, quantization, embed: module } = flags
  const rest = given({ metric, model, quantization })
  if (dimensions === undefined && Object.keys(rest).length > 0) {
    throw new UsageError('--metric, --quantization and --model need --dimensions')
  }
  const vectors = dimensions === undefined ? undefined : { dimensions, ...rest }
  const embed = module === undefined ? undefined : await loadEmbed(module, { directory: dir })
  return given({ vectors, embed })
}

/** Whether an import would make a store here. Whatever else is wrong with it, opening will tell. */
async function isEmpty(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).length === 0
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true
    return false
  }
}

function show(bar: ProgressLine, progress: ImportProgress): void {
  const { records, bytes, bytesTotal, recordsPerSecond } = progress
  const rate = formatCount(Math.round(recordsPerSecond))
  const note = `${formatMany(records, 'record')}, ${rate}/s`
  bar.update('import', bytes, bytesTotal, note)
}

async function print(report: ImportReport, flags: Flags, { printer }: Session): Promise<void> {
  const { records, concepts, associations, rejected, rejectedCount, seconds, position } = report
  const { resumedFrom = 0, alreadyImported } = report
  const rate = formatCount(Math.round((records - resumedFrom) / Math.max(seconds, 0.001)))
  const verb = flags.dryRun ? 'would be imported' : 'imported'
  await printer.line(
    `${formatMany(concepts, 'concept')} and ${formatMany(associations, 'association')} ${verb}`,
    'good'
  )
  await printer.line(
    `${formatMany(records, 'record')} in ${formatSeconds(seconds)} (${rate}/s), ` +
      `position ${formatCount(position)}`,
    'dim'
  )
  if (alreadyImported) await printer.line('An earlier run had imported all of it', 'dim')
  else if (resumedFrom > 0) {
    await printer.line(`An earlier run had done ${formatMany(resumedFrom, 'record')}`, 'dim')
  }
  if (rejectedCount === 0) return
  await printer.line(`${formatMany(rejectedCount, 'line')} rejected`, 'bad')
  const shown = rejected.slice(0, REJECTED_SHOWN)
  await printer.fields(shown.map(({ line, reason }) => [`line ${line}`, reason]))
  if (rejectedCount > shown.length) {
    const rest = `and ${formatCount(rejectedCount - shown.length)} more`
    await printer.line(`${rest}${flags.rejectFile ? '' : ': --reject-file keeps all'}`, 'dim')
  }
}
