/**
 * What must be in a store whose writers were killed: of each writer every commit that it heard of,
 * and the one it was waiting for either whole or not at all. No two writers name the same concept,
 * so each has a model of its own, whose positions are not those of the store.
 */
import { deepStrictEqual as same } from 'node:assert'
import {
  type Command,
  type CommitOptions,
  type ConceptId,
  isStoreError,
  type Receipt,
  type Store,
  type StoredEvent
} from 'sutra-storage'
import { compareConcepts } from '../model/compare.ts'
import { idsIn, Model, type ModelReceipt, Refused } from '../model/model.ts'

/** A line that child.mjs writes. */
export type Line =
  | { opened: number }
  | { closing: true }
  | { writer: number; sent: Command[]; options: CommitOptions }
  | { writer: number; receipt: Receipt }
  | { writer: number; refused: string }

interface Sent {
  commands: Command[]
  options: CommitOptions
}

class Writer {
  model: Model
  waiting: Sent | undefined
  readonly ids: Set<ConceptId> = new Set()

  constructor(dimensions: number | undefined) {
    this.model = new Model(0, dimensions)
  }
}

export class Oracle {
  readonly tally: { acknowledged: number; unanswered: number; survived: number } = {
    acknowledged: 0,
    unanswered: 0,
    survived: 0
  }
  readonly #dimensions: number | undefined
  readonly #writers: Map<number, Writer> = new Map()
  /** Last position of every acknowledged commit, by its first. */
  readonly #acknowledged: Map<number, number> = new Map()

  constructor(dimensions: number | undefined) {
    this.#dimensions = dimensions
  }

  hear(line: Line): void {
    if (!('writer' in line)) return
    const writer = this.#writer(line.writer)
    if ('sent' in line) {
      writer.waiting = { commands: line.sent, options: line.options }
      for (const id of line.sent.flatMap(idsIn)) writer.ids.add(id)
      return
    }
    const { waiting } = writer
    if (waiting === undefined) throw new Error(`Writer ${line.writer} waits for no answer`)
    writer.waiting = undefined
    // Refused by a store that closes: nothing was done.
    if ('refused' in line && line.refused === 'STORE_CLOSED') return
    const outcome = commitTo(writer.model, waiting)
    if ('refused' in line) same(line.refused, outcome instanceof Refused ? outcome.code : 'done')
    else this.#acknowledge(line.receipt, outcome)
  }

  /** Compares the store with what was heard, and sends again what was cut off. */
  async judge(store: Store): Promise<void> {
    const eventsOf = await this.#readLog(store)
    for (const [number, writer] of this.#writers) {
      const events = eventsOf.get(number) ?? 0
      const isThere = this.#decide(writer, events, `writer ${number}`)
      await compareConcepts(store, writer.model, [...writer.ids], { positions: false })
      await this.#sendAgain(store, writer, isThere)
    }
    const models = [...this.#writers.values()].map(({ model }) => model)
    const { concepts, associations } = await store.counts()
    same(concepts, sum(models.map((model) => model.concepts.size)), 'concepts')
    same(associations, sum(models.map((model) => model.associations.size)), 'associations')
    const declared = this.#dimensions === undefined ? 0 : 1
    same(store.head - declared, sum(models.map(({ head }) => head)), 'events')
  }

  /** Every acknowledged commit must be in the log. @returns Events of each writer. */
  async #readLog(store: Store): Promise<Map<number, number>> {
    const writerOf = new Map<unknown, number>()
    for (const [number, { ids }] of this.#writers) for (const id of ids) writerOf.set(id, number)
    const eventsOf = new Map<number, number>()
    const commits = new Map<number, number>()
    for await (const { data, commit } of store.events()) {
      commits.set(commit.first, commit.last)
      const writer = writerOf.get(data['id'] ?? data['source'])
      if (writer !== undefined) eventsOf.set(writer, (eventsOf.get(writer) ?? 0) + 1)
      else if (!isAboutNobody(data)) throw new Error(`Never sent: ${JSON.stringify(data)}`)
    }
    for (const [first, last] of this.#acknowledged) same(commits.get(first), last, 'acknowledged')
    return eventsOf
  }

  /** The log tells whether what was cut off is there; a part of it is a failure. */
  #decide(writer: Writer, events: number, who: string): boolean | undefined {
    const { waiting, model } = writer
    const without = writtenBy(model)
    if (waiting === undefined) {
      same(events, without, `events of ${who}`)
      return undefined
    }
    this.tally.unanswered += 1
    const next = model.clone()
    const outcome = commitTo(next, waiting)
    const withIt = outcome instanceof Refused ? without : writtenBy(next)
    if (events !== without && events !== withIt) {
      throw new Error(`${events} events of ${who}, expected ${without} or ${withIt}`)
    }
    // A commit without events of concepts may be there or not: its key alone could tell.
    if (withIt === without) return undefined
    if (events === withIt) {
      this.tally.survived += 1
      writer.model = next
    }
    return events === withIt
  }

  /** Whoever does not know what came of a commit sends it again, with the same key. */
  async #sendAgain(store: Store, writer: Writer, isThere: boolean | undefined): Promise<void> {
    const { waiting, model } = writer
    writer.waiting = undefined
    if (waiting?.options.idempotencyKey === undefined) return
    const answer = await store
      .commit(waiting.commands, waiting.options)
      .catch((error: Error) => error)
    const outcome = commitTo(model, waiting)
    if (outcome instanceof Refused) {
      if (isStoreError(answer, outcome.code)) return
      throw new Error(`Sent again, expected ${outcome.code}`, { cause: answer })
    }
    if (answer instanceof Error) throw answer
    same(answer.results, outcome.results, 'the same receipt as at the first time')
    same(answer.last - answer.first, outcome.last - outcome.first)
    if (isThere !== undefined) same(answer.outcome, isThere ? 'duplicate' : 'appended')
  }

  #acknowledge(receipt: Receipt, outcome: ModelReceipt | Refused): void {
    if (outcome instanceof Refused) throw new Error(`Done, expected ${outcome.code}`)
    this.tally.acknowledged += 1
    same(receipt.outcome, outcome.outcome)
    same(receipt.results, outcome.results)
    const events = outcome.last - outcome.first + 1
    same(receipt.last - receipt.first + 1, events)
    if (events > 0) this.#acknowledged.set(receipt.first, receipt.last)
  }

  #writer(number: number): Writer {
    const known = this.#writers.get(number)
    if (known !== undefined) return known
    const writer = new Writer(this.#dimensions)
    this.#writers.set(number, writer)
    return writer
  }
}

function commitTo(model: Model, { commands, options }: Sent): ModelReceipt | Refused {
  try {
    return model.commit(commands, options)
  } catch (error) {
    if (error instanceof Refused) return error
    throw error
  }
}

/** Events that name a concept: those that remember a key alone belong to nobody in the log. */
function writtenBy(model: Model): number {
  return model.events.filter(({ type }) => type !== 'commit-noted').length
}

function isAboutNobody(data: StoredEvent['data']): boolean {
  return data['id'] === undefined && data['source'] === undefined
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0)
}
