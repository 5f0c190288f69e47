import { StoreError } from '../../errors.ts'
import type { SlotFile } from '../../storage/slot-file.ts'
import { type Checkpoint, encodeCheckpoint } from './checkpoint.ts'

export interface KeepOften {
  /** Handled events after which the checkpoint is written. */
  events: number
  /** Milliseconds after which it is on the disk at the latest. */
  ms: number
}

/**
 * Keeps the checkpoint of a subscription that runs.
 *
 * Written, it survives the process; synced, the machine. Both come after the handler, so a crash
 * between finds a checkpoint that is too low, never one that is too high.
 */
export class CheckpointKeeper {
  readonly #file: SlotFile
  readonly #often: KeepOften
  readonly #onFailed: (error: unknown) => void
  #checkpoint: Checkpoint
  #unwritten = 0
  #isWritten = true
  #isClosed = false
  #timer: NodeJS.Timeout | undefined

  /** @param onFailed Told of a failure to keep it in the background. */
  constructor(
    file: SlotFile,
    checkpoint: Checkpoint,
    often: KeepOften,
    onFailed: (error: unknown) => void
  ) {
    this.#file = file
    this.#checkpoint = checkpoint
    this.#often = often
    this.#onFailed = onFailed
  }

  get checkpoint(): Checkpoint {
    return this.#checkpoint
  }

  /** Notes how far all is handled, and by how many events that is more. */
  moved(position: number, time: number, events: number): void {
    if (this.#isClosed) return
    this.#change({ position, time })
    this.#unwritten += events
    if (this.#unwritten >= this.#often.events) this.#write()
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.keep().catch(this.#onFailed)
    }, this.#often.ms).unref()
  }

  /** Resolves when it is on the disk, with this change if one is given. */
  async keep(change: Partial<Checkpoint> = {}): Promise<void> {
    if (this.#isClosed) {
      // The store did not wait any longer for what the handler was about.
      const message = 'The subscription ended before its checkpoint was kept'
      throw new StoreError('STORE_CLOSED', message, { operation: 'subscription' })
    }
    this.#change(change)
    if (!this.#isWritten) this.#write()
    await this.#file.sync()
  }

  /** Keeps it for the last time. The file is closed whatever happens. */
  async close(isClean: boolean): Promise<void> {
    clearTimeout(this.#timer)
    try {
      const kept = this.keep({ isClean })
      this.#isClosed = true
      await kept
    } finally {
      this.#file.close()
    }
  }

  #change(change: Partial<Checkpoint>): void {
    if (Object.keys(change).length === 0) return
    this.#checkpoint = { ...this.#checkpoint, ...change }
    this.#isWritten = false
  }

  #write(): void {
    this.#file.write(encodeCheckpoint(this.#checkpoint))
    this.#unwritten = 0
    this.#isWritten = true
  }
}
