import { decodeMetadata } from '../checks/metadata.ts'
import { BitSet } from '../projections/bit-set.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import { scanConcepts } from '../query/scan.ts'
import { vectorMissing } from '../query/stored-vectors.ts'
import type { ExportOptions } from '../types.ts'
import type { AssociationRow, ConceptRow } from './writer.ts'

/** What an export reads: one state of a store, held by whoever asks for the export. */
export interface ExportSource {
  readonly pinned: Pinned
  /** Numbers of each embedding; 0 where none are declared. */
  readonly dimensions: number
  /** Vectors of that state by their revisions. */
  vectors(revisions: readonly number[]): Promise<(Float32Array | undefined)[]>
  /** Throws once the view or its store has been closed. */
  assertOpen(): void
}

/** The rows of one state, read in blocks as they are asked for. */
export class ExportRows {
  readonly #source: ExportSource
  readonly #types: ReadonlySet<string> | undefined
  readonly #withVectors: boolean
  /** Ordinals of what was exported: an association to anything else would lead nowhere. */
  readonly #exported: BitSet | undefined
  readonly #hasLateKeys: boolean

  constructor(source: ExportSource, { types, vectors = true }: ExportOptions) {
    const { pinned, dimensions } = source
    this.#source = source
    this.#types = types && new Set(types)
    this.#withVectors = vectors && dimensions > 0
    this.#exported = types && new BitSet()
    const { snapshot, segments } = pinned
    this.#hasLateKeys = snapshot.counts().lateKeys > 0 || segments.some((one) => one.lateKeys > 0)
  }

  /** In the order in which they were first learned. */
  async *concepts(): AsyncGenerator<Iterable<ConceptRow>, void> {
    for await (const states of this.#blocks()) {
      const vectors = await this.#vectorsOf(states)
      for (const { ordinal } of states) this.#exported?.add(ordinal)
      yield conceptRows(states, vectors)
    }
  }

  /** Each once, from its source, sources in the order of `concepts`. Take these after those. */
  async *associations(): AsyncGenerator<Iterable<AssociationRow>, void> {
    for await (const states of this.#blocks()) yield this.#associationsOf(states)
  }

  async *#blocks(): AsyncGenerator<readonly ConceptState[], void> {
    const types = this.#types
    for await (const states of scanConcepts(this.#source.pinned)) {
      this.#source.assertOpen()
      if (types === undefined) yield states
      else yield states.filter(({ type }) => type !== undefined && types.has(type))
    }
  }

  async #vectorsOf(
    states: readonly ConceptState[]
  ): Promise<ReadonlyMap<number, Float32Array> | undefined> {
    if (!this.#withVectors) return undefined
    const embedded = states.filter(({ revision }) => revision > 0)
    const found = new Map<number, Float32Array>()
    if (embedded.length === 0) return found
    const vectors = await this.#source.vectors(embedded.map(({ revision }) => revision))
    for (const [i, { id, ordinal, revision }] of embedded.entries()) {
      const vector = vectors[i]
      if (vector === undefined) throw vectorMissing({ id, revision })
      found.set(ordinal, vector)
    }
    return found
  }

  *#associationsOf(states: readonly ConceptState[]): Generator<AssociationRow, void> {
    const { pinned } = this.#source
    for (const { ordinal, id, key } of states) {
      for (const state of pinned.associations({ ordinal, id, key }, 'out')) {
        if (this.#exported?.has(state.target.ordinal) !== false) {
          yield this.#associationRow(state, key)
        }
      }
    }
  }

  #associationRow(state: AssociationState, sourceKey: string | undefined): AssociationRow {
    const { source, target, name, key, strength, confidence } = state
    // Pages do not learn of a key that a concept got after it was associated with.
    const mayBeLate = target.key === undefined && this.#hasLateKeys
    const late = mayBeLate ? this.#source.pinned.concept(target.ordinal)?.key : undefined
    return {
      source: { id: source.id, key: sourceKey },
      target: { id: target.id, key: target.key ?? late },
      type: name,
      key,
      strength,
      confidence,
      metadata: metadataOf(state)
    }
  }
}

function* conceptRows(
  states: readonly ConceptState[],
  vectors: ReadonlyMap<number, Float32Array> | undefined
): Generator<ConceptRow, void> {
  for (const state of states) {
    const { id, key, type, content, data, strength, confidence, stub } = state
    yield {
      id,
      key,
      type,
      content,
      data,
      strength,
      confidence,
      metadata: metadataOf(state),
      embedding: vectors && (vectors.get(state.ordinal) ?? null),
      stub
    }
  }
}

function metadataOf({
  metadata
}: ConceptState | AssociationState): Record<string, unknown> | undefined {
  return metadata && decodeMetadata(metadata)
}
