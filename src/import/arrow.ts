import { type FileHandle, open } from 'node:fs/promises'
import type { DataType, Field, RecordBatch, Vector } from 'apache-arrow'
import { decompress } from 'fzstd'
import { StoreError } from '../errors.ts'
import { loadOptional } from '../optional-package.ts'
import { type Column, GROUP_BYTES_MAX, OURS, packLists, pieceRows, type Slice } from './columns.ts'
import { decimalValue } from './decimal.ts'

type Arrow = typeof import('apache-arrow')

/** A row takes a bit at least, unless nothing is known of any: a damaged count must end soon. */
const ROWS_OF_A_BYTE = 8
const ROWS_OF_NOTHING = 65_536

/** How often a file may be read, with room for small ones; a short read counts as much as this. */
const TIMES_READ = 4
const READ_BYTES_MIN = 64
const READS_MIN = 1024

/**
 * Reads an Arrow file, or a stream of Arrow kept in a file, batch by batch.
 *
 * @throws StoreError `UNSUPPORTED`, `LIMIT_EXCEEDED`; other errors for a damaged file.
 */
export async function* readArrow(path: string): AsyncGenerator<Slice, undefined> {
  const arrow = await loadOptional(
    'apache-arrow',
    'import of Arrow',
    async () => import('apache-arrow')
  )
  let unpacked = 0
  arrow.compressionRegistry.set(arrow.CompressionType.ZSTD, {
    decode: (bytes) => {
      const plain = decompress(bytes)
      unpacked += plain.length
      return plain
    }
  })
  const handle = await open(path)
  try {
    const { size } = await handle.stat()
    const source = new BoundedFile(handle, size)
    const reader = await arrow.RecordBatchReader.from(source as unknown as FileHandle)
    await reader.open()
    const isOurs = reader.schema.metadata.has(OURS)
    for await (const batch of reader) {
      const rowsMax = Math.max((size + unpacked) * ROWS_OF_A_BYTE, ROWS_OF_NOTHING)
      if (!(batch.numRows >= 0 && batch.numRows <= rowsMax)) {
        throw new Error(`a batch of ${batch.numRows} rows in a file of ${size} bytes`)
      }
      for (const slice of slicesOf(arrow, batch)) yield { ...slice, readTo: source.readTo, isOurs }
    }
  } finally {
    await handle.close()
  }
  return undefined
}

/** The file as the reader asks for it, which believes whatever lengths stand in the file. */
class BoundedFile {
  readonly fd: number
  readonly #handle: FileHandle
  readonly #size: number
  /** Bytes up to the end of what was read last. */
  readTo = 0
  /** Every byte is read about once: a damaged file may lead the reader in a circle. */
  #left: number

  constructor(handle: FileHandle, size: number) {
    this.fd = handle.fd
    this.#handle = handle
    this.#size = size
    this.#left = size * TIMES_READ + READ_BYTES_MIN * READS_MIN
  }

  async stat(): Promise<{ size: number }> {
    return { size: this.#size }
  }

  async read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number
  ): Promise<{ bytesRead: number; buffer: Uint8Array }> {
    if (length > GROUP_BYTES_MAX) throw batchTooLarge(length)
    this.#left -= Math.max(length, READ_BYTES_MIN)
    if (this.#left < 0) throw new Error('it leads in a circle')
    const { bytesRead } = await this.#handle.read(buffer, offset, length, position)
    // The reader would ask for the same bytes again, forever.
    if (bytesRead === 0 && length > 0) throw new Error(`it ends at byte ${position}`)
    this.readTo = Math.max(this.readTo, position + bytesRead)
    return { bytesRead, buffer }
  }

  /** Closed by who opened it. */
  async close(): Promise<void> {}
}

function* slicesOf(
  arrow: Arrow,
  batch: RecordBatch
): Generator<Pick<Slice, 'rows' | 'bytes' | 'columns'>> {
  const { numRows } = batch
  const bytes = batch.data.children.reduce((sum, { byteLength }) => sum + byteLength, 0)
  const columns = batch.schema.fields.map((field, i) => columnOf(arrow, field, batch.getChildAt(i)))
  const rowBytes = bytes / numRows
  const step = pieceRows(rowBytes)
  for (let at = 0; at < numRows; at += step) {
    const rows = Math.min(step, numRows - at)
    yield {
      rows,
      bytes: Math.ceil(rows * rowBytes),
      columns: columns.map((column) => column(at, at + rows))
    }
  }
}

type Slicer = (from: number, to: number) => Column

function columnOf(arrow: Arrow, { name, type }: Field, vector: Vector | null): Slicer {
  if (vector === null) throw new Error(`column '${name}' is missing in a batch`)
  const plain = plainer(arrow, type)
  const isLists = isFloats(arrow, type, name)
  return (from, to) => {
    const values: unknown[] = []
    for (let i = from; i < to; i++) values.push(plain(vector.get(i)))
    return isLists ? { name, lists: packLists(values) } : { name, values }
  }
}

function isFloats({ DataType }: Arrow, type: DataType, name: string): boolean {
  if (!DataType.isList(type) && !DataType.isFixedSizeList(type)) return false
  const { valueType } = type
  if (!DataType.isFloat(valueType)) return false
  const SINGLE = 1
  return valueType.precision === SINGLE || name === 'embedding'
}

/** Makes of the values of a type what the other thread understands: no objects with methods. */
function plainer(arrow: Arrow, type: DataType): (value: unknown) => unknown {
  const { DataType } = arrow
  if (DataType.isDate(type) || DataType.isTimestamp(type)) {
    // Read as milliseconds, whatever the unit.
    return (value) => (typeof value === 'number' ? new Date(value) : value)
  }
  if (DataType.isDecimal(type)) {
    const { scale } = type
    return (value) => (value == null ? null : decimalValue(unscaledOf(value as Uint32Array), scale))
  }
  if (DataType.isDictionary(type)) return plainer(arrow, type.dictionary)
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const plain = plainer(arrow, type.valueType)
    return (value) => (isVector(value) ? listOf(value, plain) : null)
  }
  if (DataType.isStruct(type) || DataType.isMap(type)) {
    const fields = new Map(type.children.map((field) => [field.name, plainer(arrow, field.type)]))
    return (value) => structOf(value, fields)
  }
  return plainOf
}

/** Words of 32 bits, the lowest first, in two's complement. */
function unscaledOf(words: Uint32Array): bigint {
  let value = 0n
  for (let i = words.length - 1; i >= 0; i--) value = (value << 32n) | BigInt(words[i] ?? 0)
  return BigInt.asIntN(32 * words.length, value)
}

function isVector(value: unknown): value is Vector {
  return typeof value === 'object' && value !== null && 'toArray' in value
}

function listOf(vector: Vector, plain: (value: unknown) => unknown): unknown {
  const members: unknown = vector.nullCount === 0 ? vector.toArray() : undefined
  // Of numbers, a copy: it goes to another thread without the batch that it is a part of.
  if (members instanceof Float32Array || members instanceof Float64Array) return members.slice()
  return Array.from(vector, plain)
}

function structOf(
  value: unknown,
  fields: ReadonlyMap<string, (value: unknown) => unknown>
): unknown {
  // A row of a struct is a proxy that has its fields alone, but gives this too.
  const row = value as { toJSON?: () => object } | null
  if (typeof row?.toJSON !== 'function') return null
  const members = Object.entries(row.toJSON())
  // The names of a map's members are data, those of a struct its fields.
  return Object.fromEntries(
    members.map(([name, member]) => [name, (fields.get(name) ?? plainOf)(member)])
  )
}

function plainOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return ArrayBuffer.isView(value) || value instanceof Date ? value : String(value)
}

function batchTooLarge(value: number): StoreError<'LIMIT_EXCEEDED'> {
  const limit = 'bytes of a record batch'
  const message = `The limit '${limit}' is ${GROUP_BYTES_MAX}, received ${value}`
  return new StoreError('LIMIT_EXCEEDED', message, { limit, value, max: GROUP_BYTES_MAX })
}
