/**
 * Worker threads for the vectors of all stores of the process. Readers answer searches, one builder
 * makes graphs and files. All of them work on memory that is shared and on files that do not
 * change, so whatever a thread that died was asked can be asked of another one.
 */

import { availableParallelism } from 'node:os'
import { aborted, StoreError } from '../../errors.ts'
import { onAbort } from '../../on-abort.ts'
import { WorkerLink } from '../../storage/worker-link.ts'
import { IndexDamage } from './index-files.ts'
import type { Outcome, PoolWorkerData } from './pool-worker.ts'
import type { Notice, SetDescription, TaskKind, Tasks } from './protocol.ts'

export type Role = 'read' | 'build'

export interface RunOptions {
  role: Role
  /** What the task reads: told to the thread before it. */
  set?: SetDescription
  /** Waits behind others rather than for a thread to start, which takes longer. */
  isPatient?: boolean
  /** Gives way every few milliseconds: others get between, on the same thread. */
  isBeside?: boolean
  signal?: AbortSignal
}

/**
 * What graphs need besides themselves: rows from the log, files, checksums. The builder's thread is left
 * to graphs alone.
 */
export const BESIDE: RunOptions = { role: 'read', isPatient: true, isBeside: true }

/** Tasks that a thread is given at once, so that the next one need not wait for the main thread. */
const AT_ONCE: Readonly<Record<Role, number>> = { read: 2, build: 16 }
/** Whoever waits for an answer goes before what is built; the program's own threads before both. */
const NICENESS: Readonly<Record<Role, number>> = { read: 5, build: 10 }
const ATTEMPTS = 2

interface Job {
  kind: TaskKind
  ask: unknown
  options: RunOptions
  attempts: number
  resolve: (reply: unknown) => void
  reject: (error: unknown) => void
  done: boolean
}

export class VectorPool {
  static #shared: VectorPool | undefined
  readonly #script: URL
  readonly #members: Member[] = []
  readonly #queues: Record<Role | 'beside', Job[]> = { read: [], build: [], beside: [] }
  #holders = 0
  #restarts = 0

  /** @param script Of the worker; another one in tests. */
  constructor(script: URL = new URL('./pool-worker.js', import.meta.url)) {
    this.#script = script
  }

  /** The pool that all stores of the process share. Each `hold` has its `release`. */
  static hold(): VectorPool {
    VectorPool.#shared ??= new VectorPool()
    return VectorPool.#shared.hold()
  }

  hold(): this {
    this.#holders += 1
    return this
  }

  /** Threads of the last holder end. */
  async release(): Promise<void> {
    this.#holders -= 1
    if (this.#holders > 0) return
    if (VectorPool.#shared === this) VectorPool.#shared = undefined
    await Promise.all(this.#members.splice(0).map((member) => member.end()))
  }

  /** Starts a thread that answers searches, so that it is there when the first one comes. */
  warm(): void {
    if (this.#members.some(({ role }) => role === 'read')) return
    this.#start('read')
  }

  /** Threads that answer searches. */
  get readers(): number {
    return Math.max(1, availableParallelism())
  }

  /** Those of them that have been started, and at least one, which is when it is needed. */
  get running(): number {
    return Math.max(1, this.#members.filter(({ role }) => role === 'read').length)
  }

  /** Threads that died and were replaced. */
  get restarts(): number {
    return this.#restarts
  }

  /**
   * Asks a thread. One that dies is replaced and the task given to another one, once.
   *
   * @throws IndexDamage
   * @throws StoreError `VECTORS_UNAVAILABLE` where two threads died over it; `ABORTED`.
   */
  async run<K extends TaskKind>(
    kind: K,
    ask: Tasks[K]['ask'],
    options: RunOptions
  ): Promise<Tasks[K]['reply']> {
    const { signal } = options
    if (signal?.aborted === true) throw aborted(signal, kind)
    let stop = (): void => {}
    const answer = new Promise<unknown>((resolve, reject) => {
      const job: Job = { kind, ask, options, attempts: 0, resolve, reject, done: false }
      stop = onAbort(signal, () => {
        // Waiting, it is left out; under way, its answer tells nothing.
        job.done = true
        if (signal !== undefined) reject(aborted(signal, kind))
      })
      this.#queues[queueOf(options)].push(job)
    })
    this.#dispatch(queueOf(options))
    try {
      // The worker answers each task as the protocol says.
      return (await answer) as Tasks[K]['reply']
    } finally {
      stop()
    }
  }

  /** Sets, segments and graphs that nobody asks for any more: threads let go of them. */
  forget(notice: Extract<Notice, { do: 'forget' }>): void {
    for (const member of this.#members) member.forget(notice)
  }

  #dispatch(name: Role | 'beside'): void {
    const queue = this.#queues[name]
    for (let job = queue[0]; job !== undefined; job = queue[0]) {
      if (!job.done) {
        const member = this.#freeMember(job)
        if (member === undefined) return
        void this.#give(member, job)
      }
      queue.shift()
    }
  }

  /** An idle one, a new one, or the one with the least to do. */
  #freeMember(job: Job): Member | undefined {
    const { role, isPatient = false, isBeside = false } = job.options
    let best: Member | undefined
    let count = 0
    for (const member of this.#members) {
      if (member.role !== role) continue
      count += 1
      if (!member.takes(job)) continue
      if (best === undefined || member.isFreer(best, isBeside)) best = member
    }
    const max = role === 'build' ? 1 : this.readers
    if (count < max && (best === undefined || (!best.isIdle && !isPatient))) {
      best = this.#start(role)
    }
    if (best === undefined) return undefined
    return isBeside || best.running < AT_ONCE[role] ? best : undefined
  }

  #start(role: Role): Member {
    const member = new Member(role, this.#script, (dead) => this.#remove(dead))
    this.#members.push(member)
    return member
  }

  async #give(member: Member, job: Job): Promise<void> {
    job.attempts += 1
    try {
      const outcome = await member.ask(job)
      if ('damage' in outcome) job.reject(new IndexDamage(outcome.damage))
      else job.resolve(outcome.reply)
    } catch (error) {
      if (!member.isDead) job.reject(error)
      else if (job.attempts >= ATTEMPTS) job.reject(workersDied(job.kind, error))
      else this.#queues[queueOf(job.options)].unshift(job)
    }
    this.#dispatch(member.role)
    if (member.role === 'read') this.#dispatch('beside')
  }

  #remove(member: Member): void {
    const at = this.#members.indexOf(member)
    if (at === -1) return
    this.#members.splice(at, 1)
    this.#restarts += 1
  }
}

function queueOf({ role, isBeside = false }: RunOptions): Role | 'beside' {
  return isBeside ? 'beside' : role
}

/** One thread of the pool and what it was told. */
class Member {
  readonly role: Role
  /** Tasks that keep the thread to themselves, and those that others get between. */
  running = 0
  #beside = 0
  isDead = false
  /** What a thread died over is asked again alone: nothing else dies with it a second time. */
  #isAlone = false
  readonly #link: WorkerLink
  readonly #sets = new Set<number>()

  constructor(role: Role, script: URL, onDeath: (member: Member) => void) {
    this.role = role
    const data: PoolWorkerData = { niceness: NICENESS[role], isReader: role === 'read' }
    this.#link = new WorkerLink(
      script,
      data,
      () => {},
      () => {
        this.isDead = true
        onDeath(this)
      }
    )
  }

  get isIdle(): boolean {
    return this.running + this.#beside === 0
  }

  /** Whether it has less to do than another one, of which most counts what the task would be one of. */
  isFreer(other: Member, isBeside: boolean): boolean {
    const more = this.running - other.running
    const moreBeside = this.#beside - other.#beside
    return isBeside ? (moreBeside || more) < 0 : (more || moreBeside) < 0
  }

  takes({ attempts }: Job): boolean {
    return this.isIdle || (attempts === 0 && !this.#isAlone)
  }

  async ask({ kind, ask, attempts, options: { set, isBeside = false } }: Job): Promise<Outcome> {
    this.#count(isBeside, 1)
    this.#isAlone = attempts > 1
    try {
      if (set !== undefined && !this.#sets.has(set.set)) {
        this.#sets.add(set.set)
        this.#link.tell({ do: 'set', set } satisfies Notice)
      }
      return (await this.#link.request({ do: kind, ask })) as Outcome
    } finally {
      this.#count(isBeside, -1)
    }
  }

  #count(isBeside: boolean, by: number): void {
    if (isBeside) this.#beside += by
    else this.running += by
  }

  forget(notice: Extract<Notice, { do: 'forget' }>): void {
    for (const set of notice.sets) this.#sets.delete(set)
    this.#link.tell(notice)
  }

  /** Waits for what it still does. */
  async end(): Promise<void> {
    try {
      await this.#link.request('end')
    } catch {
      // It died before it was told to end, which is as good.
    }
    await this.#link.ended()
  }
}

function workersDied(kind: TaskKind, cause: unknown): StoreError<'VECTORS_UNAVAILABLE'> {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const message = `Two workers died over '${kind}' of the vector index: ${reason}`
  return new StoreError('VECTORS_UNAVAILABLE', message, { reason }, { cause })
}
