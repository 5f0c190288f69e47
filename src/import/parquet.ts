import { type FileHandle, open } from 'node:fs/promises'
import zlib from 'node:zlib'
import { decompress } from 'fzstd'
import type { AsyncBuffer, Compressors, FileMetaData, RowGroup, SchemaTree } from 'hyparquet'
import { StoreError } from '../errors.ts'
import { loadOptional } from '../optional-package.ts'
import { type Column, GROUP_BYTES_MAX, OURS, packLists, pieceRows, type Slice } from './columns.ts'
import { InexactNumber, parseKept } from './exact-json.ts'
import { type Decimals, decimalsIn } from './parquet-decimals.ts'

type Hyparquet = typeof import('hyparquet')

const JSON_DECODER = new TextDecoder('utf-8', { ignoreBOM: false })

/** What is unpacked together where a file says at which bytes its rows begin. */
const RANGE_BYTES = 16 * 1024 * 1024

/**
 * Reads a Parquet file row group by row group, or in ranges of rows where it has an index of pages.
 *
 * @param isExact Refuse rows with JSON in which a number would become another one.
 * @throws StoreError `UNSUPPORTED`, `LIMIT_EXCEEDED`; other errors for a damaged file.
 */
export async function* readParquet(
  path: string,
  isExact: boolean
): AsyncGenerator<Slice, undefined> {
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
    const reader = new RangeReader(hyparquet, file, metadata, isExact)
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
  readonly #decimals: Decimals
  /** Columns of lists of floats, and the embedding of doubles, which are kept as floats anyway. */
  readonly #lists: ReadonlySet<string>
  readonly #names: readonly string[]
  readonly #isExact: boolean
  #hasBadJson = false

  constructor(hyparquet: Hyparquet, file: AsyncBuffer, metadata: FileMetaData, isExact: boolean) {
    this.#hyparquet = hyparquet
    this.#file = file
    this.#isExact = isExact
    const { children } = hyparquet.parquetSchema(metadata)
    this.#decimals = decimalsIn(metadata, children)
    this.#names = children.map(({ element }) => element.name)
    this.#lists = new Set(children.filter(isFloats).map(({ element }) => element.name))
  }

  async *read(
    from: number,
    to: number,
    rowBytes: number
  ): AsyncGenerator<Pick<Slice, 'rows' | 'bytes' | 'columns' | 'faults'>> {
    const rows = await this.#rows(from, to)
    const step = pieceRows(rowBytes)
    for (let at = 0; at < rows.length; at += step) {
      const some = rows.slice(at, at + step)
      const faults = this.#hasBadJson ? this.#faults(some) : undefined
      const columns = this.#names.map((name, i) => this.#column(name, some, i))
      yield { rows: some.length, bytes: Math.ceil(some.length * rowBytes), columns, faults }
    }
  }

  async #rows(from: number, to: number): Promise<unknown[][]> {
    let rows: unknown[][] = []
    this.#hasBadJson = false
    await this.#hyparquet.parquetRead({
      file: this.#file,
      metadata: this.#decimals.metadata,
      rowStart: from,
      rowEnd: to,
      rowFormat: 'array',
      // Bytes stay bytes where the file does not call them text.
      utf8: false,
      geoparquet: false,
      useOffsetIndex: true,
      parsers: { jsonFromBytes: (bytes: Uint8Array | undefined) => this.#json(bytes) },
      compressors: COMPRESSORS,
      onComplete: (complete: unknown[][]) => {
        rows = complete
      }
    })
    return rows
  }

  /** What is thrown here would end the import, and its row need not even be asked for. */
  #json(bytes: Uint8Array | undefined): unknown {
    if (bytes === undefined) return undefined
    // Before JSON a byte order mark is not part of a text, and the parser takes none.
    const text = JSON_DECODER.decode(bytes)
    try {
      return this.#isExact ? parseKept(text) : JSON.parse(text)
    } catch (error) {
      this.#hasBadJson = true
      return new BadJson(text, error)
    }
  }

  /** Why rows are refused. Embeddings become floats in any case: of them only the shape matters. */
  #faults(rows: unknown[][]): Map<number, string> {
    const faults = new Map<number, string>()
    for (const [at, row] of rows.entries()) {
      for (const [i, value] of row.entries()) {
        const name = this.#names[i] ?? ''
        const bad = badJsonIn(value)
        if (bad === undefined) continue
        if (name === 'embedding' && bad === value && bad.isInexact) row[i] = JSON.parse(bad.text)
        else faults.set(at, bad.reason(name))
      }
    }
    return faults
  }

  #column(name: string, rows: readonly unknown[][], index: number): Column {
    const convert = this.#decimals.converts.get(name)
    const values = rows.map((row) => (convert === undefined ? row[index] : convert(row[index])))
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

/** Stands in the place of JSON that cannot be taken. */
class BadJson {
  readonly text: string
  readonly isInexact: boolean
  readonly #message: string

  constructor(text: string, error: unknown) {
    this.text = text
    this.isInexact = error instanceof InexactNumber
    this.#message = error instanceof Error ? error.message : String(error)
  }

  reason(column: string): string {
    return this.isInexact ? this.#message : `${column} is not valid JSON: ${this.#message}`
  }
}

/** JSON may stand in lists and structs of a column, too, and be deeper than the stack. */
function badJsonIn(value: unknown): BadJson | undefined {
  const left: unknown[] = [value]
  while (left.length > 0) {
    const one = left.pop()
    if (one instanceof BadJson) return one
    if (typeof one !== 'object' || one === null || ArrayBuffer.isView(one)) continue
    for (const member of Object.values(one)) left.push(member)
  }
  return undefined
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
