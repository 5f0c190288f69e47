import { type Command, Option } from 'commander'
import type { ImportOptions, ImportProgress, ImportReport, StoreOptions } from '../../index.ts'
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
    .option('--dry-run', 'check everything, write nothing')
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
      const options = await storeOptions(flags)
      const bar = new ProgressLine()
      await session.withStore(flags.dir, options, async (store) => {
        try {
          const report = await store.import(files, {
            ...importOptions(flags),
            ...formatOptions(flags),
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

async function storeOptions(flags: Flags): Promise<StoreOptions> {
  const { dir, dimensions, metric, model, quantization, embed: module, dryRun } = flags
  const rest = given({ metric, model, quantization })
  if (dimensions === undefined && Object.keys(rest).length > 0) {
    throw new UsageError('--metric, --quantization and --model need --dimensions')
  }
  if (dimensions !== undefined && dryRun) {
    throw new UsageError('--dry-run writes nothing, so it cannot declare --dimensions')
  }
  const vectors = dimensions === undefined ? undefined : { dimensions, ...rest }
  const embed = module === undefined ? undefined : await loadEmbed(module, { directory: dir })
  // A dry run writes nothing, and a new store is something.
  return { ...given({ vectors, embed }), createIfMissing: dryRun !== true }
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
