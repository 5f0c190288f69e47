import { statfs } from 'node:fs/promises'
import { StoreError } from '../errors.ts'
import type { TelemetryHub } from '../telemetry/hub.ts'

/** The file system is asked this often while there is writing, and after so many bytes of it. */
const EVERY_MS = 250
const EVERY_BYTES = 4 * 1024 * 1024
/** On a small disk the reserve is a part of it: a store must be able to use most of its disk. */
const DISK_SHARE = 1 / 16
/** Writing goes on once so much more than the reserve is free, so that it does not flicker. */
const RECOVERED = 1.25

/** What the system says of a disk: blocks that are free for us, all blocks, bytes of each. */
interface DiskSpace {
  bavail: number
  blocks: number
  bsize: number
}

/**
 * Refuses writes *before* the disk is full: LevelDB does not survive a failed write, and the tables,
 * the vectors and a repair need room too. What is refused was not begun.
 */
export class DiskGuard {
  readonly #directory: string
  readonly #reserveBytes: number
  readonly #hub: TelemetryHub
  readonly #ask: (directory: string) => Promise<DiskSpace>
  #askedAt = Number.NEGATIVE_INFINITY
  #bytes = 0
  #asking: Promise<void> | undefined
  #free = 0
  #reserve = 0
  #low = false

  constructor(
    directory: string,
    reserveBytes: number,
    hub: TelemetryHub,
    ask: (directory: string) => Promise<DiskSpace> = statfs
  ) {
    this.#ask = ask
    this.#directory = directory
    this.#reserveBytes = reserveBytes
    this.#hub = hub
  }

  /** Free bytes when last asked, and what is kept of them; zeros before the first write. */
  get reading(): { freeBytes: number; reserveBytes: number; low: boolean } {
    return { freeBytes: this.#free, reserveBytes: this.#reserve, low: this.#low }
  }

  /** Asks the system, unless it was asked a moment ago. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#askedAt < EVERY_MS) return
    await this.#lookOnce()
  }

  appended(bytes: number): void {
    this.#bytes += bytes
  }

  /**
   * `undefined` while there is surely room, which costs a look at the clock.
   *
   * @throws StoreError `DISK_LOW`
   */
  room(): Promise<void> | undefined {
    if (this.#reserveBytes === 0) return undefined
    const isDue =
      this.#low || this.#bytes >= EVERY_BYTES || performance.now() - this.#askedAt >= EVERY_MS
    return isDue ? this.#check() : undefined
  }

  async #check(): Promise<void> {
    await this.#lookOnce()
    if (!this.#low) return
    const { freeBytes, reserveBytes } = this.reading
    const message = `Only ${freeBytes} bytes of the disk are free, ${reserveBytes} are kept in reserve`
    throw new StoreError('DISK_LOW', message, { freeBytes, reserveBytes })
  }

  async #lookOnce(): Promise<void> {
    this.#asking ??= this.#look().finally(() => {
      this.#asking = undefined
    })
    await this.#asking
  }

  async #look(): Promise<void> {
    this.#askedAt = performance.now()
    let space: DiskSpace
    try {
      space = await this.#ask(this.#directory)
    } catch {
      // A system that cannot tell is no reason to refuse: a write that fails says so by itself.
      return
    }
    const { bavail, blocks, bsize } = space
    this.#bytes = 0
    this.#free = bavail * bsize
    this.#reserve = Math.floor(Math.min(this.#reserveBytes, blocks * bsize * DISK_SHARE))
    const limit = this.#low ? this.#reserve * RECOVERED : this.#reserve
    const low = this.#free < limit
    if (low === this.#low) return
    this.#low = low
    const { freeBytes, reserveBytes } = this.reading
    const time = Date.now()
    if (this.#hub.active) this.#hub.emit({ type: 'disk-low', time, low, freeBytes, reserveBytes })
  }
}
