import { isStoreError } from '../../errors.ts'
import type { NewTelemetryEvent, VectorStats } from '../../telemetry/types.ts'
import type { IndexBuilder } from './index-builder.ts'
import type { CancelFlag } from './pace.ts'
import type { ProgressSignal } from './progress.ts'
import { Retry } from './retry.ts'

export interface RecoverySetup {
  retryMs: number | undefined
  builder: IndexBuilder
  progress: ProgressSignal
  cancel: CancelFlag
  /** Brings the vectors of the log into rows, as a batch of the projection does first. */
  read(): Promise<void>
  emit(event: NewTelemetryEvent): void
}

/** Finds out when a projection that threads died over may go on. */
export class Recovery {
  readonly #setup: RecoverySetup
  readonly #retry: Retry

  constructor(setup: RecoverySetup) {
    this.#setup = setup
    this.#retry = new Retry(() => setup.progress.notify(), setup.retryMs)
  }

  /** Why no graph grows at present, if that is so. */
  stats(): Pick<VectorStats, 'buildError'> {
    const trouble = this.#setup.builder.trouble ?? this.#retry.trouble
    if (trouble === undefined) return {}
    const { error, failures, retryAt } = trouble
    return { buildError: { reason: error.message, failures, retryAt } }
  }

  /** `undefined` for an error that no second attempt helps against. */
  after(error: Error): Promise<boolean> | undefined {
    // The builder tries again by itself: the projection goes on when it has succeeded.
    if (this.#setup.builder.trouble !== undefined) return this.#whenBuilt()
    return isWorkersDeath(error) ? this.#whenRead(error) : undefined
  }

  stop(): void {
    this.#retry.stop()
  }

  /** @returns Whether the projection may go on; not if the index was closed. */
  async #whenBuilt(): Promise<boolean> {
    const { builder, progress, cancel } = this.#setup
    while (!cancel.raised && builder.error !== undefined) {
      // Damaged meanwhile: another index takes the place of this one.
      if (builder.trouble === undefined) return false
      await progress.next
    }
    return !cancel.raised
  }

  async #whenRead(first: Error): Promise<boolean> {
    const { progress, cancel } = this.#setup
    for (let error: Error | undefined = first; error !== undefined; ) {
      if (cancel.raised) return false
      this.#tell(error)
      while (this.#retry.isResting && !cancel.raised) await progress.next
      error = cancel.raised ? undefined : await this.#tryReading()
    }
    this.#retry.succeeded()
    return this.#whenBuilt()
  }

  /** @returns Why threads died again; what else is wrong the next batch meets, and stops for good. */
  async #tryReading(): Promise<Error | undefined> {
    try {
      await this.#setup.read()
      return undefined
    } catch (error) {
      return isWorkersDeath(error) ? error : undefined
    }
  }

  #tell(error: Error): void {
    const { message: reason } = error
    const { failures, retryMs } = this.#retry.failed(error)
    const time = Date.now()
    this.#setup.emit({ type: 'index-build-failed', time, reason, failures, retryMs })
  }
}

function isWorkersDeath(error: unknown): error is Error {
  return isStoreError(error, 'VECTORS_UNAVAILABLE')
}
