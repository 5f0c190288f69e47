/** What an import needs of a store: commits in order, and how far an earlier run has come. */
import { checkCommitOptions } from '../append/commit-options.ts'
import { prepareCommit } from '../append/prepare.ts'
import type {
  CommitOutcome,
  EmbeddedTexts,
  LenientOptions,
  LineOrder,
  Rejected,
  Series,
  WaitingCommit
} from '../append/staged-commit.ts'
import { StoreError, throwIfAborted } from '../errors.ts'
import type { Limits } from '../options.ts'
import { nowUs } from '../telemetry/latency.ts'
import type { Command, CommitOptions, Durability } from '../types.ts'
import type { Engine } from './engine.ts'
import { enterLine } from './enter-line.ts'
import { tellCommit, tellFailure, timeEmbed } from './tell-commit.ts'

export interface ImportLineOptions {
  durability?: Durability
  signal?: AbortSignal
  createMissing?: boolean
  dryRun?: boolean
  idempotencyKey?: string
  order?: LineOrder
  headersOf?: (rejected: Rejected[]) => Record<string, string>
}

/** One for each import: its commits take effect in the order of the calls, without a hole. */
export class ImportLine {
  readonly resumable: Set<string>
  readonly #engine: Engine
  readonly #assertWritable: () => void
  readonly #series: Series = { staged: 0 }
  /** A strict import tries a batch before it commits it. Held no longer than its commands. */
  readonly #embedded: EmbeddedTexts = new WeakMap()
  #headers = new Map<number, Record<string, string>>()
  #given = 0
  #entered: Promise<unknown> = Promise.resolve()

  /** @param resumable Of the store: the keys of its imports under way. */
  constructor(engine: Engine, resumable: Set<string>, assertWritable: () => void) {
    this.#engine = engine
    this.resumable = resumable
    this.#assertWritable = assertWritable
  }

  get limits(): Readonly<Limits> {
    return this.#engine.limits
  }

  get position(): number {
    return this.#engine.parts.log.head
  }

  get closing(): AbortSignal {
    return this.#engine.closing.signal
  }

  async commitLenient(
    commands: readonly Command[],
    options: ImportLineOptions
  ): Promise<{ rejected: Rejected[] }> {
    const started = nowUs()
    this.#given += 1
    const entered = this.#enter(commands, options, this.#given, this.#entered)
    this.#entered = entered
    const { receipt, rejected } = await this.#settle(entered, commands, started)
    if (options.dryRun !== true) {
      tellCommit(this.#engine, 'import', commands.length, receipt, nowUs() - started)
    }
    if (receipt.outcome === 'duplicate') throw lostBefore(options.idempotencyKey, receipt)
    return { rejected }
  }

  async #settle(
    entered: Promise<{ settled: Promise<CommitOutcome> }>,
    commands: readonly Command[],
    started: number
  ): Promise<CommitOutcome> {
    try {
      const { settled } = await entered
      return await settled
    } catch (error) {
      tellFailure(this.#engine, commands, error, nowUs() - started)
      throw error
    }
  }

  /** Also of a commit that the tables do not hold yet, but of none that is not acknowledged. */
  commitOf(idempotencyKey: string): number | undefined {
    const { stage } = this.#engine.parts
    const first = stage.notedCommit(idempotencyKey)?.first ?? stage.storedCommit(idempotencyKey)
    return first !== undefined && first <= this.position ? first : undefined
  }

  async headersAt(position: number): Promise<Readonly<Record<string, string>>> {
    // Commits are asked for one after another, and most of them share a frame.
    if (!this.#headers.has(position)) this.#headers = await this.#readHeaders(position)
    return this.#headers.get(position) ?? {}
  }

  /** Of all commits in the frame that holds this position, by their first positions. */
  async #readHeaders(position: number): Promise<Map<number, Record<string, string>>> {
    for await (const { commits } of this.#engine.parts.log.read(position)) {
      return new Map(commits.map(({ first, meta }) => [first, meta?.headers ?? {}]))
    }
    return new Map()
  }

  /**
   * Gets in line behind the commit before. Embedding may take one commit longer than another, so
   * each waits for its turn; and with one that never got in line, none behind it does.
   */
  async #enter(
    commands: readonly Command[],
    options: ImportLineOptions,
    number: number,
    before: Promise<unknown>
  ): Promise<{ settled: Promise<CommitOutcome> }> {
    throwIfAborted(options.signal, 'import')
    const prepared = this.#prepare(commands, options, number)
    const commit =
      prepared instanceof Promise
        ? await waitForBoth(timeEmbed(this.#engine, prepared), before)
        : prepared
    await before
    return enterLine(this.#engine, commit)
  }

  #prepare(
    commands: readonly Command[],
    options: ImportLineOptions,
    number: number
  ): WaitingCommit | Promise<WaitingCommit> {
    this.#assertWritable()
    const { limits, parts, embed, closing } = this.#engine
    const { durability, signal, createMissing = false, dryRun = false } = options
    const given: CommitOptions = {
      ...(durability === undefined ? {} : { durability }),
      ...(signal === undefined ? {} : { signal })
    }
    const scope = { command: undefined, limits }
    const { idempotencyKey, order, headersOf } = options
    // The key is our own, and no limit on a caller's keys applies to it.
    const valid = {
      ...checkCommitOptions(scope, given, parts.options.durability),
      idempotencyKey
    }
    const series = { number, of: this.#series }
    const embedded = this.#embedded
    const lenient: LenientOptions = { createMissing, dryRun, series, order, headersOf, embedded }
    const context = { limits, vectors: parts.declaration }
    const embedder = { embed, closing: closing.signal }
    return prepareCommit(context, embedder, commands, valid, lenient)
  }
}

/** What fails first is thrown, and the other never goes unheard. */
async function waitForBoth<T>(first: Promise<T>, second: Promise<unknown>): Promise<T> {
  const [value] = await Promise.all([first, second])
  return value
}

/** Possible only where a repair put a gap into the middle of an import. */
function lostBefore(
  idempotencyKey = '',
  { first, last }: { first: number; last: number }
): StoreError<'IDEMPOTENCY_CONFLICT'> {
  const message =
    `What this import commits now stands at ${first} to ${last} already, behind what was lost: ` +
    'import again under another key'
  return new StoreError('IDEMPOTENCY_CONFLICT', message, { idempotencyKey, first, last })
}
