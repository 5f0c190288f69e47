import type { SchemaElement } from 'hyparquet'
import type { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { loadOptional } from '../optional-package.ts'
import type { ColumnarWriter } from './columnar-worker.ts'
import { type Columns, LAYOUT, OURS, TEXT_BEFORE, TEXT_BEHIND } from './columns.ts'
import { RowGroup } from './row-group.ts'

/** Writes a Parquet file, row group by row group. */
export class ParquetColumns implements ColumnarWriter {
  readonly #bytes: ByteWriter
  readonly #writer: ParquetWriter
  readonly #dimensions: number
  #group: RowGroup

  private constructor(bytes: ByteWriter, writer: ParquetWriter, dimensions: number) {
    this.#bytes = bytes
    this.#writer = writer
    this.#dimensions = dimensions
    this.#group = new RowGroup(dimensions)
  }

  /** @throws StoreError `UNSUPPORTED` */
  static async open(dimensions: number): Promise<ParquetColumns> {
    const { ByteWriter, ParquetWriter } = await loadOptional(
      'hyparquet-writer',
      'export to Parquet',
      async () => import('hyparquet-writer')
    )
    const bytes = new ByteWriter()
    const kvMetadata = [{ key: OURS, value: LAYOUT }]
    const schema = schemaOf(dimensions)
    const options = { writer: bytes, schema, kvMetadata, createdBy: OURS, statistics: false }
    return new ParquetColumns(bytes, new ParquetWriter(options), dimensions)
  }

  async write(columns: Columns): Promise<Uint8Array[]> {
    this.#group.add(columns)
    return this.#group.isFull ? this.#close() : []
  }

  async end(): Promise<Uint8Array[]> {
    const last = this.#group.rows > 0 ? await this.#close() : []
    await this.#writer.finish()
    return [...last, ...this.#taken()]
  }

  async #close(): Promise<Uint8Array[]> {
    const { rows, text, data, strength, confidence, stub, embeddings } = this.#group
    this.#group = new RowGroup(this.#dimensions)
    const texts = (name: keyof typeof text) => ({ name, data: text[name] })
    const lists = embeddings.map((one) => (one === null ? null : Array.from(one)))
    // A dictionary would take -0 and 0 for the same.
    const floats = { name: 'embedding', data: lists, encoding: 'PLAIN' as const }
    await this.#writer.write({
      rowGroupSize: rows,
      columnData: [
        ...TEXT_BEFORE.map(texts),
        { name: 'data', data },
        { name: 'strength', data: strength },
        { name: 'confidence', data: confidence },
        { name: 'stub', data: stub },
        ...(this.#dimensions > 0 ? [floats] : []),
        ...TEXT_BEHIND.map(texts)
      ]
    })
    return this.#taken()
  }

  /** What was written since the last time; the writer goes on at the beginning of its buffer. */
  #taken(): Uint8Array[] {
    const taken = Uint8Array.from(this.#bytes.getBytes())
    this.#bytes.index = 0
    return taken.length > 0 ? [taken] : []
  }
}

function schemaOf(dimensions: number): SchemaElement[] {
  const text = (name: string): SchemaElement => ({
    ...{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8' },
    repetition_type: name === 'kind' ? 'REQUIRED' : 'OPTIONAL'
  })
  const list: SchemaElement[] = [
    { name: 'embedding', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' }
  ]
  const columns: SchemaElement[] = [
    ...TEXT_BEFORE.map(text),
    { name: 'data', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
    { name: 'strength', type: 'DOUBLE', repetition_type: 'REQUIRED' },
    { name: 'confidence', type: 'DOUBLE', repetition_type: 'REQUIRED' },
    { name: 'stub', type: 'BOOLEAN', repetition_type: 'REQUIRED' },
    ...(dimensions > 0 ? list : []),
    ...TEXT_BEHIND.map(text)
  ]
  const inner = dimensions > 0 ? list.length - 1 : 0
  return [{ name: 'root', num_children: columns.length - inner }, ...columns]
}
