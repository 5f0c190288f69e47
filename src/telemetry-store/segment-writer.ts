/**
 * Writes into the newest segment, begins the next one when that is old or large, and removes the oldest.
 *
 * | the process dies while            | on disk                        | the next owner             |
 * | --------------------------------- | ------------------------------ | -------------------------- |
 * | a batch is written                | all of it or nothing           | goes on in that segment    |
 * | a window has been written         | the sums, and WINDOW with them | writes them by key: once   |
 * | a segment is made                 | a directory that is no store   | makes it, if it is newest  |
 * | a segment is removed              | part of it, renamed            | removes the rest           |
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isStoreError, type StoreErrorCode } from '../errors.ts'
import type { ResolvedTelemetryStore } from '../options.ts'
import { Ownership } from '../storage/owner.ts'
import type { Store } from '../types.ts'
import type { Item } from './intake.ts'
import {
  bytesBelow,
  type Kept,
  keptIn,
  removeSegment,
  segmentName,
  setAside,
  sweepRemoved
} from './layout.ts'
import type { SegmentPool } from './pool.ts'
import { toCommand } from './record.ts'
import type { Summary } from './summaries.ts'
import { WindowFile } from './window-file.ts'

/**
 * A segment ends after such a part of the time that things are kept, and is looked at after such parts:
 * with the second that writing is behind, an eighth more than asked for is on disk at most.
 */
const SEGMENTS = 12
const LOOKS = 60
/** Looking at all files takes some milliseconds, though of other threads. */
const LOOK_EVERY_MS = 10_000
/** A segment ends when it holds such a part of the bytes that may be kept. */
const BYTE_SEGMENTS = 8
/** The segment cannot be used any more. Others have the same trouble as the disk or the program. */
const DAMAGED: readonly StoreErrorCode[] = [
  'STORE_DAMAGED',
  'LOG_DAMAGED',
  'LOG_BEHIND_CHECKPOINT',
  'NOT_A_STORE',
  'TABLES_DAMAGED'
]
/** Somebody reads it, or a newer program made it. */
const OCCUPIED: readonly StoreErrorCode[] = [
  'STORE_LOCKED',
  'FORMAT_UNSUPPORTED',
  'MIGRATION_UNFINISHED'
]

export class SegmentWriter {
  readonly #pool: SegmentPool
  readonly #options: ResolvedTelemetryStore
  readonly #reserveBytes: number
  readonly #onDamaged: (reason: string) => void
  #ownership: Ownership | undefined
  #window: WindowFile | undefined
  /** Of a process that died, until whoever starts this has them. */
  #left: Summary[][] = []
  #live: { segment: Kept; store: Store } | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  /** Of the segments that nobody writes any more. */
  readonly #sizes = new Map<string, number>()
  /** When something was written last, of a segment that was left long before the next one began. */
  readonly #ends = new Map<string, number>()
  #kept: readonly Kept[] = []
  #bytes = 0

  constructor(
    pool: SegmentPool,
    options: ResolvedTelemetryStore,
    reserveBytes: number,
    onDamaged: (reason: string) => void
  ) {
    this.#pool = pool
    this.#options = options
    this.#reserveBytes = reserveBytes
    this.#onDamaged = onDamaged
  }

  get isOpen(): boolean {
    return this.#live !== undefined
  }

  /** When last looked at. */
  get size(): { bytes: number; oldest: number; segments: number } {
    const segments = this.#kept.length
    return { bytes: this.#bytes, oldest: this.#kept[0]?.since ?? 0, segments }
  }

  /**
   * Takes the directory and opens a segment, as far as that is not done.
   *
   * @returns Sums that a process left behind that died.
   * @throws StoreError `STORE_LOCKED` while another store keeps its telemetry here.
   */
  async start(): Promise<Summary[][]> {
    if (this.#live !== undefined) return []
    const { directory } = this.#pool
    if (this.#ownership === undefined) {
      await mkdir(directory, { recursive: true })
      this.#ownership = await Ownership.take(directory)
      await sweepRemoved(directory)
    }
    if (this.#window === undefined) {
      const opened = await WindowFile.open(directory)
      this.#window = opened.file
      this.#left = opened.left
    }
    await this.#findEnd()
    await this.#begin()
    const left = this.#left
    this.#left = []
    return left
  }

  async append(items: readonly Item[], name: string): Promise<void> {
    await this.#live?.store.commit(items.map((item) => toCommand(item, name)))
  }

  noteWindow(summaries: readonly (readonly Summary[])[]): void {
    this.#window?.write(summaries)
  }

  /** Now and then: begins a new segment if it is time, and removes what is too old or too much. */
  async maintain(): Promise<void> {
    const everyMs = Math.min(LOOK_EVERY_MS, this.#options.keepMs / LOOKS)
    if (this.#live === undefined || performance.now() - this.#lookedAt < everyMs) return
    const { segment, store } = this.#live
    const liveBytes = await bytesBelow(join(this.#pool.directory, segment.name))
    // While there is nothing to write, one that holds nothing is as good as the next one.
    if (store.head > 0 && this.#isOver(segment, liveBytes)) {
      await this.#end()
      await this.#begin()
    }
    await this.#look()
  }

  /** Lets go of the segment, which failed. */
  async giveUp(): Promise<void> {
    try {
      await this.#end()
    } catch {
      // A store that cannot write may not be able to close; whoever asked knows that it failed.
    }
  }

  /** Every step, whatever one of them says; the first failure is thrown. */
  async close(): Promise<void> {
    this.#live = undefined
    const ended = await Promise.allSettled([
      this.#pool.close(),
      (async () => this.#window?.close())()
    ])
    await this.#ownership?.release()
    const failed = ended.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #begin(): Promise<void> {
    const kept = await keptIn(this.#pool.directory)
    const newest = kept.at(-1)
    const store = newest && (await this.#reopen(newest))
    if (newest !== undefined && store !== undefined) {
      this.#live = { segment: newest, store }
    } else {
      // A clock that was set back must not put what comes later in front of what was there.
      const since = Math.max(Date.now(), (newest?.since ?? 0) + 1)
      const name = segmentName(since)
      const made = await this.#pool.borrowToWrite(name, this.#reserveBytes)
      this.#live = { segment: { name, since, isDamaged: false }, store: made }
    }
    await this.#look()
  }

  /** The newest segment, if it can be gone on with. */
  async #reopen(newest: Kept): Promise<Store | undefined> {
    const { directory } = this.#pool
    // Somebody in this process reads it, and has it open for reading alone.
    if (newest.isDamaged || this.#pool.isOpen(newest.name)) return undefined
    const path = join(directory, newest.name)
    if (this.#isOver(newest, await bytesBelow(path))) return undefined
    try {
      return await this.#pool.borrowToWrite(newest.name, this.#reserveBytes)
    } catch (error) {
      if (OCCUPIED.some((code) => isStoreError(error, code))) return undefined
      if (!DAMAGED.some((code) => isStoreError(error, code))) throw error
      await setAside(directory, newest.name)
      const reason = error instanceof Error ? error.message : String(error)
      this.#onDamaged(`${newest.name} was set aside: ${reason}`)
      return undefined
    }
  }

  /**
   * Finds out how old the newest segment is at the end, if it is not gone on with: the store may have
   * been closed for long, and what was there before goes before the next segment is that old.
   */
  async #findEnd(): Promise<void> {
    const newest = (await keptIn(this.#pool.directory)).at(-1)
    if (newest === undefined || newest.isDamaged || this.#pool.isOpen(newest.name)) return
    if (!this.#isOver(newest, 0)) return
    try {
      const store = await this.#pool.borrow(newest.name)
      try {
        for await (const { time } of store.events({ from: Math.max(store.head, 1) })) {
          this.#ends.set(newest.name, time)
        }
        if (store.head === 0) this.#ends.set(newest.name, newest.since)
      } finally {
        await this.#pool.giveBack(newest.name)
      }
    } catch (error) {
      // Then it stays for as long as if it had been written until now.
      if (!isStoreError(error)) throw error
    }
  }

  #isOver({ since }: Kept, bytes: number): boolean {
    const { keepMs, maxBytes } = this.#options
    return Date.now() - since >= keepMs / SEGMENTS || bytes >= maxBytes / BYTE_SEGMENTS
  }

  async #end(): Promise<void> {
    const live = this.#live
    this.#live = undefined
    if (live === undefined) return
    this.#sizes.delete(live.segment.name)
    await this.#pool.giveBack(live.segment.name)
  }

  /** Weighs what there is, and removes the oldest until the rest may stay. */
  async #look(): Promise<void> {
    this.#lookedAt = performance.now()
    const { keepMs, maxBytes } = this.#options
    const kept = await keptIn(this.#pool.directory)
    const sizes = await Promise.all(kept.map(async (one) => this.#sizeOf(one)))
    let bytes = sizes.reduce((sum, size) => sum + size, 0)
    const gone = new Set<Kept>()
    for (const [at, one] of kept.entries()) {
      // What it holds happened before the next one began. The newest always stays.
      const next = kept[at + 1]
      if (next === undefined) break
      const end = Math.min(next.since, this.#ends.get(one.name) ?? next.since)
      if (bytes <= maxBytes && end >= Date.now() - keepMs) break
      if (!(await this.#remove(one))) continue
      gone.add(one)
      bytes -= sizes[at] ?? 0
    }
    this.#kept = kept.filter((one) => !gone.has(one))
    this.#bytes = bytes
  }

  async #remove({ name }: Kept): Promise<boolean> {
    // The one that is written, or that somebody reads here: it goes the next time.
    if (this.#pool.isOpen(name)) return false
    this.#sizes.delete(name)
    this.#ends.delete(name)
    return removeSegment(this.#pool.directory, name)
  }

  async #sizeOf({ name }: Kept): Promise<number> {
    const known = this.#sizes.get(name)
    if (known !== undefined) return known
    const bytes = await bytesBelow(join(this.#pool.directory, name))
    if (!this.#pool.isOpen(name)) this.#sizes.set(name, bytes)
    return bytes
  }
}
