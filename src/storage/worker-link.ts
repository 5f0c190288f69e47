/** Questions to a worker thread and answers from it, one pair of functions for both ends. */
import { setPriority } from 'node:os'
import { parentPort, type ResourceLimits, type Transferable, Worker } from 'node:worker_threads'
import { StoreError, type StoreErrorCode, type StoreErrorDetails } from '../errors.ts'

/** In place of the number of a question: nobody asked, or nobody waits. */
const UNASKED = 0

interface Request {
  id: number
  body: unknown
}

type Reply =
  | { id: number; body: unknown }
  | { id: number; failure: Failure }
  | { id: typeof UNASKED; notice: unknown }

/** An error as it travels: classes do not survive the way between threads. */
interface Failure {
  message: string
  stack: string | undefined
  store?: { code: StoreErrorCode; details: unknown }
  system?: SystemFailure
}

/** What the system or LevelDB says beside the message: whoever asked tells such errors by it. */
interface SystemFailure {
  code: string
  errno?: number
  syscall?: string
  path?: string
  /** LevelDB's own reason is the cause of its error. */
  cause?: Failure
}

interface Pending {
  resolve: (body: unknown) => void
  reject: (error: Error) => void
}

/** The main thread's end. */
export class WorkerLink {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  readonly #ended: Promise<void>
  #nextId = 1
  readonly #onDeath: (error: Error) => void
  #death: Error | undefined

  /**
   * @param onDeath Called when the thread ends, whether it was told to or not.
   * @param resourceLimits For a thread that reads what others wrote: beyond them, it ends.
   */
  constructor(
    script: URL,
    data: unknown,
    onNotice: (notice: unknown) => void,
    onDeath: (error: Error) => void = () => {},
    resourceLimits: ResourceLimits = {}
  ) {
    this.#onDeath = onDeath
    this.#worker = new Worker(script, { workerData: data, execArgv: [], resourceLimits })
    // A store that was not closed must not keep the process alive; a question under way does.
    this.#worker.unref()
    this.#worker.on('message', (reply: Reply) => this.#receive(reply, onNotice))
    this.#worker.on('error', (error: Error) => this.#die(error))
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#die(new Error(`The worker thread ended with code ${code}`))
        resolve()
      })
    })
  }

  async request(body: unknown, transfer: Transferable[] = []): Promise<unknown> {
    if (this.#death !== undefined) throw this.#death
    const id = this.#nextId++
    if (this.#pending.size === 0) this.#worker.ref()
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      const request: Request = { id, body }
      this.#worker.postMessage(request, transfer)
    })
  }

  /** Tells the thread something that needs no answer, before what is asked next. */
  tell(body: unknown): void {
    if (this.#death === undefined) this.#worker.postMessage({ id: UNASKED, body })
  }

  /** Resolves when the thread has ended by itself, after a request that told it to. */
  async ended(): Promise<void> {
    this.#worker.ref()
    await this.#ended
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #receive(reply: Reply, onNotice: (notice: unknown) => void): void {
    if ('notice' in reply) {
      onNotice(reply.notice)
      return
    }
    const pending = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    if (this.#pending.size === 0) this.#worker.unref()
    if ('failure' in reply) pending?.reject(revive(reply.failure))
    else pending?.resolve(reply.body)
  }

  #die(error: Error): void {
    if (this.#death === undefined) {
      this.#death = error
      this.#onDeath(error)
    }
    for (const { reject } of this.#pending.values()) reject(this.#death)
    this.#pending.clear()
  }
}

/** Niceness of our threads: where cores are short, the main thread gets about nine tenths of one. */
const BACKGROUND_NICENESS = 10

/**
 * Lets the program's own threads go first. Only Linux knows a priority of single threads; what a
 * thread starts inherits it, LevelDB's and usearch's threads too, so this comes before anything else.
 */
export function runInBackground(niceness: number = BACKGROUND_NICENESS): void {
  if (process.platform !== 'linux') return
  try {
    // Without a process id the call is about the calling thread.
    setPriority(niceness)
  } catch {
    // A sandbox may forbid it. It is a courtesy and changes no result.
  }
}

/**
 * The worker's end: answers each request with what `handle` resolves to or rejects with.
 *
 * @param onTold Takes what needs no answer. An error of it ends the thread.
 */
export function serve(
  handle: (body: unknown) => Promise<unknown>,
  onTold: (body: unknown) => void = () => {}
): void {
  const port = workerPort()
  port.on('message', (request: Request) => {
    if (request.id === UNASKED) onTold(request.body)
    else void answer(request, handle)
  })
}

/** Tells the main thread something it did not ask for. */
export function notify(notice: unknown): void {
  const reply: Reply = { id: UNASKED, notice }
  workerPort().postMessage(reply)
}

/** Lets the thread end once the answer to the present request is on its way. */
export function endWorker(): void {
  setImmediate(() => workerPort().close())
}

async function answer(
  request: Request,
  handle: (body: unknown) => Promise<unknown>
): Promise<void> {
  let reply: Reply
  try {
    reply = { id: request.id, body: await handle(request.body) }
  } catch (error) {
    reply = { id: request.id, failure: flatten(error) }
  }
  workerPort().postMessage(reply)
}

function workerPort(): NonNullable<typeof parentPort> {
  if (parentPort === null) throw new Error('This file runs in a worker thread alone')
  return parentPort
}

function flatten(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error), stack: undefined }
  const { message, stack } = error
  if (error instanceof StoreError) {
    return { message, stack, store: { code: error.code, details: error.details } }
  }
  const system = systemFailure(error)
  return { message, stack, ...(system === undefined ? {} : { system }) }
}

/** Mistakes of the program have codes in Node as well: they are not the system's. */
function systemFailure(error: Error): SystemFailure | undefined {
  if (error instanceof TypeError || error instanceof RangeError) return undefined
  const { code, errno, syscall, path } = error as NodeJS.ErrnoException
  if (typeof code !== 'string') return undefined
  return {
    code,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path }),
    ...(error.cause instanceof Error ? { cause: flatten(error.cause) } : {})
  }
}

function revive(failure: Failure): Error {
  const { message, stack, store, system } = failure
  const error = new Error(message)
  if (stack !== undefined) error.stack = stack
  if (system !== undefined) {
    const { cause, ...said } = system
    Object.assign(error, said, cause === undefined ? {} : { cause: revive(cause) })
  }
  if (store === undefined) return error
  // The details travelled with their code.
  const details = store.details as StoreErrorDetails[StoreErrorCode]
  return new StoreError(store.code, message, details, { cause: error })
}
