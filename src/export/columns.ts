/** Records as columns, on their way to the thread that packs them. */
import type { AssociationRow, ConceptRow, ExportEnd } from './writer.ts'

/** Columns of text, in the order in which a file has them. */
export const TEXT_BEFORE = ['kind', 'id', 'key', 'type', 'content', 'metadata'] as const
export const TEXT_BEHIND = ['source', 'sourceKey', 'target', 'targetKey'] as const
export type TextName = (typeof TEXT_BEFORE)[number] | (typeof TEXT_BEHIND)[number]

export type Texts = (string | null)[]

/** Some records, concepts before associations. What no record has is `undefined` or empty. */
export interface Columns {
  readonly rows: number
  readonly text: Readonly<Partial<Record<TextName, Texts>>>
  readonly data: readonly (Uint8Array | null)[] | undefined
  readonly strength: Float64Array
  readonly confidence: Float64Array
  readonly stub: Uint8Array
  /** The embeddings of those rows that have one, one behind the other. */
  readonly floats: Float32Array
  readonly hasEmbedding: Uint8Array
}

/** Under this name in the metadata of a file, an export says that it is one, and of which layout. */
export const OURS = 'sutra-storage'
export const LAYOUT = '1'

/** Records of one message to the other thread: few enough that cloning them is a short stretch. */
const ROWS = 1000
const BYTES = 1024 * 1024
const ROW_BYTES = 100

/** Gathers records until there are enough to be sent. */
export class ColumnsBuilder {
  readonly #dimensions: number
  #rows = 0
  #bytes = 0
  #text: Partial<Record<TextName, Texts>> = {}
  #data: (Uint8Array | null)[] | undefined
  #strength = new Float64Array(ROWS)
  #confidence = new Float64Array(ROWS)
  #stub = new Uint8Array(ROWS)
  #hasEmbedding = new Uint8Array(ROWS)
  #embeddings: Float32Array[] = []

  constructor(dimensions: number) {
    this.#dimensions = dimensions
  }

  get isFull(): boolean {
    return this.#rows === ROWS || this.#bytes >= BYTES
  }

  concept(row: ConceptRow): void {
    const { id, key, type, content, data, embedding, stub } = row
    this.#put('kind', 'concept')
    this.#putEnd(row, 'id', 'key')
    if (type !== undefined) this.#put('type', type)
    this.#put('content', content)
    if (data !== undefined) {
      this.#data ??= new Array<null>(this.#rows).fill(null)
      this.#data[this.#rows] = data
    }
    if (stub) this.#stub[this.#rows] = 1
    if (embedding) {
      this.#hasEmbedding[this.#rows] = 1
      this.#embeddings.push(embedding)
    }
    this.#bytes += content.length + (key ?? id).length + (data?.length ?? 0)
    this.#bytes += embedding?.byteLength ?? 0
    this.#end(row)
  }

  association(row: AssociationRow): void {
    this.#put('kind', 'association')
    this.#put('type', row.type)
    if (row.key !== undefined) this.#put('key', row.key)
    this.#putEnd(row.source, 'source', 'sourceKey')
    this.#putEnd(row.target, 'target', 'targetKey')
    this.#end(row)
  }

  /** What was gathered since the last call. */
  take(): Columns {
    const rows = this.#rows
    const floats = new Float32Array(this.#embeddings.length * this.#dimensions)
    for (const [i, embedding] of this.#embeddings.entries()) {
      floats.set(embedding, i * this.#dimensions)
    }
    for (const texts of Object.values(this.#text)) fillUp(texts, rows)
    if (this.#data !== undefined) fillUp(this.#data, rows)
    const columns = {
      rows,
      text: this.#text,
      data: this.#data,
      strength: this.#strength.slice(0, rows),
      confidence: this.#confidence.slice(0, rows),
      stub: this.#stub.slice(0, rows),
      floats,
      hasEmbedding: this.#hasEmbedding.slice(0, rows)
    }
    this.#rows = 0
    this.#bytes = 0
    this.#text = {}
    this.#data = undefined
    this.#embeddings = []
    this.#stub.fill(0)
    this.#hasEmbedding.fill(0)
    return columns
  }

  #putEnd({ id, key }: ExportEnd, idName: TextName, keyName: TextName): void {
    if (key === undefined) this.#put(idName, id)
    else this.#put(keyName, key)
  }

  #put(name: TextName, value: string): void {
    this.#text[name] ??= []
    const texts = this.#text[name]
    fillUp(texts, this.#rows)
    texts.push(value)
  }

  #end({ strength, confidence, metadata }: ConceptRow | AssociationRow): void {
    if (metadata !== undefined) {
      const text = JSON.stringify(metadata)
      this.#put('metadata', text)
      this.#bytes += text.length
    }
    this.#strength[this.#rows] = strength
    this.#confidence[this.#rows] = confidence
    this.#rows += 1
    this.#bytes += ROW_BYTES
  }
}

function fillUp(values: unknown[], length: number): void {
  while (values.length < length) values.push(null)
}
