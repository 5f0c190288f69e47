import { isStoreError, open, type Store, type StoreOptions } from '../index.ts'
import { Printer } from './printer.ts'

/** The caller asked for something that makes no sense: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A command that did its work and found that something is wrong: exit code 1, nothing to add. */
export class Failed extends Error {
  override readonly name = 'Failed'
}

export interface StoreFlags {
  dir: string
  json?: true
}

const INTERRUPTED = 130
const TERMINATED = 143
const AWAKE_MS = 60_000

/** One run of the command line: where it prints, and how it is told to stop. */
export class Session {
  readonly printer: Printer = new Printer(process.stdout, process.env)
  readonly #controller = new AbortController()
  // Workers and timers of a store never keep a process alive, but a command that waits for them must.
  readonly #awake = setInterval(() => undefined, AWAKE_MS)
  #exitCode = 0
  readonly #onInterrupt = () => this.#stop(INTERRUPTED)
  readonly #onTerminate = () => this.#stop(TERMINATED)

  constructor() {
    process.on('SIGINT', this.#onInterrupt)
    process.on('SIGTERM', this.#onTerminate)
    // Messages and progress for somebody who has gone away are no reason to fail.
    process.stderr.on('error', () => undefined)
  }

  /** Fires when the person at the keyboard has had enough. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether somebody looks at what is printed, on a terminal that can do more than print lines. */
  get isTerminal(): boolean {
    return process.stdout.isTTY === true && process.env['TERM'] !== 'dumb'
  }

  /** Ctrl-C, where the terminal hands it over as a key. */
  interrupt(): void {
    this.#stop(INTERRUPTED)
  }

  /** Opens a store that must exist, for reading alone, and closes it on every path. */
  async read(
    { dir }: StoreFlags,
    work: (store: Store) => Promise<void>,
    options: StoreOptions = {}
  ): Promise<void> {
    const reading = { ...options, readOnly: true, createIfMissing: false }
    await this.withStore(dir, reading, work)
  }

  async withStore(
    directory: string,
    options: StoreOptions,
    work: (store: Store) => Promise<void>
  ): Promise<void> {
    const store = await open(directory, options)
    try {
      this.signal.throwIfAborted()
      await work(store)
      await this.printer.flush()
    } finally {
      await store.close()
    }
  }

  /** Says why a run ended and returns its exit code. */
  report(error: unknown): number {
    if (this.#exitCode !== 0) {
      warn(isAbort(error) ? 'Interrupted' : describe(error))
      return this.#exitCode
    }
    if (error instanceof Failed) return 1
    // The reader of a pipe may leave when it has seen enough, as `head` does.
    if (isBrokenPipe(error)) return 0
    warn(error instanceof UsageError ? error.message : describe(error))
    if (process.env['SUTRA_DEBUG'] && error instanceof Error) warn(error.stack ?? '')
    return isMisuse(error) ? 2 : 1
  }

  /** The exit code of a run that came to its end: it may have been told to. */
  get exitCode(): number {
    return this.#exitCode
  }

  end(): void {
    clearInterval(this.#awake)
    process.off('SIGINT', this.#onInterrupt)
    process.off('SIGTERM', this.#onTerminate)
  }

  #stop(exitCode: number): void {
    // Whoever asks twice does not want to wait. A store is safe to leave at any instant.
    if (this.#exitCode !== 0) process.exit(exitCode)
    this.#exitCode = exitCode
    this.#controller.abort()
  }
}

/** Tells the person at the keyboard what is no result. */
export function warn(message: string): void {
  process.stderr.write(`sutra: ${message}\n`)
}

/** The message of an error with its code, on one line. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? error.code : error.name
  const message = error.message.replace(/\s+/g, ' ').trim()
  const cause = isStoreError(error) ? undefined : error.cause
  const because = cause instanceof Error ? `: ${cause.message}` : ''
  const said = `${message}${because}`
  // The reason that a line was refused for may end with it.
  return said.endsWith(`(${String(code)})`) ? said : `${said} (${String(code)})`
}

function isAbort(error: unknown): boolean {
  return isStoreError(error, 'ABORTED') || (error instanceof Error && error.name === 'AbortError')
}

/** What the store refuses for the same reason as the command line would. */
function isMisuse(error: unknown): boolean {
  return (
    error instanceof UsageError ||
    isStoreError(error, 'QUERY_INVALID') ||
    isStoreError(error, 'OPTION_INVALID')
  )
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
