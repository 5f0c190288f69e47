/** A usearch index in a file: made once, then mapped. Its keys are rows. */
import { Index, MetricKind, ScalarKind } from 'usearch'

export const CONNECTIVITY = 16
export const EXPANSION_ADD = 128
/** Two processors: the store's own builder has as many. */
export const THREADS = 2
/** Tried one after the other. Close to each other, or some would do much more than they have to. */
export const EFS = [
  ...[32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 288, 320, 352, 384],
  ...[416, 448, 512, 576, 640]
]

const DIMENSIONS = 100

export function buildIndex({ keys, vectors }, path) {
  const index = newIndex(64)
  index.add(
    BigUint64Array.from(keys, (_, row) => BigInt(row)),
    vectors,
    THREADS
  )
  return () => index.save(path)
}

/** The expansion is settled when an index is opened, so each change of it opens the file again. */
export class MappedIndex {
  #path
  #index

  constructor(path) {
    this.#path = path
    this.useEf(64)
  }

  useEf(ef) {
    this.#index = newIndex(ef)
    this.#index.view(this.#path)
  }

  search(vector, k) {
    return Array.from(this.#index.search(vector, k, 1).keys, Number)
  }
}

function newIndex(ef) {
  return new Index({
    dimensions: DIMENSIONS,
    metric: MetricKind.Cos,
    quantization: ScalarKind.F16,
    connectivity: CONNECTIVITY,
    expansion_add: EXPANSION_ADD,
    expansion_search: ef,
    multi: false
  })
}
