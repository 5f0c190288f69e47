import type { Data, DataType, RecordBatchFileWriter, Schema } from 'apache-arrow'
import { loadOptional } from '../optional-package.ts'
import type { ColumnarWriter } from './columnar-worker.ts'
import { type Columns, LAYOUT, OURS, TEXT_BEFORE, TEXT_BEHIND, type Texts } from './columns.ts'
import { RowGroup } from './row-group.ts'

type Arrow = typeof import('apache-arrow')

/** Writes an Arrow file, batch by batch. */
export class ArrowColumns implements ColumnarWriter {
  readonly #arrow: Arrow
  readonly #schema: Schema
  readonly #writer: RecordBatchFileWriter
  readonly #dimensions: number
  readonly #done: Promise<void>
  #chunks: Uint8Array[] = []
  #group: RowGroup

  private constructor(arrow: Arrow, dimensions: number) {
    this.#arrow = arrow
    this.#dimensions = dimensions
    this.#schema = schemaOf(arrow, dimensions)
    this.#writer = new arrow.RecordBatchFileWriter()
    this.#writer.reset(undefined, this.#schema)
    this.#group = new RowGroup(dimensions)
    this.#done = this.#gather()
    // `end` waits for it; until then a failure of it has come out of `write` already.
    this.#done.catch(() => undefined)
  }

  /** @throws StoreError `UNSUPPORTED` */
  static async open(dimensions: number): Promise<ArrowColumns> {
    const load = async (): Promise<Arrow> => import('apache-arrow')
    const arrow = await loadOptional('apache-arrow', 'export to Arrow', load)
    return new ArrowColumns(arrow, dimensions)
  }

  async write(columns: Columns): Promise<Uint8Array[]> {
    this.#group.add(columns)
    if (this.#group.isFull) this.#close()
    return this.#taken()
  }

  async end(): Promise<Uint8Array[]> {
    if (this.#group.rows > 0) this.#close()
    this.#writer.finish()
    await this.#done
    return this.#taken()
  }

  async #gather(): Promise<void> {
    for await (const chunk of this.#writer) this.#chunks.push(Uint8Array.from(chunk))
  }

  #taken(): Uint8Array[] {
    const taken = this.#chunks
    this.#chunks = []
    return taken
  }

  #close(): void {
    const { RecordBatch, Struct, makeData } = this.#arrow
    const { fields } = this.#schema
    const group = this.#group
    this.#group = new RowGroup(this.#dimensions)
    const children = this.#columns(group)
    const type = new Struct(fields)
    const data = makeData({ type, length: group.rows, nullCount: 0, children })
    this.#writer.write(new RecordBatch(this.#schema, data))
  }

  #columns({ rows, text, data, strength, confidence, stub, embeddings }: RowGroup): Data[] {
    const { Binary, Bool, Float64, makeData } = this.#arrow
    const doubles = (values: number[]): Data =>
      makeData({ type: new Float64(), length: rows, nullCount: 0, data: Float64Array.from(values) })
    const blobs = packBytes(data)
    return [
      ...TEXT_BEFORE.map((name) => this.#texts(text[name])),
      makeData({ type: new Binary(), length: rows, ...blobs }),
      doubles(strength),
      doubles(confidence),
      makeData({ type: new Bool(), length: rows, nullCount: 0, data: packBits(stub) }),
      ...(this.#dimensions > 0 ? [this.#lists(embeddings)] : []),
      ...TEXT_BEHIND.map((name) => this.#texts(text[name]))
    ]
  }

  #texts(values: Texts): Data {
    const { Utf8, makeData } = this.#arrow
    const bytes = packBytes(values.map((value) => (value === null ? null : Buffer.from(value))))
    return makeData({ type: new Utf8(), length: values.length, ...bytes })
  }

  #lists(values: readonly (Float32Array | null)[]): Data {
    const { makeData } = this.#arrow
    const length = values.length
    const { type: child, list } = listType(this.#arrow, this.#dimensions)
    const floats = new Float32Array(length * this.#dimensions)
    for (const [i, value] of values.entries()) {
      if (value !== null) floats.set(value, i * this.#dimensions)
    }
    const numbers = makeData({ type: child, length: floats.length, nullCount: 0, data: floats })
    return makeData({ type: list, length, ...nullsOf(values), child: numbers })
  }
}

function schemaOf(arrow: Arrow, dimensions: number): Schema {
  const { Binary, Bool, Field, Float64, Schema, Utf8 } = arrow
  const field = (name: string, type: DataType, nullable: boolean) => new Field(name, type, nullable)
  const text = (name: string) => field(name, new Utf8(), name !== 'kind')
  const fields = [
    ...TEXT_BEFORE.map(text),
    field('data', new Binary(), true),
    field('strength', new Float64(), false),
    field('confidence', new Float64(), false),
    field('stub', new Bool(), false),
    ...(dimensions > 0 ? [field('embedding', listType(arrow, dimensions).list, true)] : []),
    ...TEXT_BEHIND.map(text)
  ]
  return new Schema(fields, new Map([[OURS, LAYOUT]]))
}

function listType({ Field, FixedSizeList, Float32 }: Arrow, dimensions: number) {
  const type = new Float32()
  return { type, list: new FixedSizeList(dimensions, new Field('item', type, false)) }
}

/** Values one behind the other, as Arrow has them: where each begins, and which there are. */
function packBytes(values: readonly (Uint8Array | null)[]): {
  valueOffsets: Int32Array
  data: Uint8Array
  nullCount: number
  nullBitmap: Uint8Array
} {
  const valueOffsets = new Int32Array(values.length + 1)
  let end = 0
  for (const [i, value] of values.entries()) {
    end += value?.length ?? 0
    valueOffsets[i + 1] = end
  }
  const data = new Uint8Array(end)
  for (const [i, value] of values.entries()) {
    if (value !== null) data.set(value, valueOffsets[i])
  }
  return { valueOffsets, data, ...nullsOf(values) }
}

function nullsOf(values: readonly unknown[]): { nullCount: number; nullBitmap: Uint8Array } {
  const present = values.map((value) => value !== null)
  return {
    nullCount: present.filter((one) => !one).length,
    nullBitmap: packBits(present)
  }
}

function packBits(values: readonly boolean[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(values.length / 8))
  for (const [i, value] of values.entries()) {
    if (value) bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7))
  }
  return bits
}
