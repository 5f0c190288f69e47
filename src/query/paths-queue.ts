import type { Link } from '../projections/tables/links.ts'

/** A label of the confidence search: one way to one concept, by so many hops. */
export interface Label {
  readonly ordinal: number
  readonly hops: number
  readonly confidence: number
  /** The last edge of the way and the label it starts from; `undefined` at the beginning. */
  readonly edge: Link | undefined
  readonly from: Label | undefined
  /** A better label of the same concept made this one useless while it was waiting. */
  dropped: boolean
}

/** A binary heap of labels: the most confident first, then the one of fewest hops. */
export class LabelQueue {
  readonly #heap: Label[] = []

  get first(): Label | undefined {
    return this.#heap[0]
  }

  push(label: Label): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(label)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]
      if (parent === undefined || !isBefore(label, parent)) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = label
  }

  pop(): Label | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    this.#sink(last)
    return first
  }

  /** Puts a label in the place of the first and lets it sink to where it belongs. */
  #sink(label: Label): void {
    const heap = this.#heap
    let index = 0
    for (;;) {
      let childIndex = 2 * index + 1
      let child = heap[childIndex]
      if (child === undefined) break
      const sibling = heap[childIndex + 1]
      if (sibling !== undefined && isBefore(sibling, child)) {
        child = sibling
        childIndex++
      }
      if (!isBefore(child, label)) break
      heap[index] = child
      index = childIndex
    }
    heap[index] = label
  }
}

function isBefore(a: Label, b: Label): boolean {
  return a.confidence > b.confidence || (a.confidence === b.confidence && a.hops < b.hops)
}
