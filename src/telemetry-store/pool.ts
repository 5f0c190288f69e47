import { join } from 'node:path'
import { StoreError } from '../errors.ts'
import type { Store } from '../types.ts'
import { type Kept, segmentsIn } from './layout.ts'
import { type OpenStore, readingOptions, segmentOptions } from './segment.ts'

interface Open {
  readonly store: Promise<Store>
  users: number
}

/**
 * The segments that are open in this process. A directory has one owner, so whoever reads a segment
 * that is open already, for writing or for another reader, shares it.
 */
export class SegmentPool {
  readonly directory: string
  readonly #open: OpenStore
  readonly #opened = new Map<string, Open>()
  #isClosed = false

  constructor(directory: string, open: OpenStore) {
    this.directory = directory
    this.#open = open
  }

  async list(): Promise<Kept[]> {
    return segmentsIn(this.directory)
  }

  isOpen(name: string): boolean {
    return this.#opened.has(name)
  }

  /** Lends a segment for reading, until `giveBack`. */
  async borrow(name: string): Promise<Store> {
    return this.#borrow(name, async () => this.#open(this.#pathOf(name), readingOptions()))
  }

  /** The same for the one who writes, which makes it if it is new. */
  async borrowToWrite(name: string, reserveBytes: number): Promise<Store> {
    const options = segmentOptions(reserveBytes)
    return this.#borrow(name, async () => this.#open(this.#pathOf(name), options))
  }

  async giveBack(name: string): Promise<void> {
    const open = this.#opened.get(name)
    // Closing the pool closes what is still lent.
    if (open === undefined) return
    open.users -= 1
    if (open.users > 0) return
    this.#opened.delete(name)
    await (await open.store).close()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const all = [...this.#opened.values()]
    this.#opened.clear()
    const ended = await Promise.allSettled(all.map(async ({ store }) => (await store).close()))
    const failed = ended.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #borrow(name: string, open: () => Promise<Store>): Promise<Store> {
    if (this.#isClosed) {
      throw new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'storedTelemetry' })
    }
    const known = this.#opened.get(name)
    if (known !== undefined) {
      known.users += 1
      return known.store
    }
    const opened = { store: open(), users: 1 }
    this.#opened.set(name, opened)
    try {
      return await opened.store
    } catch (error) {
      // Who waited for it too hears of it too; the next one tries again.
      if (this.#opened.get(name) === opened) this.#opened.delete(name)
      throw error
    }
  }

  #pathOf(name: string): string {
    return join(this.directory, name)
  }
}
