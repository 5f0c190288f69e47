/**
 * The vector index as readers see it. Damage of its files heals by making them anew from the log,
 * and who met it asks again, without hearing of it.
 */
import { ioFailed, isStoreError, StoreError } from '../errors.ts'
import type { Candidates, VectorsClient, VectorsPin } from '../projections/vectors/client.ts'
import { IndexDamage } from '../projections/vectors/index-files.ts'
import type { VectorIndexReader } from '../query/search.ts'
import type { Engine } from './engine.ts'
import type { HeldIndex } from './index-holds.ts'
import { restartVectors } from './rebuild.ts'

/** An index made anew that is damaged again: there is more wrong than its files. */
const ATTEMPTS = 3

export class VectorAccess implements VectorIndexReader {
  readonly #engine: Engine
  readonly #held: HeldIndex | undefined

  constructor(engine: Engine, held: HeldIndex | undefined) {
    this.#engine = engine
    this.#held = held
  }

  async search(
    query: Float32Array,
    options: Parameters<VectorIndexReader['search']>[1]
  ): Promise<Candidates> {
    return this.#ask('search', async (client, pin) => {
      return client.search(query, { ...options, ...pin })
    })
  }

  async among(
    query: Float32Array,
    options: Parameters<VectorIndexReader['among']>[1]
  ): Promise<Candidates> {
    return this.#ask('search', async (client, pin) => {
      return client.among(query, { ...options, ...pin })
    })
  }

  async vectors(
    revisions: readonly number[],
    position: number
  ): Promise<(Float32Array | undefined)[]> {
    return this.#ask('vectors', async (client, pin) => {
      return client.vectors(revisions, { position, ...pin })
    })
  }

  async #ask<T>(
    operation: string,
    work: (client: VectorsClient, pin: { pin?: VectorsPin }) => Promise<T>
  ): Promise<T> {
    let damaged = 0
    for (;;) {
      const client = await this.#engine.vectorsClient()
      try {
        const held = this.#held
        const pin = held?.client === client ? held.pin : undefined
        // An index made anew has every vector of the log, and leaves none out while somebody is older.
        return await work(client, pin === undefined ? {} : { pin })
      } catch (error) {
        // A rebuild, or somebody else who met damage, puts another index in the place of this one.
        const { closing, parts } = this.#engine
        const isReplaced = !closing.signal.aborted && parts.vectors !== client
        if (isReplaced && isStoreError(error, 'STORE_CLOSED')) continue
        // What the system refuses for now is no reason to make all of it anew.
        if (!(error instanceof IndexDamage)) throw ioFailed(error, operation)
        damaged += 1
        if (damaged === ATTEMPTS) throw unavailable(error)
        await restartVectors(this.#engine, client)
      }
    }
  }
}

function unavailable(cause: IndexDamage): StoreError<'VECTORS_UNAVAILABLE'> {
  const reason = cause.message
  return new StoreError(
    'VECTORS_UNAVAILABLE',
    `Vectors cannot be used: ${reason}`,
    { reason },
    { cause }
  )
}
