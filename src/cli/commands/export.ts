import { extname, sep } from 'node:path'
import { type Duplex, pipeline as pack, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'
import { type Command, Option } from 'commander'
import { type ExportOptions, type ExportProgress, StoreError } from '../../index.ts'
import { collect, given, onStore, toPath } from '../arguments.ts'
import { writeOut } from '../out-file.ts'
import { formatBytes, formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { type Session, type StoreFlags, UsageError } from '../session.ts'

type Format = NonNullable<ExportOptions['format']>
type Packing = 'gzip' | 'zstd'

interface Flags extends StoreFlags {
  out: string
  format?: Format
  gzip?: true
  type?: string[]
  /** `false` for `--no-vectors` and `--no-associations`. */
  vectors: boolean
  associations: boolean
}

interface Report {
  file: string
  format: Format
  /** The store as it was at this position. */
  position: number
  concepts: number
  associations: number
  /** As they were written: packed, if they were. */
  bytes: number
  seconds: number
}

/** A report beside the file would be taken for a part of it. */
const STANDARD_OUTPUTS: readonly string[] = ['-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']
const FORMATS: readonly Format[] = ['jsonl', 'csv', 'ntriples', 'parquet', 'arrow']
const FORMAT_OF: Readonly<Record<string, Format>> = {
  '': 'jsonl',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'jsonl',
  '.csv': 'csv',
  '.nt': 'ntriples',
  '.parquet': 'parquet',
  '.arrow': 'arrow'
}
/** An import finds its way about in these, which it cannot in a compressed file. */
const PLAIN: readonly Format[] = ['parquet', 'arrow']

export function addExport(program: Command, session: Session): void {
  onStore(program.command('export'))
    .description('Write all concepts and associations to a file that an import takes back')
    .requiredOption(
      '--out <file>',
      'file to write; .gz and .zst compress; - is standard output',
      toPath
    )
    .addOption(new Option('--format <format>', 'where the name does not tell').choices(FORMATS))
    .option('--gzip', 'compress, whatever the name of the file')
    .option('--type <type>', 'concepts of this type alone; may be given several times', collect)
    .option('--no-vectors', 'leave out embeddings')
    .option('--no-associations', 'leave out associations')
    .action(async (flags: Flags) => {
      const { format, packing } = plan(flags)
      const { out, type: types, vectors, associations } = flags
      const bar = new ProgressLine()
      await session.read(flags, async (store) => {
        const view = await store.view()
        const told: { last?: ExportProgress } = {}
        const chunks = view.export({
          ...given({ types }),
          ...{ format, vectors, associations, signal: session.signal },
          onProgress: (progress) => {
            told.last = progress
            show(bar, progress)
          }
        })
        try {
          const bytes = await write(out, chunks, packing, session.signal)
          bar.stop()
          const { concepts = 0, associations: links = 0, seconds = 0 } = told.last ?? {}
          const counted = { concepts, associations: links, bytes, seconds }
          const report: Report = { file: out, format, position: view.position, ...counted }
          if (STANDARD_OUTPUTS.includes(out)) return
          if (flags.json) await session.printer.json(report)
          else await print(report, session)
        } finally {
          bar.stop()
          await view.close()
        }
      })
    })
}

/** What is to be written, found out before anything is opened. */
function plan({ out, json, ...flags }: Flags): { format: Format; packing: Packing | undefined } {
  if (out.endsWith('/') || out.endsWith(sep)) {
    throw new UsageError('--out names a file, not a directory')
  }
  const extension = extname(out).toLowerCase()
  const named = extension === '.gz' ? 'gzip' : extension === '.zst' ? 'zstd' : undefined
  const inner = named === undefined ? extension : extname(out.slice(0, -extension.length))
  const ending = inner.toLowerCase()
  const packing = named ?? (flags.gzip ? 'gzip' : undefined)
  if (ending === '.tsv' && flags.format === undefined) {
    throw new UsageError('Tab-separated files are read, not written: use .csv')
  }
  const format = flags.format ?? FORMAT_OF[ending]
  if (format === undefined) {
    throw new UsageError(`What a file that ends in '${ending}' should hold: say it with --format`)
  }
  if (STANDARD_OUTPUTS.includes(out) && json) {
    throw new UsageError('--json has no place beside a file on standard output')
  }
  if (packing !== undefined && PLAIN.includes(format)) {
    throw new UsageError(`A file of ${format} is read where it stands: leave it uncompressed`)
  }
  return { format, packing }
}

async function write(
  out: string,
  chunks: AsyncIterable<Uint8Array>,
  packing: Packing | undefined,
  signal: AbortSignal
): Promise<number> {
  // Made before anything is opened: this version of Node may lack it.
  const packer = packing === undefined ? undefined : createPacker(packing)
  const packed = (): AsyncIterable<Uint8Array> => {
    if (packer === undefined) return chunks
    // The callback has nothing to do: whoever reads the packer gets the error of either.
    return pack(Readable.from(chunks, { objectMode: false }), packer, () => undefined)
  }
  if (!STANDARD_OUTPUTS.includes(out)) return writeOut(out, packed, signal)
  const source = Readable.from(packed(), { objectMode: false })
  await pipeline(source, process.stdout, { end: false })
  return 0
}

function createPacker(packing: Packing): Duplex {
  if (packing === 'gzip') return zlib.createGzip()
  // Newer versions of Node have it, the types of the oldest one supported do not.
  const { createZstdCompress } = zlib as { createZstdCompress?: () => Duplex }
  if (createZstdCompress !== undefined) return createZstdCompress()
  const operation = 'export with zstd'
  const reason = `Node ${process.versions.node} cannot write it, Node 22.15 can; gzip works`
  const message = `The ${operation} is not supported: ${reason}`
  throw new StoreError('UNSUPPORTED', message, { operation, reason })
}

function show(bar: ProgressLine, progress: ExportProgress): void {
  const { records, recordsTotal, bytes, seconds } = progress
  const rate = Math.round(records / Math.max(seconds, 0.001))
  const note = `${formatMany(records, 'record')}, ${formatCount(rate)}/s, ${formatBytes(bytes)}`
  bar.update('export', records, recordsTotal, note)
}

async function print(report: Report, { printer }: Session): Promise<void> {
  const { file, format, position, concepts, associations, bytes, seconds } = report
  const what = `${formatMany(concepts, 'concept')} and ${formatMany(associations, 'association')}`
  await printer.line(`${what} exported to ${file}`, 'good')
  const rate = formatCount(Math.round((concepts + associations) / Math.max(seconds, 0.001)))
  await printer.line(
    `${formatBytes(bytes)} of ${format} in ${formatSeconds(seconds)} (${rate}/s), ` +
      `position ${formatCount(position)}`,
    'dim'
  )
}
