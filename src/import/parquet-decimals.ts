/**
 * Decimals of Parquet. The reader would multiply them by a power of ten, which makes 57 hundredths
 * 0.5700000000000001: it is told that they are plain integers or bytes, and they are read here.
 */
import type { FileMetaData, SchemaElement, SchemaTree } from 'hyparquet'
import { decimalValue } from './decimal.ts'

/** No engine writes longer ones, and to write one of megabytes out in digits takes minutes. */
const BYTES_MAX = 32
/** Digits that fit into as many. */
const SCALE_MAX = 77

type Convert = (value: unknown) => unknown

export interface Decimals {
  /** What the reader is told. */
  readonly metadata: FileMetaData
  /** For each column that has decimals, under its name. */
  readonly converts: ReadonlyMap<string, Convert>
}

/** @throws Error for a scale that no decimal has. */
export function decimalsIn(metadata: FileMetaData, columns: readonly SchemaTree[]): Decimals {
  const found = new Set<SchemaElement>()
  const converts = new Map<string, Convert>()
  for (const column of columns) {
    const convert = convertOf(column, found)
    if (convert !== undefined) converts.set(column.element.name, convert)
  }
  return { metadata: { ...metadata, schema: metadata.schema.map(plain) }, converts }

  function plain(element: SchemaElement): SchemaElement {
    if (!found.has(element)) return element
    const { converted_type, logical_type, ...rest } = element
    return rest
  }
}

/** @param found Gets the decimals below. Keys of maps are left to the reader, which makes text of them. */
function convertOf(
  { element, children }: SchemaTree,
  found: Set<SchemaElement>
): Convert | undefined {
  if (children.length === 0) return isDecimal(element) ? decimalOf(element, found) : undefined
  const [only] = children
  const isList = element.converted_type === 'LIST' && children.length === 1
  const isMap = element.converted_type === 'MAP' && children.length === 1
  if (isList && only !== undefined) {
    const [member] = only.children
    const isWrapped = only.children.length === 1 && member !== undefined
    return convertOf(isWrapped ? member : only, found)
  }
  if (isMap && only?.children[1] !== undefined) return membersOf(convertOf(only.children[1], found))
  return structOf(children, found)
}

function decimalOf(element: SchemaElement, found: Set<SchemaElement>): Convert {
  const { scale = 0 } = element
  if (!Number.isInteger(scale) || Math.abs(scale) > SCALE_MAX) {
    throw new Error(`column '${element.name}' has decimals of the scale ${scale}`)
  }
  found.add(element)
  return eachOf((value) => decimalValue(unscaledOf(value), scale))
}

function isDecimal({ converted_type, logical_type }: SchemaElement): boolean {
  return converted_type === 'DECIMAL' || logical_type?.type === 'DECIMAL'
}

/** Big-endian, in two's complement, where it is bytes. */
function unscaledOf(value: unknown): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return BigInt(value)
  if (!(value instanceof Uint8Array)) throw new Error('a decimal is neither a number nor bytes')
  if (value.length > BYTES_MAX) throw new Error(`a decimal of ${value.length} bytes`)
  if (value.length === 0) return 0n
  const hex = Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')
  return BigInt.asIntN(8 * value.length, BigInt(`0x${hex}`))
}

function structOf(children: readonly SchemaTree[], found: Set<SchemaElement>): Convert | undefined {
  const fields: [string, Convert][] = []
  for (const child of children) {
    const convert = convertOf(child, found)
    if (convert !== undefined) fields.push([child.element.name, convert])
  }
  if (fields.length === 0) return undefined
  return eachOf((value) => {
    const struct = value as Record<string, unknown>
    for (const [name, convert] of fields) struct[name] = convert(struct[name])
    return struct
  })
}

function membersOf(convert: Convert | undefined): Convert | undefined {
  if (convert === undefined) return undefined
  return eachOf((value) => {
    const map = value as Record<string, unknown>
    for (const [key, member] of Object.entries(map)) map[key] = convert(member)
    return map
  })
}

/** Of a value, or of each in its lists. */
function eachOf(convert: Convert): Convert {
  const each = (value: unknown): unknown => {
    if (value === null || value === undefined) return value
    return isList(value) ? Array.from(value, each) : convert(value)
  }
  return each
}

function isList(value: unknown): value is Iterable<unknown> {
  // Bytes are one decimal; other typed arrays are many.
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof Uint8Array))
}
