import type { ConceptId } from '../ids.ts'

/** One end of an association: the key that a caller gave says more than the id made of it. */
export interface ExportEnd {
  readonly id: ConceptId
  readonly key: string | undefined
}

/** A concept as a format writes it. */
export interface ConceptRow extends ExportEnd {
  readonly type: string | undefined
  /** Empty for a stub alone. */
  readonly content: string
  readonly data: Uint8Array | undefined
  readonly strength: number
  readonly confidence: number
  /** `undefined` where there is none. */
  readonly metadata: Record<string, unknown> | undefined
  /**
   * `null`: it has none, though its store has vectors. A format that can say so does, or a store
   * that embeds what it learns would give it one. `undefined`: not to be written.
   */
  readonly embedding: Float32Array | null | undefined
  readonly stub: boolean
}

export interface AssociationRow {
  readonly source: ExportEnd
  readonly target: ExportEnd
  readonly type: string
  /** Tells parallel associations apart. */
  readonly key: string | undefined
  readonly strength: number
  readonly confidence: number
  readonly metadata: Record<string, unknown> | undefined
}

/** A format of text: what the calls return is the file, in this order, as UTF-8. */
export interface TextWriter {
  /** Called once, first. */
  head(): string
  /** All concepts come before all associations, in the order in which they were first learned. */
  concept(row: ConceptRow): string
  association(row: AssociationRow): string
  /** Called once, last. */
  tail(): string
}

/** Any format: takes rows in until it is full, then gives out what is complete. */
export interface Encoder {
  concept(row: ConceptRow): void
  association(row: AssociationRow): void
  /** Whether `take` is due, so that memory stays bounded. */
  readonly isFull: boolean
  /** Bytes of what came in since the last call. */
  take(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /** The rest of the file. Called once, last. */
  end(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /** Called on every path, also when the file is not written to its end. */
  close(): Promise<void>
}
