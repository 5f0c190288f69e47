import { isStoreError, StoreError } from '../errors.ts'
import type { ImportOptions, ImportProgress, ImportReport } from '../types.ts'
import type { Batch, Rejection } from './batch.ts'
import type { RejectFile } from './reject-file.ts'
import type { Rows } from './rows.ts'

const REPORTED_MAX = 1000
const PROGRESS_MS = 100

/** Counts what an import does: `records = concepts + associations + rejectedCount` at its end. */
export class Tally {
  records = 0
  #concepts = 0
  #associations = 0
  #rejectedCount = 0
  readonly #rejected: ImportReport['rejected'] = []
  readonly #rows: Rows
  readonly #rejectFile: RejectFile | undefined
  readonly #options: ImportOptions
  readonly #began = performance.now()
  #toldAt = this.#began

  constructor(rows: Rows, rejectFile: RejectFile | undefined, options: ImportOptions) {
    this.#rows = rows
    this.#rejectFile = rejectFile
    this.#options = options
  }

  /**
   * Takes in what became of a batch. Batches come in the order of their rows.
   *
   * @throws StoreError `IMPORT_LINE_INVALID` for its first bad row when the import is strict.
   */
  async add(batch: Batch, rejected: readonly { command: number; error: Error }[]): Promise<void> {
    const left = new Set(rejected.map(({ command }) => command))
    batch.commands.forEach((command, index) => {
      if (left.has(index)) return
      if (command.do === 'learn') this.#concepts += 1
      else this.#associations += 1
    })
    const rejections = batch.rejections(rejected)
    const [first] = rejections
    if (first === undefined) return
    const room = REPORTED_MAX - this.#rejected.length
    const described = rejections.map(describe)
    this.#rejectedCount += rejections.length
    this.#rejected.push(...described.slice(0, room).map(({ line, reason }) => ({ line, reason })))
    await this.#rejectFile?.write(described)
    if (this.#options.strict === true) throw lineInvalid(first)
  }

  /** Tells the caller how far the import is, unless that was done a moment ago. */
  tell(always = false): void {
    const { onProgress } = this.#options
    const now = performance.now()
    if (onProgress === undefined || (!always && now - this.#toldAt < PROGRESS_MS)) return
    this.#toldAt = now
    const { bytes, bytesTotal } = this.#rows
    const progress: ImportProgress = {
      records: this.records,
      concepts: this.#concepts,
      associations: this.#associations,
      rejected: this.#rejectedCount,
      bytes,
      seconds: this.#seconds(now)
    }
    onProgress(bytesTotal === undefined ? progress : { ...progress, bytesTotal })
  }

  report(position: number): ImportReport {
    return {
      records: this.records,
      concepts: this.#concepts,
      associations: this.#associations,
      rejected: this.#rejected,
      rejectedCount: this.#rejectedCount,
      seconds: this.#seconds(performance.now()),
      position
    }
  }

  #seconds(now: number): number {
    return (now - this.#began) / 1000
  }
}

function describe({ row, error }: Rejection): { line: number; reason: string; text?: string } {
  const { line, file, text } = row
  const code = isStoreError(error) ? error.code : 'IMPORT_LINE_INVALID'
  const reason = `${file === undefined ? '' : `${file}: `}${error.message} (${code})`
  return text === undefined ? { line, reason } : { line, reason, text }
}

function lineInvalid(rejection: Rejection): StoreError<'IMPORT_LINE_INVALID'> {
  const { line, reason } = describe(rejection)
  const message = `Line ${line} is invalid: ${reason}`
  return new StoreError(
    'IMPORT_LINE_INVALID',
    message,
    { line, reason },
    { cause: rejection.error }
  )
}
