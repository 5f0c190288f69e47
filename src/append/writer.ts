/**
 * The write path. One writer: commits wait in line, are staged in order, share a frame and a sync
 * with whoever waits beside them, and are acknowledged once the frame is where they asked for.
 * Bulk loads have a line of their own: they never hold up single commits, nor these them.
 */

import { assert } from '../assert.ts'
import { aborted, StoreError } from '../errors.ts'
import type { LogCommit } from '../log/frame.ts'
import { poisoned } from '../log/level-log.ts'
import type { AppendedFrame, EventLog } from '../log/log.ts'
import { onAbort } from '../on-abort.ts'
import { turn, urgentTurn } from '../turn.ts'
import type { Receipt } from '../types.ts'
import { CommitLine, leaveLine } from './commit-line.ts'
import { BESIDE, type Group, newGroup, type Share, WHOLE } from './group.ts'
import { idempotencyConflict, sameBytes } from './idempotency.ts'
import type { Stage } from './stage.ts'
import {
  type CommitOutcome,
  continueSeries,
  eventsAtMost,
  type WaitingCommit
} from './staged-commit.ts'

/** How long after a single commit another one is expected. */
const EXPECT_MS = 500
/** Meanwhile, bulk rests this many times as long as its last frame took. */
const REST = 1
/** Bulk that has waited for so long gets a commit in, though single commits take all the room. */
const PATIENCE_MS = 50

const NOTHING = { events: 0, bytes: 0 }

/** Encoding more than about this takes a millisecond. */
const LARGE_BYTES = 128 * 1024

interface Load {
  readonly events: number
  readonly bytes: number
}

export interface WriterOptions {
  log: EventLog
  stage: Stage
  /** Resolves when the pipeline has room for so much; `undefined` when it has now. */
  room(load: Load): Promise<void> | undefined
  /** The same for bulk, which leaves room to the others. */
  bulkRoom(load: Load): Promise<void> | undefined
  /** Whether it has room for so much, beside what else is about to be written. */
  hasRoomFor(load: Load, beside: Load): boolean
  /** How many events of bulk there is room for. */
  bulkEvents(): number
  /** Acknowledged events that the tables do not hold yet. */
  backlog(): number
  /** Told when less waits in line than before. */
  onLineMoved(): void
  /** Told of every acknowledged frame, before its commits are. */
  onAppended(frame: AppendedGroup): void
  /** Told of the failed write after which nothing is written any more. */
  onPoisoned(error: Error): void
}

export interface AppendedGroup extends AppendedFrame {
  commits: readonly LogCommit[]
  /** Whether a commit asked to be durable within the interval and is not yet. */
  isPending: boolean
  /** Time from sealing to the end of the write, in microseconds. */
  us: number
}

export class Writer {
  readonly #log: EventLog
  readonly #stage: Stage
  readonly #options: WriterOptions
  readonly #singles = new CommitLine()
  readonly #bulk = new CommitLine()
  #writing: Load = NOTHING
  #running: Promise<void> | undefined
  /** Set while bulk waits for room. */
  #bulkWait: Promise<void> | undefined
  #bulkServedAt = 0
  /** Set while the writer waits for nothing else: told of a single commit. */
  #onSingle: (() => void) | undefined
  /** Until then single commits are expected: frames of bulk stay small, and it rests between them. */
  #singlesUntil = 0
  #bulkRestsUntil = 0
  /** Bulk found no place in the last frame: it goes first. */
  #isBulkOwed = false
  #closed = false

  constructor(options: WriterOptions) {
    this.#log = options.log
    this.#stage = options.stage
    this.#options = options
  }

  /** Commits in line. */
  get waiting(): number {
    return this.#singles.length + this.#bulk.length
  }

  /** What they will bring, about, with those that are being written. */
  get load(): Load {
    const [singles, bulk, writing] = [this.#singles.load, this.#bulk.load, this.#writing]
    return {
      events: singles.events + bulk.events + writing.events,
      bytes: singles.bytes + bulk.bytes + writing.bytes
    }
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
      this.#lineOf(commit).push(commit)
      if (!commit.bulk) this.#onSingle?.()
      if (signal !== undefined) commit.deafen = onAbort(signal, () => this.#abort(commit, signal))
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
      while (this.waiting > 0) {
        // Whoever was just acknowledged may write again at once: let them all join this frame.
        await (this.#singles.length > 0 ? urgentTurn() : turn())
        await this.#admit()
        await this.#writeGroup()
        this.#options.onLineMoved()
      }
    } finally {
      this.#running = undefined
    }
  }

  /** Waits until a line may be taken from. Of one that never may, all are rejected. */
  async #admit(): Promise<void> {
    if (this.#bulk.length > 0) this.#bulkWait ??= this.#rest() ?? this.#waitForBulk()
    if (this.#singles.length === 0 && this.#bulkWait !== undefined) {
      const single = new Promise<void>((resolve) => {
        this.#onSingle = resolve
      })
      await Promise.race([this.#bulkWait, single])
      this.#onSingle = undefined
    }
    if (this.#singles.length === 0) return
    // Whichever line goes first in the next frame: the rest is what still fits behind it.
    const line = this.#isBulkNext(performance.now()) ? this.#bulk : this.#singles
    try {
      await this.#options.room(line.next)
    } catch (error) {
      line.rejectAll(error)
      // Nobody has let the other line in yet; bulk is empty now, so this ends.
      if (line === this.#bulk) await this.#admit()
    }
  }

  #mayTakeBulk(now: number): boolean {
    if (this.#bulk.length === 0) return false
    // Single commits have been let in: that there is room on the disk, say, holds for bulk as well.
    const isImpatient = this.#singles.length > 0 && now - this.#bulkServedAt >= PATIENCE_MS
    return this.#bulkWait === undefined || isImpatient
  }

  #isBulkNext(now: number): boolean {
    return this.#isBulkOwed && this.#mayTakeBulk(now)
  }

  /** While single commits come, the main thread and the disk are theirs for a part of the time. */
  #rest(): Promise<void> | undefined {
    const restMs = Math.min(this.#bulkRestsUntil, this.#singlesUntil) - performance.now()
    if (restMs <= 0 || this.#closed) return undefined
    return new Promise((resolve) => {
      setTimeout(() => {
        this.#bulkWait = undefined
        resolve()
      }, restMs)
    })
  }

  /** `undefined` when there is room. */
  #waitForBulk(): Promise<void> | undefined {
    const done = (): void => {
      this.#bulkWait = undefined
    }
    return this.#options.bulkRoom(this.#bulk.next)?.then(done, (error: unknown) => {
      done()
      this.#bulk.rejectAll(error)
    })
  }

  /** The write path in one page: stage, append, publish, acknowledge. */
  async #writeGroup(): Promise<void> {
    const { poison, durableHead } = this.#log
    if (poison !== undefined) {
      for (const line of this.#lines) line.rejectAll(poisoned(poison, durableHead))
      return
    }
    const started = performance.now()
    const group = this.#stageGroup()
    this.#writing = { events: group.events, bytes: group.bytes }
    if (group.commits.length > 0) {
      // Encoding is the other costly step: the event loop gets its turn between the two.
      if (group.bytes > LARGE_BYTES) await (group.isAwaited ? urgentTurn() : turn())
      try {
        await this.#append(group)
      } catch (error) {
        // Nothing of the group is visible: the head did not move. What waits meets the poison.
        this.#writing = NOTHING
        for (const member of group.members) member.reject(error)
        this.#options.onPoisoned(error instanceof Error ? error : new Error(String(error)))
        return
      }
    }
    // By now they are in the queue, and counted there.
    this.#writing = NOTHING
    const ended = performance.now()
    if (group.hasBulk) this.#bulkRestsUntil = ended + (ended - started) * REST
    const backlog = this.#options.backlog()
    for (const member of group.members) this.#acknowledge(member, backlog)
  }

  async #append(group: Group): Promise<void> {
    const { commits, durable } = group
    const started = performance.now()
    // The process may die here. With the frame on disk or not, nobody was told anything.
    const frame = await this.#log.append(commits, { durable })
    const us = (performance.now() - started) * 1000
    const isPending = group.interval && !durable
    this.#options.onAppended({ ...frame, commits, isPending, us })
  }

  #acknowledge(commit: WaitingCommit, backlog: number): void {
    const { outcome, durability } = commit
    assert(outcome !== undefined, 'a commit is staged before it is acknowledged')
    const { receipt } = outcome
    receipt.backlog = backlog
    const isOwed = durability === 'fsync' && receipt.last > this.#log.durableHead
    // Only a duplicate of a commit with a lesser durability is not as durable as it asks for.
    if (!isOwed) commit.resolve(outcome)
    else this.#log.sync().then(() => commit.resolve(outcome), commit.reject)
  }

  /**
   * Takes what fits into one frame from the lines that there is room for: single commits first, then
   * bulk, which has a share of its own however many those are.
   */
  #stageGroup(): Group {
    const group = newGroup()
    const now = performance.now()
    if (this.#singles.length > 0) this.#singlesUntil = now + EXPECT_MS
    const mayTakeBulk = this.#mayTakeBulk(now)
    if (!this.#isBulkNext(now)) {
      group.isAwaited = this.#stageLine(this.#singles, group, WHOLE) > 0
    }
    if (mayTakeBulk) {
      this.#bulkServedAt = now
      const most = now < this.#singlesUntil ? BESIDE : WHOLE
      const share = { ...most, events: Math.min(most.events, this.#options.bulkEvents()) }
      group.hasBulk = this.#stageLine(this.#bulk, group, share) > 0
      this.#isBulkOwed = !group.hasBulk
    }
    return group
  }

  /** Takes a share of a line; refuses those that cannot be. @returns How many commits it took. */
  #stageLine(line: CommitLine, group: Group, share: Share): number {
    const started = performance.now()
    const bytesMax = group.bytes + share.bytes
    let events = 0
    return line.take((commit) => {
      if (group.bytes > 0 && group.bytes + commit.bytes > bytesMax) return false
      if (events >= share.events || performance.now() - started >= share.ms) return false
      const load = { events: eventsAtMost(commit), bytes: commit.bytes }
      if (!this.#options.hasRoomFor(load, group)) return false
      leaveLine(commit)
      events += commit.commands.length
      group.bytes += commit.bytes
      try {
        this.#stageOne(commit, group)
      } catch (error) {
        commit.reject(error)
      }
      return true
    })
  }

  #stageOne(commit: WaitingCommit, group: Group): void {
    const { idempotency, lenient } = commit
    if (lenient !== undefined) continueSeries(lenient)
    if (idempotency !== undefined && this.#settleDuplicate(commit, idempotency, group)) return
    const { log, outcome } = this.#stage.stage(commit)
    if (log !== undefined) {
      group.commits.push(log)
      group.events += log.events.length
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
        backlog: 0,
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
      const { durability } = commit
      const backlog = this.#options.backlog()
      return { outcome: 'duplicate', first, last, durability, backlog, results }
    }
    throw new StoreError('TABLES_DAMAGED', 'An idempotency row names no commit of the log', {
      key: String(first),
      reason: 'idempotency row without commit'
    })
  }

  #abort(commit: WaitingCommit, signal: AbortSignal): void {
    if (!this.#lineOf(commit).remove(commit)) return
    commit.reject(aborted(signal, 'commit'))
    this.#options.onLineMoved()
  }

  #lineOf({ bulk }: WaitingCommit): CommitLine {
    return bulk ? this.#bulk : this.#singles
  }

  get #lines(): readonly CommitLine[] {
    return [this.#singles, this.#bulk]
  }
}
