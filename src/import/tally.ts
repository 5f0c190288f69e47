import { StoreError } from '../errors.ts'
import type { ImportOptions, ImportProgress, ImportReport } from '../types.ts'
import type { Outcome, Rejection } from './batch.ts'
import { Rate } from './rate.ts'
import type { RejectFile } from './reject-file.ts'
import type { Resume } from './resume.ts'
import type { Rows } from './rows.ts'

export const REPORTED_MAX = 1000
const PROGRESS_MS = 100

/** Counts what an import does: `records = concepts + associations + rejectedCount` at its end. */
export class Tally {
  /** Read so far, those that were done before included. */
  records: number
  #concepts: number
  #associations: number
  #rejectedCount: number
  readonly #rejected: Rejection[]
  readonly #rows: Rows
  readonly #rejectFile: RejectFile | undefined
  readonly #resume: Resume | undefined
  readonly #options: ImportOptions
  readonly #began = performance.now()
  readonly #rate: Rate
  #toldAt = this.#began

  constructor(
    rows: Rows,
    rejectFile: RejectFile | undefined,
    resume: Resume | undefined,
    options: ImportOptions
  ) {
    const { place, reported = [] } = resume ?? {}
    this.records = place?.mark.records ?? 0
    this.#concepts = place?.concepts ?? 0
    this.#associations = place?.associations ?? 0
    this.#rejectedCount = place?.rejected ?? 0
    this.#rejected = reported.slice(0, REPORTED_MAX)
    this.#rows = rows
    this.#rejectFile = rejectFile
    this.#resume = resume
    this.#options = options
    this.#rate = new Rate(this.#began, this.records, rows.bytes)
  }

  /**
   * Takes in what became of a batch. Batches come in the order of their rows.
   *
   * @throws StoreError `IMPORT_LINE_INVALID` for its first bad row when the import is strict.
   */
  async add({ concepts, associations, rejected, rejections }: Outcome): Promise<void> {
    this.#concepts += concepts
    this.#associations += associations
    this.#rejectedCount += rejected
    const [first] = rejections
    if (first === undefined) return
    const room = REPORTED_MAX - this.#rejected.length
    for (const one of rejections.slice(0, room)) this.#rejected.push({ ...one, text: undefined })
    await this.#rejectFile?.write(rejections)
    if (this.#options.strict === true) throw lineInvalid(first)
  }

  /** Tells the caller how far the import is, unless that was done a moment ago. */
  tell(always = false): void {
    const { onProgress } = this.#options
    if (onProgress === undefined) return
    const now = performance.now()
    if (!always && now - this.#toldAt < PROGRESS_MS) return
    this.#toldAt = now
    const { bytes, bytesTotal } = this.#rows
    this.#rate.update(now, this.records, bytes)
    const secondsLeft =
      bytesTotal === undefined ? undefined : this.#rate.secondsFor(bytesTotal - bytes)
    const progress: ImportProgress = {
      records: this.records,
      concepts: this.#concepts,
      associations: this.#associations,
      rejected: this.#rejectedCount,
      bytes,
      ...(bytesTotal === undefined ? {} : { bytesTotal }),
      recordsPerSecond: this.#rate.recordsPerSecond,
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
      seconds: this.#seconds(now)
    }
    onProgress(progress)
  }

  report(position: number): ImportReport {
    const resume = this.#resume
    return {
      records: resume?.isDone === true ? this.#decided : this.records,
      concepts: this.#concepts,
      associations: this.#associations,
      rejected: this.#rejected
        .toSorted((a, b) => a.number - b.number)
        .map(({ line, reason }) => ({ line, reason })),
      rejectedCount: this.#rejectedCount,
      seconds: this.#seconds(performance.now()),
      position,
      ...(resume === undefined
        ? {}
        : { resumedFrom: resume.recordsDone, alreadyImported: resume.isImported })
    }
  }

  get #decided(): number {
    return this.#concepts + this.#associations + this.#rejectedCount
  }

  #seconds(now: number): number {
    return (now - this.#began) / 1000
  }
}

function lineInvalid({ line, reason, error }: Rejection): StoreError<'IMPORT_LINE_INVALID'> {
  const message = `Line ${line} is invalid: ${reason}`
  return new StoreError('IMPORT_LINE_INVALID', message, { line, reason }, { cause: error })
}
