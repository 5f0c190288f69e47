/**
 * The write path. One writer: commits wait in line, are staged in order, share a frame and a sync
 * with whoever waits beside them, and are acknowledged once the frame is where they asked for.
 */
import { assert } from '../assert.ts'
import { aborted, StoreError } from '../errors.ts'
import type { LogCommit } from '../log/frame.ts'
import { poisoned } from '../log/level-log.ts'
import type { EventLog } from '../log/log.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { Receipt } from '../types.ts'
import type { Stage } from './stage.ts'
import type { CommitOutcome, LenientOptions, WaitingCommit } from './staged-commit.ts'

/**
 * A frame gathers commits until it holds about so much, or until staging took a stretch; a larger
 * commit has its own.
 */
const FRAME_BYTES = 1024 * 1024
const FRAME_EVENTS = 4096

/** Encoding more than about this takes a millisecond. */
const LARGE_BYTES = 128 * 1024

export interface WriterOptions {
  log: EventLog
  stage: Stage
  /** Resolves when the pipeline has room; `undefined` when it has now. */
  room(): Promise<void> | undefined
  /** Told of every acknowledged frame, before its commits are. */
  onAppended(frame: AppendedGroup): void
  /** Told of the failed write after which nothing is written any more. */
  onPoisoned(error: Error): void
}

export interface AppendedGroup {
  first: number
  last: number
  bytes: number
  commits: readonly LogCommit[]
  /** Whether a commit asked to be durable within the interval and is not yet. */
  isPending: boolean
  /** Time from sealing to the end of the write, in microseconds. */
  us: number
}

/** Commits of one frame, and what each of them waits for. */
interface Group {
  /** What is written: a commit that changes nothing writes nothing, and is told with the rest. */
  commits: LogCommit[]
  members: WaitingCommit[]
  durable: boolean
  interval: boolean
  bytes: number
}

export class Writer {
  readonly #log: EventLog
  readonly #stage: Stage
  readonly #options: WriterOptions
  #waiting: WaitingCommit[] = []
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: WriterOptions) {
    this.#log = options.log
    this.#stage = options.stage
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Puts a checked commit in line. Resolves when it is acknowledged.
   *
   * While it waits, its signal takes it out of the line, and it is wholly absent. Once it is
   * staged the signal comes too late: it ends as if there were none.
   */
  commit(commit: WaitingCommit): Promise<CommitOutcome> {
    // One promise for each of many thousand commits a second; what is thrown here rejects it.
    return new Promise((resolve, reject) => {
      const { signal } = commit
      if (this.#closed) {
        throw new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'commit' })
      }
      if (signal?.aborted === true) throw aborted(signal, 'commit')
      commit.resolve = resolve
      commit.reject = reject
      this.#waiting.push(commit)
      if (signal !== undefined) {
        commit.onAbort = () => this.#abort(commit, signal)
        signal.addEventListener('abort', commit.onAbort, { once: true })
      }
      this.#running ??= this.#drain()
    })
  }

  /** Ends when the line is empty. Nothing new is taken. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
  }

  async #drain(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        // Whoever was just acknowledged may write again at once: let them all join this frame.
        await turn()
        try {
          await this.#options.room()
        } catch (error) {
          this.#rejectAll(error)
          return
        }
        await this.#writeGroup()
      }
    } finally {
      this.#running = undefined
    }
  }

  /** The write path in one page: stage, append, publish, acknowledge. */
  async #writeGroup(): Promise<void> {
    const { poison, durableHead } = this.#log
    if (poison !== undefined) {
      this.#rejectAll(poisoned(poison, durableHead))
      return
    }
    const group = this.#stageGroup()
    if (group.commits.length > 0) {
      // Encoding is the other costly step: the event loop gets its turn between the two.
      if (group.bytes > LARGE_BYTES) await turn()
      try {
        await this.#append(group)
      } catch (error) {
        // Nothing of the group is visible: the head did not move. What waits meets the poison.
        for (const member of group.members) member.reject(error)
        this.#options.onPoisoned(error instanceof Error ? error : new Error(String(error)))
        return
      }
    }
    for (const member of group.members) this.#acknowledge(member)
  }

  async #append(group: Group): Promise<void> {
    const { commits, durable } = group
    const started = performance.now()
    // The process may die here. With the frame on disk or not, nobody was told anything.
    const { first, last, bytes } = await this.#log.append(commits, { durable })
    const us = (performance.now() - started) * 1000
    const isPending = group.interval && !durable
    this.#options.onAppended({ first, last, bytes, commits, isPending, us })
  }

  #acknowledge(commit: WaitingCommit): void {
    const { outcome, durability } = commit
    assert(outcome !== undefined, 'a commit is staged before it is acknowledged')
    const { receipt } = outcome
    const isOwed = durability === 'fsync' && receipt.last > this.#log.durableHead
    // Only a duplicate of a commit with a lesser durability is not as durable as it asks for.
    if (!isOwed) commit.resolve(outcome)
    else this.#log.sync().then(() => commit.resolve(outcome), commit.reject)
  }

  /** Takes commits from the line until the frame is full; refuses those that cannot be. */
  #stageGroup(): Group {
    const group = newGroup()
    const started = performance.now()
    let events = 0
    let taken = 0
    for (const commit of this.#waiting) {
      if (group.bytes > 0 && group.bytes + commit.bytes > FRAME_BYTES) break
      if (events >= FRAME_EVENTS || performance.now() - started >= STRETCH_MS) break
      taken++
      leaveLine(commit)
      events += commit.commands.length
      group.bytes += commit.bytes
      try {
        this.#stageOne(commit, group)
      } catch (error) {
        commit.reject(error)
      }
    }
    this.#waiting = this.#waiting.slice(taken)
    return group
  }

  #stageOne(commit: WaitingCommit, group: Group): void {
    const { idempotency, lenient } = commit
    if (lenient !== undefined) continueSeries(lenient)
    if (idempotency !== undefined && this.#settleDuplicate(commit, idempotency, group)) return
    const { log, outcome } = this.#stage.stage(commit)
    if (log !== undefined) {
      group.commits.push(log)
      if (commit.durability === 'fsync') group.durable = true
      if (commit.durability === 'interval') group.interval = true
    }
    if (lenient !== undefined) lenient.series.of.staged = lenient.series.number
    commit.outcome = outcome
    group.members.push(commit)
  }

  /** Whether the key was used before, by a commit in the log, in the overlay or in this group. */
  #settleDuplicate(
    commit: WaitingCommit,
    { key, digest }: { key: string; digest: Uint8Array },
    group: Group
  ): boolean {
    const noted = this.#stage.notedCommit(key)
    if (noted !== undefined) {
      const { first, last, results } = noted
      if (!sameBytes(noted.digest, digest)) throw idempotencyConflict(key, first, last)
      // The first one may be staged in this very group: both hear of it when it is written.
      const receipt: Receipt = {
        outcome: 'duplicate',
        first,
        last,
        durability: commit.durability,
        results
      }
      if (commit.durability === 'fsync' && last > this.#log.durableHead) group.durable = true
      commit.outcome = { receipt, rejected: [] }
      group.members.push(commit)
      return true
    }
    const stored = this.#stage.storedCommit(key)
    if (stored === undefined) return false
    // Old commits are read from the log, beside the writer, which goes on.
    this.#readDuplicate(commit, stored).then(
      (receipt) => commit.resolve({ receipt, rejected: [] }),
      commit.reject
    )
    return true
  }

  async #readDuplicate(commit: WaitingCommit, first: number): Promise<Receipt> {
    for await (const frame of this.#log.read(first)) {
      const found = frame.commits.find((one) => one.first === first)
      const idempotency = found?.meta?.idempotency
      if (found === undefined || idempotency === undefined) break
      const last = first + found.events.length - 1
      const { key, digest, results } = idempotency
      if (commit.idempotency === undefined || !sameBytes(digest, commit.idempotency.digest)) {
        throw idempotencyConflict(key, first, last)
      }
      return { outcome: 'duplicate', first, last, durability: commit.durability, results }
    }
    throw new StoreError('TABLES_DAMAGED', 'An idempotency row names no commit of the log', {
      key: String(first),
      reason: 'idempotency row without commit'
    })
  }

  #abort(commit: WaitingCommit, signal: AbortSignal): void {
    const index = this.#waiting.indexOf(commit)
    if (index < 0) return
    this.#waiting.splice(index, 1)
    commit.reject(aborted(signal, 'commit'))
  }

  #rejectAll(error: unknown): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const commit of waiting) {
      leaveLine(commit)
      commit.reject(error)
    }
  }
}

/**
 * An import says in each commit how far it is, so none may take effect behind one that did not: one
 * that the disk guard refused, say, while there was room again for the next.
 *
 * @throws StoreError `ABORTED`
 */
function continueSeries({ series }: LenientOptions): void {
  if (series.of.staged === series.number - 1) return
  throw new StoreError('ABORTED', 'A commit of the same import failed before this one', {
    operation: 'commit'
  })
}

function newGroup(): Group {
  return { commits: [], members: [], durable: false, interval: false, bytes: 0 }
}

/** From here on the signal comes too late. Long-lived signals must not gather listeners. */
function leaveLine(commit: WaitingCommit): void {
  if (commit.onAbort !== undefined) commit.signal?.removeEventListener('abort', commit.onAbort)
}

function idempotencyConflict(
  key: string,
  first: number,
  last: number
): StoreError<'IDEMPOTENCY_CONFLICT'> {
  const message = `The idempotency key '${key}' was used for other commands, at ${first} to ${last}`
  return new StoreError('IDEMPOTENCY_CONFLICT', message, { idempotencyKey: key, first, last })
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
