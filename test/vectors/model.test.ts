import { cp, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Command, open, type Reader, type Store, type View } from 'sutra-storage'
import { expect, test } from 'vitest'
import { until } from '../projections/vectors-fixture.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { Clusters, type Metric } from './clusters.ts'
import { applyTo, type Concepts, expectExact, recallOf, VectorModel } from './vector-model.ts'

const DIMENSIONS = 16
const STEPS = 60
/** Enough for a graph from the beginning, and for many vectors that are dead in it later. */
const FIRST = 1500
const KEYS = 2000

test.each(['cosine', 'l2sq'] as const)(
  'a store agrees with brute force at every position, whatever happens: %s',
  async (metric) => {
    const random = new Random()
    const run = new Run(random, metric, await temporaryPath())
    try {
      await run.begin()
      for (let step = 0; step < STEPS; step++) await run.step()
      await run.end()
    } catch (cause) {
      throw new Error(`With SUTRA_TEST_SEED=${random.seed}, after ${run.steps.join(', ')}`, {
        cause
      })
    }
  }
)

class Run {
  readonly steps: string[] = []
  readonly #random: Random
  readonly #metric: Metric
  readonly #clusters: Clusters
  readonly #model = new VectorModel()
  /** What commits that are under way make of it: the commands to come build on that. */
  #newest = new Map<string, Float32Array | undefined>()
  #directory: string
  #store: Store | undefined
  readonly #views: { view: View; concepts: Concepts }[] = []
  readonly #recalls: number[] = []
  #crashes = 0

  constructor(random: Random, metric: Metric, directory: string) {
    this.#random = random
    this.#metric = metric
    this.#clusters = new Clusters(random, DIMENSIONS)
    this.#directory = directory
  }

  get #open(): Store {
    if (this.#store === undefined) throw new Error('The store is not open')
    return this.#store
  }

  async begin(): Promise<void> {
    const { dimensions, metric } = { dimensions: DIMENSIONS, metric: this.#metric }
    this.#store = await open(this.#directory, { vectors: { dimensions, metric } })
    for (let at = 0; at < FIRST; at += 100) {
      const commands = Array.from({ length: 100 }, (_, i) => this.#learn(`k${at + i}`))
      await this.#commit(commands)
    }
    await this.#open.caughtUp()
  }

  async step(): Promise<void> {
    const steps = {
      write: async () => this.#write(),
      read: async () => this.#read(this.#open, this.#model.at(this.#open.position)),
      readWhileWriting: async () => this.#readWhileWriting(),
      view: async () => this.#openView(),
      readViews: async () => this.#readViews(),
      closeView: async () => this.#closeView(),
      caughtUp: async () => this.#open.caughtUp(),
      checkpoint: async () => this.#open.checkpoint(),
      reopen: async () => this.#reopen(),
      crash: async () => this.#crash(),
      rebuild: async () => this.#open.rebuild({ projections: ['vectors'] })
    }
    const weights: Record<keyof typeof steps, number> = {
      ...{ write: 8, read: 6, readWhileWriting: 4, view: 3, readViews: 4, closeView: 1 },
      ...{ caughtUp: 2, checkpoint: 2, reopen: 1, crash: 1, rebuild: 1 }
    }
    const choices = Object.entries(weights).flatMap(([name, weight]) =>
      new Array<string>(weight).fill(name)
    )
    // The choices are the names of the steps.
    const name = this.#random.pick(choices) as keyof typeof steps
    this.steps.push(name)
    await steps[name]()
  }

  async end(): Promise<void> {
    await this.#readViews()
    await this.#read(this.#open, this.#model.at(this.#open.position))
    await this.#closeAll()
    this.#store = await open(this.#directory)
    await this.#read(this.#open, this.#model.at(this.#open.position))
    expect((await this.#open.verify()).problems).toEqual([])
    await this.#closeAll()
    const mean = this.#recalls.reduce((sum, one) => sum + one, 0) / this.#recalls.length
    expect(mean).toBeGreaterThanOrEqual(0.95)
  }

  /** Several at once: they may share a frame. */
  async #write(): Promise<void> {
    const count = 1 + this.#random.below(6)
    await Promise.all(Array.from({ length: count }, async () => this.#commit(this.#commands())))
  }

  async #commit(commands: Command[]): Promise<void> {
    for (const command of commands) applyTo(this.#newest, command)
    const { last } = await this.#open.commit(commands, { durability: 'os' })
    this.#model.committed(commands, last)
  }

  #commands(): Command[] {
    const used = new Set<string>()
    const commands: Command[] = []
    const count = 1 + this.#random.below(30)
    for (let at = 0; at < count; at++) {
      const key = `k${this.#random.below(KEYS)}`
      if (used.has(key)) continue
      used.add(key)
      commands.push(this.#command(key))
    }
    return commands
  }

  #command(key: string): Command {
    if (!this.#newest.has(key)) return this.#learn(key)
    const embedding = this.#clusters.next()
    const chance = this.#random.below(10)
    if (chance < 2) return this.#learn(key)
    if (chance < 5) return { do: 'revise', target: { key }, embedding }
    if (chance < 6) return { do: 'revise', target: { key }, embedding: null }
    if (chance < 7) return { do: 'reinforce', target: { key }, strength: this.#random.next() }
    return { do: 'forget', id: { key } }
  }

  #learn(key: string): Command {
    const content = `${key} ${this.#random.below(1000)}`
    if (this.#random.below(20) === 0) return { do: 'learn', id: { key }, content }
    return { do: 'learn', id: { key }, content, embedding: this.#clusters.next() }
  }

  async #read(reader: Reader, concepts: Concepts): Promise<void> {
    for (let round = 0; round < 3; round++) {
      const query = this.#clusters.next()
      const k = this.#random.pick([1, 10, 40])
      const asked = { query, k, metric: this.#metric }
      expectExact(await reader.search(query, { k, exact: true }), concepts, asked)
      const found = await reader.search(query, { k: 10, ef: 256 })
      this.#recalls.push(recallOf(found, concepts, { ...asked, k: 10 }))
    }
    const key = `k${this.#random.below(KEYS)}`
    expect(await reader.vector({ key })).toEqual(concepts.get(key))
  }

  async #readWhileWriting(): Promise<void> {
    const writing = this.#write()
    const view = await this.#open.view()
    const query = this.#clusters.next()
    const found = await view.search(query, { k: 20, exact: true })
    const graph = await view.search(query, { k: 10, ef: 256 })
    await writing
    const asked = { query, k: 20, metric: this.#metric }
    const concepts = this.#model.at(view.position)
    expectExact(found, concepts, asked)
    this.#recalls.push(recallOf(graph, concepts, { ...asked, k: 10 }))
    await view.close()
  }

  async #openView(): Promise<void> {
    const view = await this.#open.view()
    this.#views.push({ view, concepts: this.#model.at(view.position) })
  }

  async #readViews(): Promise<void> {
    await Promise.all(this.#views.map(async ({ view, concepts }) => this.#read(view, concepts)))
  }

  async #closeView(): Promise<void> {
    await this.#views.shift()?.view.close()
  }

  async #closeAll(): Promise<void> {
    for (const { view } of this.#views.splice(0)) await view.close()
    await this.#open.close()
    this.#model.forget(this.#open.head)
  }

  async #reopen(): Promise<void> {
    await this.#closeAll()
    this.#store = await open(this.#directory)
  }

  /** Goes on with what was on disk while the store was open, as if its process had died. */
  async #crash(): Promise<void> {
    const store = this.#open
    await store.caughtUp()
    this.#crashes += 1
    const copy = join(dirname(this.#directory), `crash-${this.#crashes}`)
    // A copy takes a while: it is what a crash leaves only if nothing was written meanwhile.
    await until(async () => {
      const before = await this.#written()
      await rm(copy, { recursive: true, force: true })
      await cp(this.#directory, copy, { recursive: true, filter: isCopied }).catch(ignoreGone)
      return (await this.#written()) === before
    })
    await this.#closeAll()
    await rm(this.#directory, { recursive: true })
    this.#directory = copy
    this.#store = await open(copy)
  }

  /** Tells apart what the files were at two instants. */
  async #written(): Promise<string> {
    const names = (await readdir(this.#directory, { recursive: true })).sort()
    const files = names.map(async (name) => {
      const found = await stat(join(this.#directory, name)).catch(ignoreGone)
      return [name, found?.ino, found?.size, found?.mtimeMs].join(' ')
    })
    return (await Promise.all(files)).join('\n')
  }
}

function isCopied(path: string): boolean {
  return !path.endsWith('OWNER') && !path.endsWith('LOCK')
}

function ignoreGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
  return undefined
}
