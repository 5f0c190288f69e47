import { createReadStream, type ReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { Duplex, pipeline, type Readable } from 'node:stream'
import zlib from 'node:zlib'
import { isStoreError, StoreError } from '../errors.ts'
import { abortable } from './abortable.ts'
import type { ImportFormat } from './formats.ts'
import { unsupported } from './options.ts'
import { unpackZstd } from './zstd.ts'

/** A file, or standard input under the name `-`. */
export interface SourceFile {
  readonly path: string
  readonly format: ImportFormat
  /** Size on disk; undefined for standard input and pipes. */
  readonly bytes: number | undefined
  /** Tells the same file under two names; undefined for standard input. */
  readonly identity: string | undefined
  readonly unpack: (() => Duplex) | undefined
}

export const STANDARD_INPUT = '-'
const READ_BYTES = 256 * 1024

/** What a file holds, by the end of its name without that of its compression. */
const FORMAT_OF: Readonly<Record<string, ImportFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.nt': 'ntriples',
  '.parquet': 'parquet',
  '.arrow': 'arrow'
}

/** As JSON Lines, which is what other names mean, these would be rejected line by line. */
const OTHER_FORMATS: ReadonlySet<string> = new Set(
  'ttl rdf owl xml nq trig n3 jsonld avro orc feather xls xlsx ods db sqlite npy pdf'.split(' ')
)
const OTHER_PACKINGS: ReadonlySet<string> = new Set(
  'bz2 xz lz4 br lzma z zip 7z rar tar tgz tbz2 txz'.split(' ')
)

/**
 * Looks at a file before anything is read, so that the last of ten files cannot be found missing
 * after nine were imported.
 *
 * @throws StoreError `IMPORT_SOURCE_INVALID`, or `UNSUPPORTED` for a compression or, where no
 *   format was given, an extension that this version or this Node cannot read.
 */
export async function describeFile(
  path: string,
  format: ImportFormat | undefined
): Promise<SourceFile> {
  const unpack = path === STANDARD_INPUT ? undefined : unpackerOf(path)
  const inner = unpack === undefined ? path : path.slice(0, -extname(path).length)
  const known = format ?? formatOf(inner)
  if (path === STANDARD_INPUT) {
    return { path, format: known, bytes: undefined, identity: undefined, unpack }
  }
  const found = await stat(path).catch((cause: unknown) => {
    throw sourceInvalid(path, cause)
  })
  if (found.isDirectory()) throw sourceInvalid(path, new Error('it is a directory'))
  const bytes = found.isFile() ? found.size : undefined
  return { path, format: known, bytes, identity: `${found.dev}:${found.ino}`, unpack }
}

function formatOf(path: string): ImportFormat {
  const extension = extname(path).toLowerCase()
  if (OTHER_FORMATS.has(extension.slice(1))) {
    throw unsupported(
      `import of '${path}'`,
      `${extension} is none of the formats that this version reads; if it holds one, give \`format\``
    )
  }
  return FORMAT_OF[extension] ?? 'jsonl'
}

export interface ReadFileOptions {
  readonly signal: AbortSignal | undefined
  /** Bytes of the unpacked file to leave out at its beginning. */
  readonly offset: number
  /** Told how many bytes of the file as it is on disk have been read so far. */
  readonly onRead: (bytes: number) => void
}

/**
 * Yields the unpacked bytes of a file and closes it on every path: before it ends, but for a pipe
 * that is left before its own end, which is not waited for.
 *
 * @throws StoreError `IMPORT_SOURCE_INVALID` when reading or unpacking fails, `ABORTED`.
 */
export async function* readFile(
  file: SourceFile,
  { signal, offset, onRead }: ReadFileOptions
): AsyncGenerator<Uint8Array, void, undefined> {
  const canSeek = file.bytes !== undefined && file.unpack === undefined
  const start = canSeek ? offset : 0
  const input = openStream(file, start)
  const unpacked = file.unpack === undefined ? input : joined(input, file.unpack())
  let bytes = 0
  const chunks = abortable<Buffer>(unpacked, signal, 'import')
  const told = async function* () {
    for await (const chunk of chunks) {
      bytes += chunk.length
      onRead(start + ('bytesRead' in input ? input.bytesRead : bytes))
      yield chunk
    }
  }
  try {
    yield* behind(offset - start, told())
  } catch (error) {
    throw isStoreError(error) ? error : sourceInvalid(file.path, error)
  } finally {
    const ended = Promise.all([closed(unpacked), closed(input)])
    // A pipe that nobody writes to closes when what it reads comes, which may be never.
    if (file.bytes !== undefined || input.readableEnded) await ended
  }
}

/** What stands behind so many bytes: what comes compressed or from a program is read to be skipped. */
export async function* behind(
  bytes: number,
  chunks: AsyncIterable<Uint8Array>
): AsyncGenerator<Uint8Array, void, undefined> {
  let left = bytes
  for await (const chunk of chunks) {
    if (left < chunk.length) yield left === 0 ? chunk : chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}

function openStream(file: SourceFile, start: number): Readable | ReadStream {
  if (file.path === STANDARD_INPUT) return process.stdin
  // A pipe has no places: even asking for its first byte by number fails.
  return createReadStream(file.path, { ...(start > 0 && { start }), highWaterMark: READ_BYTES })
}

/** Pipes one into the other, so that an error or the end of either reaches both. */
function joined(input: Readable, output: Duplex): Duplex {
  // The callback has nothing to do: the reader of `output` gets the error of either.
  return pipeline(input, output, () => undefined)
}

async function closed(stream: Readable): Promise<void> {
  if (stream.closed) return
  await new Promise<void>((resolve) => {
    stream.once('close', resolve)
    stream.destroy()
  })
}

function unpackerOf(path: string): (() => Duplex) | undefined {
  const extension = extname(path).toLowerCase()
  if (OTHER_PACKINGS.has(extension.slice(1))) {
    throw unsupported(
      `import of '${path}'`,
      `of what is compressed or an archive, this version reads .gz and .zst, not ${extension}`
    )
  }
  switch (extension) {
    case '.gz':
      return () => zlib.createGunzip({ chunkSize: READ_BYTES })
    case '.zst':
      return () => Duplex.from(unpackZstd)
    default:
      return undefined
  }
}

/** Nothing more can be read of a source. */
export function sourceInvalid(source: string, cause: unknown): StoreError<'IMPORT_SOURCE_INVALID'> {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `Source '${source}' cannot be read: ${reason}`
  return new StoreError('IMPORT_SOURCE_INVALID', message, { source, reason }, { cause })
}
