import type { AssociationRow, ConceptRow, Encoder, TextWriter } from './writer.ts'

/** Characters of one chunk, about: a chunk costs its reader a promise and a write. */
const CHUNK_CHARACTERS = 128 * 1024

/** Gathers the text of records into chunks of bytes. */
export class TextChunks implements Encoder {
  readonly #writer: TextWriter
  #text: string

  constructor(writer: TextWriter) {
    this.#writer = writer
    this.#text = writer.head()
  }

  get isFull(): boolean {
    return this.#text.length >= CHUNK_CHARACTERS
  }

  concept(row: ConceptRow): void {
    this.#text += this.#writer.concept(row)
  }

  association(row: AssociationRow): void {
    this.#text += this.#writer.association(row)
  }

  *take(): Generator<Uint8Array, void> {
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    yield Buffer.from(text)
  }

  *end(): Generator<Uint8Array, void> {
    this.#text += this.#writer.tail()
    yield* this.take()
  }

  /** Nothing is held but the text. */
  async close(): Promise<void> {}
}
