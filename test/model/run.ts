/** Lives one random life with a store and with the model, side by side. */
import { deepStrictEqual as same } from 'node:assert'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'
import {
  type Command,
  type CommitOptions,
  ConceptId,
  type Expectation,
  isStoreError,
  open,
  type Receipt,
  restore,
  type Store,
  type StoreOptions,
  type View
} from 'sutra-storage'
import { checkInvariants, openTemporaryStore, type TemporaryStore } from '../support/open-store.ts'
import { compareAll, compareConcepts, compareEvents } from './compare.ts'
import { idOf, idsIn, Model, type ModelReceipt, Refused } from './model.ts'
import {
  ALL_IDS,
  type CommitStep,
  DIMENSIONS,
  IDS,
  type Life,
  leafKey,
  type Step
} from './steps.ts'

const VIEWS_MAX = 4
/** Learned again and again in a rush: nothing that other steps name. */
const RUSHED = ['rushed 1', 'rushed 2']
/** Those that exist, once existed, or never did. */
const ASKED = [...ALL_IDS, ConceptId.fromKey('never learned')]

/** @param end When to take no more steps, as `performance.now()` tells it. */
export async function live(life: Life, end = Number.POSITIVE_INFINITY): Promise<void> {
  // Checked by `end`, so that fast-check hears of it.
  await using temporary = await openTemporaryStore({ ...life.options, check: false })
  const run = new Run(temporary, life.options)
  try {
    for (const step of life.steps) {
      if (performance.now() > end) break
      await run.take(step)
    }
    await run.end()
  } finally {
    await rm(`${temporary.directory}-backup`, { recursive: true, force: true })
  }
}

class Run {
  readonly #temporary: TemporaryStore
  readonly #options: StoreOptions
  /** Where the model begins: declaring vectors takes a position of its own. */
  readonly #base: number
  readonly #model: Model
  #views: { view: View; model: Model }[] = []
  readonly #keyed: CommitStep[] = []

  constructor(temporary: TemporaryStore, options: StoreOptions) {
    this.#temporary = temporary
    this.#options = options
    this.#base = temporary.store.head
    this.#model = new Model(this.#base, options.vectors === undefined ? undefined : DIMENSIONS)
  }

  get #store(): Store {
    return this.#temporary.store
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'commit':
        await this.#commit(step)
        return
      case 'burst':
        await this.#burst(step)
        return
      case 'retry': {
        const again = this.#keyed[step.which % Math.max(1, this.#keyed.length)]
        if (again !== undefined) await this.#commit(again)
        return
      }
      case 'fan':
        await this.#commit({ commands: fanOf(step) })
        return
      case 'thin': {
        const found = this.#model.neighbors(idOf(step.hub), 'both')
        const taken = found.filter((_, i) => i % step.every === 0)
        const commands = taken.map(({ source, target, type, key }): Command => {
          return { do: 'dissociate', source, target, type, ...(key === undefined ? {} : { key }) }
        })
        if (commands.length > 0) await this.#commit({ commands: commands.slice(0, 1000) })
        return
      }
      case 'rush':
        for (let i = 0; i < step.commits; i++) {
          const id = { key: RUSHED[i % RUSHED.length] ?? '' }
          await this.#commit({ commands: [{ do: 'learn', id, content: `${i}` }] })
          if (i % 10 === 0) await this.#glance(ALL_IDS)
        }
        return
      case 'learn-all':
        await this.#commit({
          commands: IDS.map((id) => ({ do: 'learn', id, content: 'all', ifExists: 'keep' }))
        })
        return
      case 'view':
        await this.#pin(await this.#store.view(), this.#model.clone())
        return
      case 'compare-views':
        for (const { view, model } of this.#views) await compareAll(view, model, { ids: ASKED })
        return
      case 'wait':
        await wait(step.ms)
        return
      case 'caught-up':
        await this.#store.caughtUp()
        return
      case 'checkpoint':
        await this.#store.checkpoint()
        same(this.#store.stats().durableHead, this.#model.head)
        return
      case 'rebuild': {
        const before = await this.#store.stateHash()
        await this.#store.rebuild()
        same(await this.#store.stateHash(), before)
        return
      }
      case 'reopen':
        await this.#reopen()
        return
      case 'crash':
        await this.#crash()
        return
      case 'backup':
        await this.#backUp()
        return
    }
  }

  async end(): Promise<void> {
    await this.take({ do: 'compare-views' })
    await this.#compare(this.#store)
    await this.#reopen()
    await checkInvariants(this.#store)
    await this.#compare(this.#store)
  }

  async #commit(step: CommitStep): Promise<void> {
    const asked = this.#send(step)
    const receipt = await asked.outcome
    this.#agree(step, asked.options, receipt)
    await this.#compareTouched(step)
  }

  /** All in one turn: they share frames, and stand in line in this order. */
  async #burst({ commits, viewAfter, rebuild }: Step & { do: 'burst' }): Promise<void> {
    const rebuilt = rebuild ? this.#store.rebuild() : undefined
    const sent = commits.map((step) => ({ step, ...this.#send(step) }))
    for (let i = 0; i < viewAfter; i++) await turn()
    const view = await this.#store.view()
    let atView = view.position === this.#model.head ? this.#model.clone() : undefined
    for (const { step, options, outcome } of sent) {
      this.#agree(step, options, await outcome)
      if (view.position === this.#model.head) atView = this.#model.clone()
    }
    if (atView === undefined) {
      throw new Error(`A view at ${view.position} shows a part of a commit or a lost one`)
    }
    await this.#pin(view, atView)
    await rebuilt
    for (const step of commits) await this.#compareTouched(step)
  }

  #send(step: CommitStep): { options: CommitOptions; outcome: Promise<Receipt | Error> } {
    const { commands, idempotencyKey, durability, abort, expect } = step
    const abortion = abort === undefined ? undefined : new AbortController()
    const options: CommitOptions = {
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(durability === undefined ? {} : { durability }),
      ...(expect === undefined ? {} : { expect: expect.map((one) => this.#expectation(one)) }),
      ...(abortion === undefined ? {} : { signal: abortion.signal })
    }
    if (abort === 'before') abortion?.abort()
    const outcome = this.#store.commit(commands, options).catch((error: Error) => error)
    if (typeof abort === 'number') void abortAfter(abort, abortion)
    if (idempotencyKey !== undefined) this.#keyed.push(step)
    return { options, outcome }
  }

  /** The model does what was asked and must come to what the store came to. */
  #agree(step: CommitStep, options: CommitOptions, outcome: Receipt | Error): void {
    // Whether a signal comes in time is chance; if it does, the commit is wholly absent.
    if (step.abort !== undefined && isStoreError(outcome, 'ABORTED')) return
    let wanted: ModelReceipt | Refused
    try {
      wanted = this.#model.commit(step.commands, options)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      wanted = error
    }
    if (outcome instanceof Error) {
      if (!isStoreError(outcome)) throw outcome
      if (!(wanted instanceof Refused) || outcome.code !== wanted.code) {
        throw new Error(`The model says ${describe(wanted)}`, { cause: outcome })
      }
      return
    }
    const durability = step.durability ?? this.#options.durability
    if (step.abort === 'before') throw new Error('Aborted before it began, and yet done')
    if (wanted instanceof Refused) throw new Error(`Not refused: ${wanted.code}`)
    const { backlog, ...receipt } = outcome
    same(receipt, { ...wanted, durability })
    // How far the tables have come is theirs to say.
    if (!(backlog >= 0 && backlog <= this.#store.head)) throw new Error(`A backlog of ${backlog}`)
    if (durability === 'fsync') same(this.#store.stats().durableHead >= outcome.last, true)
  }

  #expectation({ subject, off }: NonNullable<CommitStep['expect']>[number]): Expectation {
    const { head } = this.#model
    if (subject === 'head') return { head: head + off }
    const version = this.#model.versionOf({ ...subject, version: 0 }) + off
    return { ...subject, version }
  }

  async #pin(view: View, model: Model): Promise<void> {
    same(view.position, model.head)
    this.#views.push({ view, model })
    if (this.#views.length > VIEWS_MAX) {
      const [oldest] = this.#views.splice(0, 1)
      if (oldest === undefined) return
      await compareAll(oldest.view, oldest.model, { ids: ASKED })
      await oldest.view.close()
    }
  }

  async #compareTouched({ commands }: CommitStep): Promise<void> {
    same(this.#store.head, this.#model.head)
    const ids = new Set(commands.flatMap(idsIn).slice(0, 12))
    await this.#glance([...ids])
  }

  async #glance(ids: readonly ConceptId[]): Promise<void> {
    await compareConcepts(this.#store, this.#model, ids, { pages: false })
  }

  async #compare(store: Store): Promise<void> {
    await compareAll(store, this.#model, { ids: ASKED })
    await compareEvents(store, this.#model, this.#base)
  }

  async #reopen(): Promise<void> {
    const before = await this.#store.stateHash()
    const views = this.#views
    this.#views = []
    await this.#temporary.reopen()
    same(await this.#store.stateHash(), before)
    for (const { view } of views) {
      const error = await view.counts().catch((thrown: unknown) => thrown)
      same(isStoreError(error, 'VIEW_CLOSED'), true, 'a view ends with its store')
    }
  }

  /** Into the same directory each time, so that all but the first add to what is there. */
  async #backUp(): Promise<void> {
    const backup = `${this.#temporary.directory}-backup`
    const restored = `${this.#temporary.directory}-restored`
    try {
      const { position, stateHash } = await this.#store.backup(backup)
      same(position, this.#model.head)
      await restore(backup, restored)
      await using copy = await open(restored, this.#options)
      await this.#compare(copy)
      same(await copy.stateHash(), stateHash)
      same((await copy.verify()).problems, [])
    } finally {
      await rm(restored, { recursive: true, force: true })
    }
  }

  /** What a process that dies now leaves behind is what its files hold now. */
  async #crash(): Promise<void> {
    const home = await mkdtemp(join(tmpdir(), 'sutra-crash-'))
    const copy = join(home, 'store')
    try {
      await copyWhole(this.#temporary.directory, copy)
      await using crashed = await open(copy, this.#options)
      await this.#compare(crashed)
      same((await crashed.verify()).problems, [])
      same(await crashed.stateHash(), await this.#store.stateHash())
      await crashed.learn({ content: 'after the crash' })
      same(crashed.head, this.#model.head + 1)
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  }
}

/** A directory that goes away in the middle was of no use to anybody: the copy is begun anew. */
async function copyWhole(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await copyStore(from, to)
      return
    } catch (error) {
      const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      if (!isGone || attempt === 10) throw error
      await rm(to, { recursive: true, force: true })
    }
  }
}

/**
 * The log comes last: files are not copied in one instant, and derived state ahead of its log is
 * nothing that a crash leaves. `LOCK` stays, because touching it would let go of LevelDB's lock.
 */
async function copyStore(from: string, to: string): Promise<void> {
  const filter = (path: string): boolean =>
    !basename(path).startsWith('OWNER') && basename(path) !== 'LOCK'
  const copy = async (source: string, target: string): Promise<void> =>
    cp(source, target, { recursive: true, filter })
  const isLog = (path: string): boolean => path === join(from, 'log')
  await cp(from, to, { recursive: true, filter: (path) => filter(path) && !isLog(path) })
  await copy(join(from, 'log'), join(to, 'log'))
}

async function abortAfter(turns: number, abortion: AbortController | undefined): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
  abortion?.abort()
}

function fanOf({ hub, from, leaves, side }: Step & { do: 'fan' }): Command[] {
  const commands: Command[] = [{ do: 'learn', id: hub, content: 'hub', ifExists: 'keep' }]
  const strength = side === 'in' ? 0.4 : 0.6
  for (let i = from; i < from + leaves; i++) {
    const leaf = { key: leafKey(i) }
    const ends = side === 'in' ? { source: leaf, target: hub } : { source: hub, target: leaf }
    if (side === 'parallel') {
      const type = 'is'
      commands.push({ do: 'associate', source: hub, target: hub, type, key: leaf.key, strength })
    } else {
      commands.push({ do: 'learn', id: leaf, content: 'leaf', ifExists: 'keep' })
      commands.push({ do: 'associate', ...ends, type: i % 2 === 0 ? 'is' : 'has', strength })
    }
  }
  return commands
}

function describe(wanted: ModelReceipt | Refused): string {
  return wanted instanceof Refused ? wanted.code : JSON.stringify(wanted)
}
