import { createReadStream, type ReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { extname } from 'node:path'
import { pipeline, type Readable, type Transform } from 'node:stream'
import zlib from 'node:zlib'
import { isStoreError, StoreError } from '../errors.ts'
import { abortable } from './abortable.ts'
import { checkFormat, type ImportFormat, unsupported } from './options.ts'

/** A file, or standard input under the name `-`. */
export interface SourceFile {
  readonly path: string
  /** Size on disk; undefined for standard input and pipes. */
  readonly bytes: number | undefined
  /** Tells the same file under two names; undefined for standard input. */
  readonly identity: string | undefined
  readonly unpack: (() => Transform) | undefined
}

export const STANDARD_INPUT = '-'
const READ_BYTES = 256 * 1024

const FORMAT_OF: Readonly<Record<string, ImportFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.nt': 'ntriples',
  '.parquet': 'parquet',
  '.arrow': 'arrow'
}

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
  if (path === STANDARD_INPUT) {
    return { path, bytes: undefined, identity: undefined, unpack: undefined }
  }
  const unpack = unpackerOf(path)
  const inner = unpack === undefined ? path : path.slice(0, -extname(path).length)
  checkFormat(format ?? FORMAT_OF[extname(inner).toLowerCase()] ?? 'jsonl')
  const found = await stat(path).catch((cause: unknown) => {
    throw sourceInvalid(path, cause)
  })
  if (found.isDirectory()) throw sourceInvalid(path, new Error('it is a directory'))
  const bytes = found.isFile() ? found.size : undefined
  return { path, bytes, identity: `${found.dev}:${found.ino}`, unpack }
}

/**
 * Yields the unpacked bytes of a file and closes it on every path.
 *
 * @param onRead Told how many bytes of the file as it is on disk have been read so far.
 * @throws StoreError `IMPORT_SOURCE_INVALID` when reading or unpacking fails, `ABORTED`.
 */
export async function* readFile(
  file: SourceFile,
  signal: AbortSignal | undefined,
  onRead: (bytes: number) => void
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = openStream(file)
  const unpacked = file.unpack === undefined ? input : joined(input, file.unpack())
  let bytes = 0
  try {
    for await (const chunk of abortable<Buffer>(unpacked, signal, 'import')) {
      bytes += chunk.length
      onRead('bytesRead' in input ? input.bytesRead : bytes)
      yield chunk
    }
  } catch (error) {
    throw isStoreError(error) ? error : sourceInvalid(file.path, error)
  } finally {
    await Promise.all([closed(unpacked), closed(input)])
  }
}

function openStream(file: SourceFile): Readable | ReadStream {
  if (file.path === STANDARD_INPUT) return process.stdin
  return createReadStream(file.path, { highWaterMark: READ_BYTES })
}

/** Pipes one into the other, so that an error or the end of either reaches both. */
function joined(input: Readable, output: Transform): Transform {
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

function unpackerOf(path: string): (() => Transform) | undefined {
  switch (extname(path).toLowerCase()) {
    case '.gz':
      return () => zlib.createGunzip({ chunkSize: READ_BYTES })
    case '.zst':
      return zstdUnpacker()
    default:
      return undefined
  }
}

function zstdUnpacker(): () => Transform {
  // Newer versions of Node have it, the types of the oldest one supported do not.
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform }
  if (createZstdDecompress !== undefined) return createZstdDecompress
  throw unsupported('import of zstd', `Node ${process.versions.node} cannot unpack it`)
}

function sourceInvalid(source: string, cause: unknown): StoreError<'IMPORT_SOURCE_INVALID'> {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `Source '${source}' cannot be read: ${reason}`
  return new StoreError('IMPORT_SOURCE_INVALID', message, { source, reason }, { cause })
}
