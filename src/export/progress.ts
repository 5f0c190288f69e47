import type { ExportOptions, ExportProgress } from '../types.ts'

const PROGRESS_MS = 100

/** Counts what an export wrote and tells the caller now and then. */
export class ExportProgressTeller {
  concepts = 0
  associations = 0
  bytes = 0
  readonly #onProgress: ExportOptions['onProgress']
  readonly #recordsTotal: number | undefined
  readonly #began = performance.now()
  #toldAt = this.#began

  constructor({ onProgress }: ExportOptions, recordsTotal: number | undefined) {
    this.#onProgress = onProgress
    this.#recordsTotal = recordsTotal
  }

  tell(always = false): void {
    const now = performance.now()
    if (this.#onProgress === undefined || (!always && now - this.#toldAt < PROGRESS_MS)) return
    this.#toldAt = now
    const { concepts, associations, bytes } = this
    const progress: ExportProgress = {
      records: concepts + associations,
      concepts,
      associations,
      bytes,
      seconds: (now - this.#began) / 1000
    }
    const recordsTotal = this.#recordsTotal
    this.#onProgress(recordsTotal === undefined ? progress : { ...progress, recordsTotal })
  }
}
