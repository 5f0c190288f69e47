import type { ImportOptions } from '../types.ts'
import type { Batch, Outcome } from './batch.ts'
import { DryRun } from './dry-run.ts'
import type { Resume } from './resume.ts'
import type { Tally } from './tally.ts'
import type { ImportTarget, LenientOptions } from './target.ts'
import { BatchOrder, WaitingNames } from './waiting-names.ts'

/** Enough to keep the writer busy while the next batch is read; each costs its batch's memory. */
export const IN_FLIGHT_MAX = 16

/** Commits batches, several at a time, and tallies their results in order. */
export class Committer {
  readonly #target: ImportTarget
  readonly #dryRun: DryRun | undefined
  readonly #tally: Tally
  readonly #resume: Resume | undefined
  readonly #strict: boolean
  readonly #options: LenientOptions
  readonly #inFlightMax: number
  /** As of the batch that was staged last; the feed adds those that an earlier run left waiting. */
  readonly waiting: WaitingNames = new WaitingNames()
  #inFlight: Promise<void>[] = []
  #failure: { error: unknown } | undefined

  constructor(
    target: ImportTarget,
    tally: Tally,
    resume: Resume | undefined,
    options: ImportOptions
  ) {
    const { durability, signal, createMissing, strict, dryRun } = options
    this.#target = target
    this.#dryRun = dryRun === true ? new DryRun(target) : undefined
    this.#tally = tally
    this.#resume = resume
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
    if (this.#resume?.isCommitted(batch) === true) {
      batch.outcome = await this.#resume.earlierOutcome(batch)
      this.waiting.noteEarlier(batch, batch.outcome.waits)
      await this.#tally.add(batch.outcome)
      return
    }
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
    outcome: Promise<Outcome>,
    previous: Promise<void> | undefined
  ): Promise<void> {
    // Awaited together: a commit that fails early must not wait unhandled for the one before it.
    const [known] = await Promise.all([outcome, previous])
    // What follows a failed batch is not committed, and no part of a report.
    batch.outcome = known
    if (this.#failure === undefined) await this.#tally.add(known)
    batch.release()
  }

  async #commit(batch: Batch): Promise<Outcome> {
    const { commands } = batch
    if (this.#dryRun !== undefined) {
      if (commands.length === 0) return batch.settle([])
      const { rejected } = await this.#dryRun.commitLenient(
        commands,
        this.#optionsFor(batch, false)
      )
      return batch.settle(rejected)
    }
    return this.#strict ? this.#commitStrictly(batch) : this.#commitBatch(batch)
  }

  /** Where it can be resumed, also a batch of bad records alone: the place behind them counts. */
  async #commitBatch(batch: Batch): Promise<Outcome> {
    const { commands } = batch
    if (commands.length === 0 && this.#resume === undefined) return batch.settle([])
    const options = { ...this.#optionsFor(batch, false), ...this.#resume?.noteOf(batch) }
    const { rejected } = await this.#target.commitLenient(commands, options)
    return batch.outcome ?? batch.settle(rejected)
  }

  /** Strict stops at the first bad line, so nothing behind it may be committed with it. */
  async #commitStrictly(batch: Batch): Promise<Outcome> {
    const { commands } = batch
    const options = { ...this.#optionsFor(batch, true), dryRun: true }
    const trial =
      commands.length === 0 ? { rejected: [] } : await this.#target.commitLenient(commands, options)
    const bad = trial.rejected.filter(({ command, error }) => !batch.mayWait(command, error))
    if (bad.length === 0 && !batch.hasFault) return this.#commitBatch(batch)
    // A batch of a strict import ends with its first bad line, if a look at it is enough.
    const first = Math.min(commands.length, ...bad.map(({ command }) => command))
    // The place behind this commit is before the bad line: a next run meets it again.
    if (first > 0) await this.#commitBatch(batch.upTo(first))
    return batch.settle(trial.rejected)
  }

  /** Nothing is made up for an association that may still find its ends. */
  #optionsFor(batch: Batch, isTrial: boolean): LenientOptions {
    if (batch.try === 'only') return this.#options
    const order = new BatchOrder(batch, this.waiting, isTrial)
    if (batch.try === 'second') return { ...this.#options, order }
    return { ...this.#options, createMissing: false, order }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
