/**
 * Searches against brute force at the position of their view, with segments so small that tails, graphs,
 * merges and dead rows meet in every run.
 */
import fc from 'fast-check'
import {
  type Command,
  type Match,
  open,
  type Reader,
  type Store,
  type View,
  type Where
} from 'sutra-storage'
import { expect, test } from 'vitest'
import { VectorsClient } from '#sutra/projections/vectors/client.js'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { type Metric, similarityOf } from './clusters.ts'

const DIMENSIONS = 6
const KEYS = 260
/** `npm run test:crash` makes more. */
const RUNS = Number(process.env['SUTRA_SEARCH_RUNS'] ?? 10)
const LANGS = ['en', 'de', 'sa']
const QUANTIZATIONS = ['f32', 'f16', 'bf16', 'i8'] as const
const METRICS = ['cosine', 'ip', 'l2sq'] as const

interface Known {
  vector: Float32Array | undefined
  lang: string
  n: number
}
type State = ReadonlyMap<string, Known>

// Only here may segments be so small: a store chooses by what a graph takes.
const start = VectorsClient.start.bind(VectorsClient)
VectorsClient.start = async (options) => start({ ...options, segmentRows: 96 })

/** How often each, and how much of it at least and at most. */
const STEPS = {
  learn: [5, 1, 90],
  churn: [5, 20, 60],
  forget: [2, 1, 60],
  clear: [1, 1, 20],
  view: [2, 1, 1],
  'close view': [1, 0, 5],
  search: [6, 1, 4],
  'search beside churn': [2, 20, 60],
  settle: [2, 1, 1],
  reopen: [1, 1, 1]
} as const
type What = keyof typeof STEPS
// Names and values of a constant object, whose types `Object.entries` forgets.
const entries = Object.entries(STEPS) as [What, (typeof STEPS)[What]][]
const step = fc.oneof(
  ...entries.map(([name, [weight, min, max]]) => {
    const count = fc.integer({ min, max })
    return { weight, arbitrary: fc.record({ do: fc.constant(name), count }) }
  })
)

test(
  'searches agree with brute force at the position of their view',
  async () => {
    const { seed } = new Random()
    const recalls: number[] = []
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 8, maxLength: 15 }),
      fc.constantFrom(...METRICS),
      fc.constantFrom(...QUANTIZATIONS),
      fc.nat(),
      async (steps, metric, quantization, chance) => {
        const run = new Run(new Random(chance), metric, recalls)
        await run.open(await temporaryPath(), quantization)
        try {
          for (const one of steps) await run.do(one.do, one.count)
          await run.do('settle', 1)
          await run.do('search', 4)
        } finally {
          await run.end()
        }
      }
    )
    await fc.assert(property, { numRuns: RUNS, seed, endOnFailure: true })
    expect(recalls.reduce((sum, one) => sum + one, 0) / recalls.length).toBeGreaterThan(0.95)
  },
  RUNS * 20_000
)

class Run {
  readonly #random: Random
  readonly #metric: Metric
  readonly #recalls: number[]
  #directory = ''
  #store: Store | undefined
  #newest = new Map<string, Known>()
  #views: { view: View; state: State }[] = []
  #count = 0

  constructor(random: Random, metric: Metric, recalls: number[]) {
    this.#random = random
    this.#metric = metric
    this.#recalls = recalls
  }

  async open(directory: string, quantization: (typeof QUANTIZATIONS)[number]): Promise<void> {
    this.#directory = directory
    const indexes = { lang: 'string' } as const
    const vectors = { dimensions: DIMENSIONS, metric: this.#metric, quantization }
    this.#store = await open(directory, { durability: 'os', indexes, vectors })
  }

  async end(): Promise<void> {
    for (const { view } of this.#views) await view.close()
    await this.#store?.close()
  }

  async do(what: What, count: number): Promise<void> {
    switch (what) {
      case 'learn':
        return this.#change(Array.from({ length: count }, () => this.#random.below(KEYS)))
      case 'churn':
        return this.#churn(count)
      case 'forget':
        return this.#forget(count)
      case 'clear':
        return this.#clear(count)
      case 'view':
        this.#views.push({ view: await this.#open.view(), state: new Map(this.#newest) })
        return
      case 'close view':
        await this.#views.splice(count % (this.#views.length + 1), 1)[0]?.view.close()
        return
      case 'search':
        for (let at = 0; at < count; at++) await this.#searchAnywhere()
        return
      case 'search beside churn':
        await this.#searchBeside(count)
        return
      case 'settle':
        await this.#open.caughtUp()
        await this.#open.checkpoint()
        return
      case 'reopen':
        for (const { view } of this.#views.splice(0)) await view.close()
        await this.#open.close()
        this.#store = await open(this.#directory, { durability: 'os' })
    }
  }

  get #open(): Store {
    if (this.#store === undefined) throw new Error('The store is not open')
    return this.#store
  }

  /** Learned, or learned anew, in one commit. */
  async #change(keys: readonly number[]): Promise<void> {
    const commands = keys.map((number): Command => {
      const key = `k${number}`
      const known: Known = {
        vector: this.#vector(),
        lang: this.#random.pick(LANGS),
        n: this.#count++ % 50
      }
      this.#newest.set(key, known)
      const { vector, lang, n } = known
      return {
        do: 'learn',
        id: { key },
        content: key,
        embedding: vector ?? null,
        metadata: { lang, n }
      }
    })
    await this.#open.commit(commands)
  }

  /** A few concepts again and again, in commits of one. */
  async #churn(count: number): Promise<void> {
    const first = this.#random.below(KEYS - 12)
    for (let at = 0; at < count; at += 4) {
      const hot = (): number => first + this.#random.below(12)
      await Promise.all([0, 1, 2, 3].map(async () => this.#change([hot()])))
    }
  }

  async #forget(count: number): Promise<void> {
    const keys = this.#random.shuffle([...this.#newest.keys()]).slice(0, count)
    for (const key of keys) this.#newest.delete(key)
    if (keys.length > 0) await this.#open.commit(keys.map((key) => ({ do: 'forget', id: { key } })))
  }

  async #clear(count: number): Promise<void> {
    const keys = this.#random.shuffle([...this.#newest.keys()]).slice(0, count)
    for (const key of keys) {
      const known = this.#newest.get(key)
      if (known !== undefined) this.#newest.set(key, { ...known, vector: undefined })
    }
    const revise = (key: string): Command => ({ do: 'revise', target: { key }, embedding: null })
    if (keys.length > 0) await this.#open.commit(keys.map(revise))
  }

  async #searchAnywhere(): Promise<void> {
    const now = { reader: this.#open as Reader, state: this.#newest as State }
    const views = this.#views.map(({ view, state }) => ({ reader: view as Reader, state }))
    const { reader, state } = this.#random.pick([now, now, ...views])
    await this.#search(reader, state)
  }

  async #searchBeside(count: number): Promise<void> {
    const state = new Map(this.#newest)
    await using view = await this.#open.view()
    const searches = [0, 1, 2, 3].map(async () => this.#search(view, state))
    await Promise.all([this.#churn(count), ...searches])
    await this.#search(view, state)
  }

  async #search(reader: Reader, state: State): Promise<void> {
    const query = this.#vector()
    const k = 1 + this.#random.below(12)
    const exact = this.#random.below(2) === 0
    const { where, passes } = this.#filter()
    const options = { k, exact, ef: 32, ...(where === undefined ? {} : { where }) }
    const found = await reader.search(query, options)

    const right = [...state].flatMap(([key, known]) =>
      known.vector === undefined || !passes(known)
        ? []
        : [{ key, similarity: similarityOf(query, known.vector, this.#metric) }]
    )
    right.sort((a, b) => b.similarity - a.similarity)
    const best = right.slice(0, k)
    const told = JSON.stringify({ ...options, of: right.length, at: reader.position })
    expect(found.length, told).toBe(best.length)
    for (const match of found) this.#expectRight(match, state, query, passes)
    const worst = best.at(-1)?.similarity ?? 0
    const isClose = (one: Match): boolean => (one.similarity ?? 0) >= worst - slack(worst)
    const hits = found.filter(isClose).length
    if (exact) expect(hits, told).toBe(best.length)
    if (best.length > 0) this.#recalls.push(hits / best.length)
  }

  /** It lives at the position, passes, and is as similar as it says. */
  #expectRight(
    match: Match,
    state: State,
    query: Float32Array,
    passes: (known: Known) => boolean
  ): void {
    const known = state.get(match.key ?? '')
    expect(known?.vector, match.key).toBeDefined()
    if (known?.vector === undefined) return
    expect(passes(known)).toBe(true)
    const right = similarityOf(query, known.vector, this.#metric)
    expect(Math.abs((match.similarity ?? 0) - right)).toBeLessThanOrEqual(slack(right))
  }

  #filter(): { where: Where | undefined; passes: (known: Known) => boolean } {
    const lang = this.#random.pick(LANGS)
    const below = this.#random.below(52)
    switch (this.#random.below(4)) {
      case 0:
        return { where: { lang }, passes: (known) => known.lang === lang }
      case 1:
        return { where: { n: { lt: below } }, passes: (known) => known.n < below }
      case 2: {
        const where = { and: [{ lang: { ne: lang } }, { n: { gte: below } }] }
        return { where, passes: (known) => known.lang !== lang && known.n >= below }
      }
      default:
        return { where: undefined, passes: () => true }
    }
  }

  #vector(): Float32Array {
    return Float32Array.from({ length: DIMENSIONS }, () => this.#random.next() * 2 - 1)
  }
}

function slack(similarity: number): number {
  return 1e-5 * Math.max(1, Math.abs(similarity))
}
