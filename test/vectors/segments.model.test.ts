import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { VectorsClient } from '#sutra/projections/vectors/client.js'
import { emptyManifest, filesOf, readManifest } from '#sutra/projections/vectors/manifest.js'
import { VectorPool } from '#sutra/projections/vectors/pool.js'
import {
  catchUp,
  DECLARED,
  nearestOf,
  type Row,
  until,
  VectorsFixture
} from '../projections/vectors-fixture.ts'
import { Random } from '../support/random.ts'
import { watchWorkers } from './dying-pool.ts'

/** So many that a graph is made of 341 rows: segments are small, and there are many of them. */
const DIMENSIONS = 384
const SEGMENT_ROWS = 350
const STEPS = 60
const declaration = { ...DECLARED, dimensions: DIMENSIONS }

test('an index of many segments agrees with brute force, whatever happens', async () => {
  const random = new Random()
  await using fixture = await VectorsFixture.create(random.seed)
  const run = new Run(random, fixture)
  try {
    await run.open()
    await run.learn(1000)
    for (let step = 0; step < STEPS; step++) await run.step()
    await run.end()
  } catch (cause) {
    throw new Error(`With SUTRA_TEST_SEED=${random.seed}, after ${run.steps.join(', ')}`, { cause })
  }
})

interface Pinned {
  pin: ReturnType<VectorsClient['pin']>
  position: number
  rows: readonly Row[]
}

class Run {
  readonly steps: string[] = []
  readonly #random: Random
  readonly #fixture: VectorsFixture
  readonly #workers = watchWorkers()
  readonly #dead = new Set<number>()
  readonly #recalls: number[] = []
  #client: VectorsClient | undefined
  #pins: Pinned[] = []

  constructor(random: Random, fixture: VectorsFixture) {
    this.#random = random
    this.#fixture = fixture
  }

  async open(): Promise<void> {
    const cacheBytes = this.#random.pick([0, 5_000_000, 64_000_000])
    // A pool of its own: what it loses is no other test's loss.
    const pool = new VectorPool()
    const options = { declaration, segmentRows: SEGMENT_ROWS, cacheBytes, pool }
    const client = await this.#fixture.start(options)
    client.follow({
      vectors: () => this.#fixture.rows.length - this.#dead.size,
      bury: async (segment, { from, to }) => {
        for (let row = from; row < to; row++) {
          const isDead = this.#dead.has(segment.ids.revisionAt(row))
          if (isDead) segment.bury(row, this.#fixture.head)
        }
        return true
      }
    })
    this.#fixture.tell(client)
    this.#client = client
  }

  async learn(count: number): Promise<void> {
    const perFrame = this.#random.pick([1, 7, 100])
    await this.#fixture.learn(count, { dimensions: DIMENSIONS, perFrame })
  }

  async step(): Promise<void> {
    const head = this.#fixture.head
    const steps: [string, number, () => Promise<unknown>][] = [
      ['learn', 6, async () => this.learn(1 + this.#random.below(150))],
      ['learn untold', 2, async () => this.#learnUntold()],
      ['forget', 3, async () => this.#forget()],
      ['search', 6, async () => this.#search()],
      ['search while learning', 3, async () => this.#searchWhileLearning()],
      ['pin', 2, async () => this.#pin()],
      ['search pins', 3, async () => this.#searchPins()],
      ['project', 3, async () => this.#open.project(head)],
      ['catch up', 2, async () => catchUp(this.#open, head)],
      ['save', 2, async () => this.#open.save(head)],
      ['save an older state', 1, async () => this.#open.save(this.#random.below(head))],
      ['save while others are built', 3, async () => this.#saveMeanwhile()],
      ['end a worker', 2, async () => this.#endWorker()],
      ['reopen', 2, async () => this.#reopen()]
    ]
    const choices = steps.flatMap((step) => new Array<typeof step>(step[1]).fill(step))
    const [name, , work] = this.#random.pick(choices)
    this.steps.push(name)
    await work()
  }

  async end(): Promise<void> {
    await this.#searchPins()
    await catchUp(this.#open, this.#fixture.head)
    await this.#open.save(this.#fixture.head)
    await this.#expectNoOrphans()
    await this.#reopen()
    await this.#search()
    expect((await this.#open.check()).problems).toEqual([])
    const mean = this.#recalls.reduce((sum, one) => sum + one, 0) / this.#recalls.length
    expect(mean).toBeGreaterThan(0.95)
    expect(this.#fixture.types()).not.toContain('damage-found')
  }

  get #open(): VectorsClient {
    if (this.#client === undefined) throw new Error('The index is not open')
    return this.#client
  }

  /** The client must find these in the log. */
  async #learnUntold(): Promise<void> {
    this.#fixture.untell(this.#open)
    await this.learn(1 + this.#random.below(30))
    this.#fixture.tell(this.#open)
  }

  async #forget(): Promise<void> {
    const { rows } = this.#fixture
    const all = Array.from({ length: this.#random.below(400) }, () =>
      this.#random.below(rows.length)
    )
    // From that position on, and not before, nobody asks for them.
    await this.#fixture.append([this.#fixture.forgotten(all[0] ?? 0)])
    for (const at of all) this.#dead.add(1 + at)
  }

  async #search(): Promise<void> {
    // Dead ones may be found, or not any more: whoever asks knows them.
    await this.#compare([...this.#fixture.rows], this.#fixture.head, undefined)
  }

  async #searchWhileLearning(): Promise<void> {
    const [rows, position] = [[...this.#fixture.rows], this.#fixture.head]
    await Promise.all([this.learn(20), this.#compare(rows, position, undefined)])
  }

  async #compare(
    rows: readonly Row[],
    position: number,
    pin: Pinned['pin'] | undefined
  ): Promise<void> {
    const dead = pin === undefined ? new Set(this.#dead) : new Set<number>()
    const live = rows.filter(({ revision }) => !dead.has(revision))
    const common = { position, ...(pin && { pin }) }
    const query = this.#fixture.randomVector(DIMENSIONS)
    const counts = (revision: number): boolean => revision <= rows.length && !dead.has(revision)

    const exact = await this.#open.search(query, { ...common, k: 20_000, exact: true })
    const expected = nearestOf(live, query, 20_000)
    expect([...exact.revisions].filter(counts)).toEqual(expected)
    expect(exact.exhausted).toBe(true)
    const found = await this.#open.search(query, { ...common, k: 100, ef: 256 })
    const best = expected.slice(0, 10)
    const hits = found.revisions.filter((one) => best.includes(one)).length
    this.#recalls.push(hits / best.length)
    const { revision, vector } = this.#random.pick(live)
    expect(await this.#open.vectors([revision], common)).toEqual([vector])
  }

  async #pin(): Promise<void> {
    // A view reads what the index holds by then, and its position is not beyond that.
    await this.#open.vectors([], { position: this.#fixture.head })
    const live = this.#fixture.rows.filter(({ revision }) => !this.#dead.has(revision))
    this.#pins.push({ pin: this.#open.pin(), position: this.#fixture.head, rows: live })
  }

  async #searchPins(): Promise<void> {
    for (const { pin, position, rows } of this.#pins) {
      const query = this.#fixture.randomVector(DIMENSIONS)
      const { revisions } = await this.#open.search(query, {
        k: 20_000,
        exact: true,
        position,
        pin
      })
      const among = new Set(rows.map(({ revision }) => revision))
      expect([...revisions].filter((one) => among.has(one))).toEqual(nearestOf(rows, query, 20_000))
    }
  }

  async #saveMeanwhile(): Promise<void> {
    const { head } = this.#fixture
    const learning = this.learn(1 + this.#random.below(400))
    await Promise.all([learning, this.#open.save(head), this.#open.project(head)])
    await Promise.all([this.#open.save(head), catchUp(this.#open, this.#fixture.head)])
  }

  /** Nothing is left of what was merged, or written again: the next open has nothing to sweep. */
  async #expectNoOrphans(): Promise<void> {
    for (const { pin } of this.#pins.splice(0)) this.#open.unpin(pin)
    const { vectorsDirectory: directory, storeId } = this.#fixture
    const expected = emptyManifest(storeId.toString('hex'), declaration)
    let stray: string[] = []
    try {
      await until(async () => {
        await this.#open.save(this.#fixture.head)
        const manifest = await readManifest(directory, expected)
        const named = manifest?.segments.flatMap(filesOf).map(({ name }) => name) ?? []
        stray = (await readdir(directory)).filter((name) => !['MANIFEST', ...named].includes(name))
        return stray.length === 0
      })
    } catch (cause) {
      throw new Error(`No manifest names ${stray.join()}`, { cause })
    }
  }

  async #endWorker(): Promise<void> {
    const searching = this.#search()
    const worker = this.#workers.splice(this.#random.below(this.#workers.length), 1)[0]
    await worker?.terminate()
    await searching
  }

  /** Without a save first, as after a crash, or with one. */
  async #reopen(): Promise<void> {
    for (const { pin } of this.#pins.splice(0)) this.#open.unpin(pin)
    await this.#fixture.stop(this.#open)
    this.#workers.length = 0
    await this.open()
  }
}
