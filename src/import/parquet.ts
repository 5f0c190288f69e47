import { type FileHandle, open } from 'node:fs/promises'
import zlib from 'node:zlib'
import { decompress } from 'fzstd'
import type { AsyncBuffer, Compressors, FileMetaData, RowGroup, SchemaTree } from 'hyparquet'
import { StoreError } from '../errors.ts'
import { loadOptional } from '../optional-package.ts'
import { type Column, GROUP_BYTES_MAX, OURS, packLists, pieceRows, type Slice } from './columns.ts'

type Hyparquet = typeof import('hyparquet')

const JSON_DECODER = new TextDecoder('utf-8', { ignoreBOM: false })

/** What is unpacked together where a file says at which bytes its rows begin. */
const RANGE_BYTES = 16 * 1024 * 1024

/**
 * Reads a Parquet file row group by row group, or in ranges of rows where it has an index of pages.
 *
 * @throws StoreError `UNSUPPORTED`, `LIMIT_EXCEEDED`; other errors for a damaged file.
 */
export async function* readParquet(path: string): AsyncGenerator<Slice, undefined> {
  const hyparquet = await loadOptional(
    'hyparquet',
    'import of Parquet',
    async () => import('hyparquet')
  )
  const handle = await open(path)
  try {
    const file = await bufferOf(handle)
    const metadata = await hyparquet.parquetMetadataAsync(file, { geoparquet: false })
    const isOurs = metadata.key_value_metadata?.some(({ key }) => key === OURS) === true
    const reader = new RangeReader(hyparquet, file, metadata)
    let start = 0
    for (const group of metadata.row_groups) {
      const end = start + countOf(group)
      for (const [from, to] of rangesOf(group, start)) {
        const readTo = Math.round((file.byteLength * to) / Math.max(1, Number(metadata.num_rows)))
        for await (const slice of reader.read(from, to, bytesPerRow(group))) {
          yield { ...slice, readTo: Math.min(readTo, file.byteLength), isOurs }
        }
      }
      start = end
    }
  } finally {
    await handle.close()
  }
  return undefined
}

/** Unpacks ranges of rows into columns. */
class RangeReader {
  readonly #hyparquet: Hyparquet
  readonly #file: AsyncBuffer
  readonly #metadata: FileMetaData
  /** Columns of lists of floats, and the embedding of doubles, which are kept as floats anyway. */
  readonly #lists: ReadonlySet<string>
  readonly #names: readonly string[]

  constructor(hyparquet: Hyparquet, file: AsyncBuffer, metadata: FileMetaData) {
    this.#hyparquet = hyparquet
    this.#file = file
    this.#metadata = metadata
    const { children } = hyparquet.parquetSchema(metadata)
    this.#names = children.map(({ element }) => element.name)
    this.#lists = new Set(children.filter(isFloats).map(({ element }) => element.name))
  }

  async *read(
    from: number,
    to: number,
    rowBytes: number
  ): AsyncGenerator<Pick<Slice, 'rows' | 'bytes' | 'columns'>> {
    const rows = await this.#rows(from, to)
    const step = pieceRows(rowBytes)
    for (let at = 0; at < rows.length; at += step) {
      const some = rows.slice(at, at + step)
      const columns = this.#names.map((name, i) => this.#column(name, some, i))
      yield { rows: some.length, bytes: Math.ceil(some.length * rowBytes), columns }
    }
  }

  async #rows(from: number, to: number): Promise<unknown[][]> {
    let rows: unknown[][] = []
    await this.#hyparquet.parquetRead({
      file: this.#file,
      metadata: this.#metadata,
      rowStart: from,
      rowEnd: to,
      rowFormat: 'array',
      // Bytes stay bytes where the file does not call them text.
      utf8: false,
      geoparquet: false,
      useOffsetIndex: true,
      parsers: { jsonFromBytes },
      compressors: COMPRESSORS,
      onComplete: (complete: unknown[][]) => {
        rows = complete
      }
    })
    return rows
  }

  #column(name: string, rows: readonly unknown[][], index: number): Column {
    const values = rows.map((row) => row[index])
    return this.#lists.has(name) ? { name, lists: packLists(values) } : { name, values }
  }
}

/** Whether each row of a column is a list of numbers that a float32 holds, or shall hold. */
function isFloats({ element, children }: SchemaTree): boolean {
  if (element.converted_type !== 'LIST' && element.logical_type?.type !== 'LIST') return false
  const leaf = children[0]?.children[0]
  if (leaf === undefined || leaf.children.length > 0) return false
  return (
    leaf.element.type === 'FLOAT' ||
    (leaf.element.type === 'DOUBLE' && element.name === 'embedding')
  )
}

/**
 * The rows that are unpacked together.
 *
 * @throws StoreError `LIMIT_EXCEEDED` for a row group that is too large to be unpacked whole, in a
 *   file that does not say where its pages begin.
 */
function* rangesOf(group: RowGroup, start: number): Generator<[number, number], void> {
  const rows = countOf(group)
  const bytes = Number(group.total_byte_size)
  const hasIndex = group.columns.every((column) => column.offset_index_offset !== undefined)
  if (!hasIndex && bytes > GROUP_BYTES_MAX) throw groupTooLarge(bytes)
  const step = hasIndex ? Math.max(1, Math.floor(RANGE_BYTES / bytesPerRow(group))) : rows
  for (let at = 0; at < rows; at += step) {
    yield [start + at, start + Math.min(rows, at + step)]
  }
}

function countOf(group: RowGroup): number {
  const rows = Number(group.num_rows)
  if (Number.isSafeInteger(rows) && rows >= 0) return rows
  throw new Error(`a row group of ${rows} rows`)
}

function bytesPerRow(group: RowGroup): number {
  return Math.max(1, Number(group.total_byte_size) / Math.max(1, countOf(group)))
}

async function bufferOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat()
  return {
    byteLength: size,
    slice: async (start, end = size) => {
      const length = Math.min(end, size) - start
      // Where its parts stand a damaged file says wrongly: that must not become memory.
      if (!(start >= 0 && length >= 0))
        throw new Error(`a part of the file from ${start} to ${end}`)
      if (length > GROUP_BYTES_MAX) throw groupTooLarge(length)
      const bytes = new Uint8Array(length)
      const { bytesRead } = await handle.read(bytes, 0, length, start)
      if (bytesRead < length) throw new Error(`it ends at byte ${start + bytesRead}`)
      return bytes.buffer
    }
  }
}

/** Before JSON a byte order mark is not part of a text, and the parser takes none. */
function jsonFromBytes(bytes: Uint8Array | undefined): unknown {
  return bytes && JSON.parse(JSON_DECODER.decode(bytes))
}

/** Each is told by the page how much will come out, and must not give more. */
const COMPRESSORS: Compressors = {
  GZIP: (input, length) => zlib.gunzipSync(input, { maxOutputLength: checked(length) }),
  BROTLI: (input, length) => zlib.brotliDecompressSync(input, { maxOutputLength: checked(length) }),
  ZSTD: (input, length) => decompress(input, new Uint8Array(checked(length)))
}

function checked(length: number): number {
  if (length > GROUP_BYTES_MAX) throw groupTooLarge(length)
  return Math.max(1, length)
}

function groupTooLarge(value: number): StoreError<'LIMIT_EXCEEDED'> {
  const limit = 'bytes of a row group'
  const message = `The limit '${limit}' is ${GROUP_BYTES_MAX}, received ${value}`
  return new StoreError('LIMIT_EXCEEDED', message, { limit, value, max: GROUP_BYTES_MAX })
}
