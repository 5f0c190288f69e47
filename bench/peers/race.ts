/** Lets each peer load the dataset and answer the questions, in turns, and compares the answers. */
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { installedVersions, type Peer } from './catalogue.ts'
import { Reference, TASKS, type Task } from './check.ts'
import { type Answered, type Message, type Run, runChild } from './child-process.ts'
import type { Made } from './dataset.ts'
import { K } from './questions.ts'

export interface RaceOptions {
  /** Each peer gets a directory of its own in it. */
  folder: string
  /** Questions are asked so often, the order of the peers reversed each time. */
  rounds: number
  /** The recall for which each peer takes the smallest expansion that reaches it. */
  recall: number
  /** For the questions of one task in one round: what is left then is not asked. */
  budgetMs: number
  /** A process that says nothing for so long is killed. */
  loadMs: number
  taskMs: number
  log?: (text: string) => void
  signal?: AbortSignal
}

export interface PeerResult {
  name: string
  title: string
  versions: Record<string, string>
  durability: string
  note: string
  skipped?: string
  load?: Loaded | Failed
  tasks: Partial<Record<Task, TaskResult>>
  /** A fresh process to its first answer, Node's start included. */
  reopen?: { task: Task; seconds: number; wrong: number; example?: string } | Failed
  openSeconds?: number
  servePeakBytes?: number
  /** Broke after everything was answered, such as at its end. */
  trouble: string[]
}

export interface Failed {
  error: string
}

export interface Loaded {
  /** Until it can be searched, and until it is closed. */
  readySeconds: number
  seconds: number
  parts: Record<string, number>
  diskBytes: number
  /** Of the process, and before the load began: the dataset and Node. */
  peakBytes: number
  baseBytes: number
}

export type TaskResult = { cannot: true } | Failed | Answers

export interface Answers {
  asked: number
  /** Questions there are: fewer were asked where the time for them was up. */
  of: number
  p50Us: number
  p99Us: number
  meanUs: number
  wrong: number
  example?: string
  recall?: number
  ef?: number
}

export async function race(
  peers: readonly Peer[],
  made: Made,
  options: RaceOptions
): Promise<PeerResult[]> {
  const reference = new Reference(made.data, made.questions)
  const racers = peers.map((peer) => new Racer(peer, made, reference, options))
  for (const racer of racers) await racer.load()
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? racers : racers.toReversed()
    for (const racer of order) await racer.serve(round)
  }
  return racers.map((racer) => racer.result())
}

class Racer {
  readonly #peer: Peer
  readonly #made: Made
  readonly #reference: Reference
  readonly #options: RaceOptions
  readonly #directory: string
  readonly #result: PeerResult
  readonly #rounds: Record<Task, Answers[]> = { get: [], hop: [], path: [], knn: [] }
  readonly #reopens: number[] = []
  readonly #opens: number[] = []

  constructor(peer: Peer, made: Made, reference: Reference, options: RaceOptions) {
    const { name, title, durability, note } = peer
    this.#peer = peer
    this.#made = made
    this.#reference = reference
    this.#options = options
    this.#directory = join(options.folder, name)
    this.#result = { name, title, versions: {}, durability, note, tasks: {}, trouble: [] }
  }

  async load(): Promise<void> {
    const installed = installedVersions(this.#peer)
    if ('missing' in installed) {
      this.#result.skipped = installed.missing
      this.#log(`skipped: ${installed.missing}`)
      return
    }
    this.#result.versions = installed.versions
    await mkdir(this.#directory, { recursive: true })
    const run = await this.#run('load', this.#options.loadMs)
    const loaded = run.messages.find((message) => message.event === 'loaded')
    if (loaded === undefined) {
      this.#result.load = { error: run.failure ?? 'said nothing' }
      this.#log(`load failed: ${run.failure}`)
      return
    }
    this.#trouble('load', run)
    const { readySeconds, closeSeconds, parts, baseBytes, peakBytes } = loaded
    const seconds = readySeconds + closeSeconds
    const diskBytes = await bytesIn(this.#directory)
    this.#result.load = { readySeconds, seconds, parts, diskBytes, peakBytes, baseBytes }
    this.#log(`loaded in ${seconds.toFixed(1)} s`)
  }

  /** Asks what is left to ask. A task that ends the process is not asked again; the others are. */
  async serve(round: number): Promise<void> {
    const { load } = this.#result
    if (load === undefined || 'error' in load) return
    let left = TASKS.filter((task) => !this.#isOut(task))
    while (left.length > 0) {
      const run = await this.#run('serve', this.#options.taskMs, left)
      const before = left.length
      for (const message of run.messages) this.#take(message)
      const answered = run.messages.flatMap((m) => (m.event === 'answered' ? [m.task] : []))
      left = left.filter((task) => !answered.includes(task))
      if (left.length === 0) this.#trouble('serve', run)
      const [broken] = left
      if (broken === undefined) break
      // Where it could not even be opened, no other question can be asked either.
      const hopeless = before === left.length && !run.messages.some((m) => m.event === 'task')
      for (const task of hopeless ? left : [broken]) {
        this.#result.tasks[task] = { error: run.failure ?? 'ended without an answer' }
      }
      left = hopeless ? [] : left.slice(1)
    }
    await this.#reopen()
    this.#log(`round ${round + 1} of ${this.#options.rounds}`)
  }

  result(): PeerResult {
    for (const task of TASKS) {
      const rounds = this.#rounds[task]
      if (rounds.length > 0 && !this.#isOut(task)) this.#result.tasks[task] = merge(rounds)
    }
    if (this.#opens.length > 0) this.#result.openSeconds = median(this.#opens)
    return this.#result
  }

  /** Fails or cannot do it: that will be no other in the next round. */
  #isOut(task: Task): boolean {
    const result = this.#result.tasks[task]
    return result !== undefined && ('cannot' in result || 'error' in result)
  }

  #take(message: Message): void {
    if (message.event === 'opened') this.#opens.push(message.seconds)
    if (message.event === 'served') {
      const { servePeakBytes = 0 } = this.#result
      this.#result.servePeakBytes = Math.max(servePeakBytes, message.peakBytes)
    }
    if (message.event === 'answered') this.#takeAnswers(message)
  }

  #takeAnswers({ task, cannot, error, us = [], answers = [], ef, recall }: Answered): void {
    if (cannot === true) this.#result.tasks[task] = { cannot }
    else if (error !== undefined) this.#result.tasks[task] = { error }
    else {
      this.#rounds[task].push({
        asked: us.length,
        of: this.#questionsOf(task),
        ...percentiles(us),
        ...this.#reference.check(task, answers),
        ...(ef === undefined ? {} : { ef }),
        ...(recall === undefined ? {} : { recall })
      })
    }
  }

  #questionsOf(task: Task): number {
    const { gets, hops, pairs, nearest } = this.#made.questions
    return { get: gets, hop: hops, path: pairs, knn: nearest }[task].length
  }

  /** Whoever has vectors is asked for the nearest ones, the others for one concept. */
  async #reopen(): Promise<void> {
    const { reopen } = this.#result
    if (reopen !== undefined && 'error' in reopen) return
    const task = this.#isOut('knn') ? 'get' : 'knn'
    if (this.#isOut(task)) return
    const run = await this.#run('reopen', this.#options.taskMs)
    const at = run.messages.findIndex((message) => message.event === 'first')
    const first = run.messages[at]
    if (first?.event !== 'first') {
      this.#result.reopen = { error: run.failure ?? 'said nothing' }
      return
    }
    this.#trouble('reopen', run)
    this.#reopens.push(run.seconds[at] ?? 0)
    const seconds = median(this.#reopens)
    this.#result.reopen = { task, seconds, ...this.#reference.check(task, [first.answer]) }
  }

  async #run(phase: 'load' | 'serve' | 'reopen', ms: number, tasks?: Task[]): Promise<Run> {
    const { budgetMs, recall, signal } = this.#options
    const { files, questions } = this.#made
    const ef = this.#rounds.knn[0]?.ef
    return runChild(
      {
        driver: this.#peer.driver,
        phase,
        directory: this.#directory,
        files,
        budgetMs,
        recall,
        k: K,
        task: this.#isOut('knn') ? 'get' : 'knn',
        ...(tasks === undefined ? {} : { tasks }),
        // Settled in the first round.
        ...(ef === undefined ? {} : { ef }),
        ...(phase === 'reopen' ? firstQuestion(questions) : {})
      },
      ms,
      signal
    )
  }

  #trouble(phase: string, { failure }: Run): void {
    if (failure !== undefined) this.#result.trouble.push(`${phase}: ${failure}`)
  }

  #log(text: string): void {
    this.#options.log?.(`${this.#peer.name}: ${text}`)
  }
}

/** As numbers in text: they become the same f32 again. */
function firstQuestion({ queries, dimensions, gets }: Made['questions']): {
  query: number[]
  key: string
} {
  return { query: [...queries.subarray(0, dimensions)], key: gets[0] ?? '' }
}

function percentiles(us: readonly number[]): Pick<Answers, 'p50Us' | 'p99Us' | 'meanUs'> {
  const sorted = [...us].sort((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  const meanUs = us.reduce((sum, each) => sum + each, 0) / us.length
  return { p50Us: at(0.5), p99Us: at(0.99), meanUs }
}

/** The middle round of each figure; every wrong answer counts. */
function merge(rounds: readonly Answers[]): Answers {
  const [first, ...others] = rounds
  if (first === undefined) throw new Error('There is no round to merge')
  const worst = others.find(({ wrong }) => wrong > first.wrong) ?? first
  const middle = (of: (answers: Answers) => number): number => median(rounds.map(of))
  return {
    ...worst,
    asked: Math.min(...rounds.map(({ asked }) => asked)),
    p50Us: middle(({ p50Us }) => p50Us),
    p99Us: middle(({ p99Us }) => p99Us),
    meanUs: middle(({ meanUs }) => meanUs)
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}

/** What files take of the disk: one may be longer than that, where it has holes. */
async function bytesIn(directory: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const { blocks } = await stat(join(entry.parentPath, entry.name))
    bytes += blocks * 512
  }
  return bytes
}
