import type { ImportOptions } from '../types.ts'
import type { Batch } from './batch.ts'
import { DryRun } from './dry-run.ts'
import type { Tally } from './tally.ts'
import type { ImportTarget, LenientOptions, LenientResult } from './target.ts'

/** Enough to keep the writer busy while the next batch is read; each costs its batch's memory. */
const IN_FLIGHT_MAX = 16

/** Commits batches, several at a time, and tallies their results in order. */
export class Committer {
  readonly #target: ImportTarget
  readonly #dryRun: DryRun | undefined
  readonly #tally: Tally
  readonly #strict: boolean
  readonly #options: LenientOptions
  readonly #inFlightMax: number
  #inFlight: Promise<void>[] = []
  #failure: { error: unknown } | undefined

  constructor(target: ImportTarget, tally: Tally, options: ImportOptions) {
    const { durability, signal, createMissing, strict, dryRun } = options
    this.#target = target
    this.#dryRun = dryRun === true ? new DryRun(target) : undefined
    this.#tally = tally
    this.#strict = strict === true
    this.#options = {
      ...(durability !== undefined && { durability }),
      ...(signal !== undefined && { signal }),
      ...(createMissing !== undefined && { createMissing })
    }
    // A dry run must know what the batch before it made, a strict one whether to go on at all.
    this.#inFlightMax = this.#strict || dryRun === true ? 1 : IN_FLIGHT_MAX
  }

  /** What stopped this import first, if anything did. */
  get failure(): { error: unknown } | undefined {
    return this.#failure
  }

  /** Hands a batch over once there is room for it. Throws what went wrong with an earlier one. */
  async add(batch: Batch): Promise<void> {
    while (this.#inFlight.length >= this.#inFlightMax) await this.#inFlight[0]
    this.#throwFailure()
    const previous = this.#inFlight.at(-1)
    const done = this.#finish(batch, this.#commit(batch), previous).catch((error: unknown) => {
      this.#failure ??= { error }
    })
    const settled = done.then(() => {
      this.#inFlight = this.#inFlight.filter((one) => one !== settled)
    })
    this.#inFlight.push(settled)
    if (this.#strict) await this.finish()
  }

  /** Waits for all batches. Throws what went wrong with the first that failed. */
  async finish(): Promise<void> {
    await this.settle()
    this.#throwFailure()
  }

  /** Waits until no commit is under way, whatever became of it. */
  async settle(): Promise<void> {
    await Promise.all(this.#inFlight)
  }

  async #finish(
    batch: Batch,
    result: Promise<LenientResult>,
    previous: Promise<void> | undefined
  ): Promise<void> {
    // Awaited together: a commit that fails early must not wait unhandled for the one before it.
    const [{ rejected }] = await Promise.all([result, previous])
    // What follows a failed batch is committed or not, but no longer part of a report.
    if (this.#failure === undefined) await this.#tally.add(batch, rejected)
  }

  async #commit(batch: Batch): Promise<LenientResult> {
    const { commands } = batch
    if (commands.length === 0) return { rejected: [] }
    if (this.#dryRun !== undefined) {
      return this.#dryRun.commitLenient(commands, this.#options)
    }
    if (!this.#strict) return this.#target.commitLenient(commands, this.#options)

    // Strict stops at the first bad line, so nothing behind it may be committed with it.
    const trial = await this.#target.commitLenient(commands, { ...this.#options, dryRun: true })
    if (trial.rejected.length === 0) return this.#target.commitLenient(commands, this.#options)
    const first = Math.min(...trial.rejected.map(({ command }) => command))
    const good = commands.slice(0, first)
    const { rejected } = await this.#target.commitLenient(good, this.#options)
    return { rejected: [...rejected, ...trial.rejected] }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
