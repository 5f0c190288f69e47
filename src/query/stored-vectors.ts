import { StoreError } from '../errors.ts'
import type { ConceptState } from '../projections/state.ts'
import type { Concept } from '../types.ts'
import type { VectorIndexReader } from './search.ts'

/** The vectors of one state, as they were given. The index is asked for only where one is wanted. */
export class StoredVectors {
  readonly #index: (operation: string) => VectorIndexReader
  readonly #position: number

  constructor(index: (operation: string) => VectorIndexReader, position: number) {
    this.#index = index
    this.#position = position
  }

  /** The vector of a concept that has one. */
  async of(state: ConceptState): Promise<Float32Array> {
    const [vector] = await this.#index('vector').vectors([state.revision], this.#position)
    if (vector === undefined) throw vectorMissing(state)
    return vector
  }

  /** By their revisions. A property, because it is handed on. */
  readonly at = async (revisions: readonly number[]): Promise<(Float32Array | undefined)[]> =>
    revisions.length === 0 ? [] : this.#index('vectors').vectors(revisions, this.#position)

  /** Gives each concept the vector that its state names. */
  async addTo(
    concepts: readonly (Concept | undefined)[],
    states: readonly (ConceptState | undefined)[]
  ): Promise<void> {
    const embedded = states.map((state, i) => ({ state, concept: concepts[i] }))
    const wanted = embedded.filter(({ state }) => (state?.revision ?? 0) > 0)
    const vectors = await this.at(wanted.map(({ state }) => state?.revision ?? 0))
    for (const [i, { concept, state }] of wanted.entries()) {
      const vector = vectors[i]
      if (state !== undefined && vector === undefined) throw vectorMissing(state)
      if (concept !== undefined && vector !== undefined) concept.vector = vector
    }
  }
}

/** A concept without the vector that its state names would be another concept. */
export function vectorMissing({
  id,
  revision
}: Pick<ConceptState, 'id' | 'revision'>): StoreError<'VECTORS_UNAVAILABLE'> {
  const reason = `revision ${revision} of concept ${id} is missing`
  const message = 'The index lacks a vector that a concept names'
  return new StoreError('VECTORS_UNAVAILABLE', message, { reason })
}
