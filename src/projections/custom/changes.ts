import type { RowId } from './row-keys.ts'

/** What a row is changed to: MessagePack of its value, or `null` for one that is gone. */
export type Payload = Buffer | null

/** Changes that lie over the rows of a checkpoint. */
export interface Changes {
  /** `undefined`: the row is as it was. */
  get(id: RowId): Payload | undefined
  /** All from `gte` up to, but not, `lt`, in order. */
  between(gte: RowId, lt: RowId): [RowId, Payload][]
}

/** Room that a change takes beside its bytes, about. */
const ENTRY_BYTES = 160

/** The changes of one batch. Those of an event that failed are taken back. */
export class BatchChanges implements Changes {
  readonly #rows = new Map<RowId, Payload>()
  /** What the rows were that the event at hand has changed, oldest first. */
  readonly #before: [RowId, Payload | undefined][] = []
  #bytes = 0
  /** How often ranges were read: each looks at every change. */
  #ranges = 0

  /** Estimated memory. */
  get bytes(): number {
    return this.#bytes
  }

  get size(): number {
    return this.#rows.size
  }

  get ranges(): number {
    return this.#ranges
  }

  entries(): IterableIterator<[RowId, Payload]> {
    return this.#rows.entries()
  }

  get(id: RowId): Payload | undefined {
    return this.#rows.get(id)
  }

  set(id: RowId, payload: Payload): void {
    const before = this.#rows.get(id)
    this.#before.push([id, before])
    this.#bytes += sizeOf(id, payload) - sizeOf(id, before)
    this.#rows.set(id, payload)
  }

  /** The event is applied: its changes stay. */
  keep(): void {
    this.#before.length = 0
  }

  takeBack(): void {
    for (let last = this.#before.pop(); last !== undefined; last = this.#before.pop()) {
      const [id, before] = last
      this.#bytes += sizeOf(id, before) - sizeOf(id, this.#rows.get(id))
      if (before === undefined) this.#rows.delete(id)
      else this.#rows.set(id, before)
    }
  }

  between(gte: RowId, lt: RowId): [RowId, Payload][] {
    this.#ranges += 1
    return sorted([...this.#rows].filter(([id]) => id >= gte && id < lt))
  }
}

function sizeOf(id: RowId, payload: Payload | undefined): number {
  return payload === undefined ? 0 : ENTRY_BYTES + id.length + (payload?.length ?? 0)
}

export function sorted(rows: [RowId, Payload][]): [RowId, Payload][] {
  return rows.sort(([a], [b]) => (a < b ? -1 : 1))
}
