/**
 * Random commits, views, restarts, rebuilds and versions, with batches of any size: the rows are
 * always those of a plain fold of the log in memory.
 */
import { type Command, isStoreError, type Store, type StoredEvent, type View } from 'sutra-storage'
import { expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'
import { asRecord, modelOf, type TallyDefinition, tally } from './tally.ts'

const ROUNDS = Number(process.env['SUTRA_MODEL_ROUNDS'] ?? 3)
const STEPS = 60
const KEYS = 12

test.for(Array.from({ length: ROUNDS }, (_, round) => round))('round %i', async (round) => {
  const random = new Random()
  const seed = random.seed + round
  try {
    await new Run(new Random(seed)).run()
  } catch (cause) {
    throw new Error(`With SUTRA_TEST_SEED=${seed} and the first round`, { cause })
  }
})

class Run {
  readonly #random: Random
  #definition: TallyDefinition = tally(1)
  #version = 1
  readonly #views: View[] = []

  constructor(random: Random) {
    this.#random = random
  }

  async run(): Promise<void> {
    const random = this.#random
    await using temporary = await openTemporaryStore(this.#options())
    for (let step = 0; step < STEPS; step++) {
      const at = random.next()
      const { store } = temporary
      if (at < 0.5) await this.#commit(store)
      else if (at < 0.62) this.#views.push(await store.view())
      else if (at < 0.74) await this.#checkView(store)
      else if (at < 0.8) await store.caughtUp()
      else if (at < 0.84) await store.rebuild({ projections: ['tally'] })
      else if (at < 0.92) await this.#checkHead(store)
      else await this.#reopen(temporary.reopen)
    }
    await this.#closeViews()
    await this.#checkHead(temporary.store)
    // A rebuild would wait for another version that is being built, and that has other rows.
    const { projections } = temporary.store
    if (projections.list()[0]?.build !== undefined) await projections.cancel('tally')
    const before = await temporary.store.projections.hash('tally')
    await temporary.store.rebuild({ projections: ['tally'] })
    expect(await temporary.store.projections.hash('tally')).toEqual(before)
  }

  #options() {
    const random = this.#random
    return {
      projections: [this.#definition],
      pipeline: { batchEventsMax: random.pick([1, 2, 3, 10, 20_000]) }
    }
  }

  async #commit(store: Store): Promise<void> {
    const random = this.#random
    const commands = Array.from({ length: 1 + random.below(6) }, () => this.#command())
    const durability = random.pick(['fsync', 'os', 'interval'] as const)
    try {
      await store.commit(commands, { durability })
    } catch (error) {
      // Forgotten, or never learned: what is drawn at random may not be there.
      if (!isStoreError(error, 'CONCEPT_NOT_FOUND')) throw error
    }
  }

  #command(): Command {
    const random = this.#random
    const id = () => ({ key: `k${random.below(KEYS)}` })
    const at = random.next()
    if (at < 0.6) return { do: 'learn', id: id(), content: `${random.next()}` }
    if (at < 0.8) return { do: 'associate', source: id(), target: id(), type: 'knows' }
    if (at < 0.9) return { do: 'reinforce', target: id(), strength: random.next() }
    return { do: 'forget', id: id() }
  }

  async #checkHead(store: Store): Promise<void> {
    const { head } = store
    const rows = asRecord(await store.projection(this.#definition).all())
    // Nobody writes meanwhile; while another version is built, the older one may answer.
    await this.#expectModel(store, head, rows)
  }

  async #checkView(store: Store): Promise<void> {
    if (this.#views.length === 0) return
    const at = this.#random.below(this.#views.length)
    const view = this.#views[at]
    if (view === undefined) return
    const rows = asRecord(await view.projection(this.#definition).all())
    await this.#expectModel(store, view.position, rows)
    if (this.#random.below(2) > 0) return
    this.#views.splice(at, 1)
    await view.close()
  }

  async #expectModel(
    store: Store,
    position: number,
    rows: ReturnType<typeof asRecord>
  ): Promise<void> {
    // A log has no position 0 to read up to.
    const events = store.events(position === 0 ? { from: 1e9 } : { to: position })
    const all: StoredEvent[] = []
    for await (const event of events) all.push(event)
    const models = [1, 2, 3].map(async (version) => modelOf(streamOf(all), version))
    expect(await Promise.all(models)).toContainEqual(rows)
  }

  async #reopen(reopen: (options: object) => Promise<Store>): Promise<void> {
    await this.#closeViews()
    const random = this.#random
    if (random.below(2) > 0) {
      const next = random.pick([1, 2, 3])
      const previous = this.#version < next ? { previous: this.#definition } : {}
      const promote = random.pick(['auto', 'manual'] as const)
      // A build that was begun is gone on with, or given up for another.
      this.#definition = tally(next, random.below(3) > 0 ? { ...previous, promote } : {})
      this.#version = next
    }
    await reopen(this.#options())
  }

  async #closeViews(): Promise<void> {
    for (const view of this.#views.splice(0)) await view.close()
  }
}

async function* streamOf<T>(members: readonly T[]): AsyncGenerator<T> {
  yield* members
}
