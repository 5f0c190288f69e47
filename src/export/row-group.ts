import { type Columns, TEXT_BEFORE, TEXT_BEHIND, type TextName, type Texts } from './columns.ts'

/** Rows of a row group or a record batch, at most … */
const ROWS = 65_536
/** … and bytes, about: what a reader has to unpack at a time. */
const BYTES = 8 * 1024 * 1024

/** Columns of several messages, put together for a row group or a record batch. */
export class RowGroup {
  rows = 0
  readonly text: Readonly<Record<TextName, Texts>> = emptyTexts()
  readonly data: (Uint8Array | null)[] = []
  readonly strength: number[] = []
  readonly confidence: number[] = []
  readonly stub: boolean[] = []
  /** Of each row. */
  readonly embeddings: (Float32Array | null)[] = []
  readonly #dimensions: number
  #bytes = 0

  constructor(dimensions: number) {
    this.#dimensions = dimensions
  }

  get isFull(): boolean {
    return this.rows >= ROWS || this.#bytes >= BYTES
  }

  add({ rows, text, data, strength, confidence, stub, floats, hasEmbedding }: Columns): void {
    for (const name of [...TEXT_BEFORE, ...TEXT_BEHIND]) {
      const texts = text[name]
      for (let i = 0; i < rows; i++) {
        const value = texts?.[i] ?? null
        this.text[name].push(value)
        this.#bytes += value?.length ?? 0
      }
    }
    let at = 0
    for (let i = 0; i < rows; i++) {
      this.data.push(data?.[i] ?? null)
      this.#bytes += data?.[i]?.length ?? 0
      this.strength.push(strength[i] ?? 1)
      this.confidence.push(confidence[i] ?? 1)
      this.stub.push(stub[i] === 1)
      if (hasEmbedding[i] === 1) {
        this.embeddings.push(floats.subarray(at, at + this.#dimensions))
        at += this.#dimensions
      } else this.embeddings.push(null)
    }
    this.rows += rows
    this.#bytes += floats.byteLength
  }
}

function emptyTexts(): Record<TextName, Texts> {
  return {
    ...{ kind: [], id: [], key: [], type: [], content: [], metadata: [] },
    ...{ source: [], sourceKey: [], target: [], targetKey: [] }
  }
}
