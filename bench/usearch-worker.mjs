/** Bare usearch in a thread of its own: each of its calls blocks the one that it is made on. */
import { parentPort, workerData } from 'node:worker_threads'
import { exactSearch, Index, MetricKind, ScalarKind } from 'usearch'

const { dimensions, connectivity, expansionAdd } = workerData
const SCALARS = { f32: ScalarKind.F32, f16: ScalarKind.F16, i8: ScalarKind.I8 }
// Copies: what is native must not depend on memory that threads share.
const base = new Float32Array(workerData.base)
const queries = new Float32Array(workerData.queries)
const rows = base.length / dimensions
let index

const TASKS = { build, save, view, search, exact, truth }

parentPort.on('message', ({ id, task, args }) => {
  try {
    parentPort.postMessage({ id, answer: TASKS[task](...args) })
  } catch (error) {
    parentPort.postMessage({ id, error: error.message })
  }
})

function build(quantization, threads) {
  index = newIndex(quantization, 64)
  const keys = BigUint64Array.from({ length: rows }, (_, row) => BigInt(row))
  return timed(() => index.add(keys, base, threads))
}

function save(path) {
  return timed(() => index.save(path))
}

/** The expansion of a search is settled when an index is opened. */
function view(path, quantization, ef) {
  index = newIndex(quantization, ef)
  return timed(() => index.view(path))
}

/** @returns Rows found, `k` for each query, and what each search took in milliseconds. */
function search(from, to, k) {
  const found = new Uint32Array((to - from) * k)
  const ms = []
  for (let n = from; n < to; n++) {
    const query = queries.slice(n * dimensions, (n + 1) * dimensions)
    let keys
    ms.push(timed(() => (keys = index.search(query, k, 1).keys)))
    for (const [at, key] of keys.entries()) found[(n - from) * k + at] = Number(key)
  }
  return { found, ms }
}

/** usearch's own exact search over some rows, as if they had been gathered before. */
function exact(chosen, from, to, k) {
  const matrix = new Float32Array(chosen.length * dimensions)
  for (const [at, row] of chosen.entries()) {
    matrix.set(base.subarray(row * dimensions, (row + 1) * dimensions), at * dimensions)
  }
  const most = Math.min(k, chosen.length)
  const ms = []
  for (let n = from; n < to; n++) {
    const query = queries.slice(n * dimensions, (n + 1) * dimensions)
    ms.push(timed(() => exactSearch(matrix, query, dimensions, most, MetricKind.Cos, 1)))
  }
  return ms
}

/** The nearest of some rows by our own arithmetic, in f64, which no engine is asked about. */
function truth(count, k, chosen) {
  const length = chosen?.length ?? rows
  const nearest = Array.from({ length: count }, () => ({ rows: [], scores: [] }))
  const scales = Float64Array.from({ length: count }, (_, n) => 1 / norm(queries, n * dimensions))
  for (let at = 0; at < length; at++) {
    const row = chosen === undefined ? at : chosen[at]
    const start = row * dimensions
    const scale = 1 / norm(base, start)
    for (let n = 0; n < count; n++) {
      offer(nearest[n], row, dot(start, n * dimensions) * scale * scales[n], k)
    }
  }
  const found = new Uint32Array(count * k).fill(0xffffffff)
  for (const [n, list] of nearest.entries()) found.set(list.rows, n * k)
  return found
}

/** Four sums at once, so that one need not wait for the other. */
function dot(a, b) {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  const end = dimensions & ~3
  for (let i = 0; i < end; i += 4) {
    s0 += base[a + i] * queries[b + i]
    s1 += base[a + i + 1] * queries[b + i + 1]
    s2 += base[a + i + 2] * queries[b + i + 2]
    s3 += base[a + i + 3] * queries[b + i + 3]
  }
  for (let i = end; i < dimensions; i++) s0 += base[a + i] * queries[b + i]
  return s0 + s1 + s2 + s3
}

function norm(numbers, start) {
  let sum = 0
  for (let i = start; i < start + dimensions; i++) sum += numbers[i] * numbers[i]
  return Math.sqrt(sum)
}

function offer(list, row, score, k) {
  const { rows: kept, scores } = list
  if (scores.length === k && score <= scores[k - 1]) return
  let at = scores.length
  while (at > 0 && scores[at - 1] < score) at -= 1
  scores.splice(at, 0, score)
  kept.splice(at, 0, row)
  if (scores.length > k) {
    scores.pop()
    kept.pop()
  }
}

function newIndex(quantization, ef) {
  return new Index({
    dimensions,
    metric: MetricKind.Cos,
    quantization: SCALARS[quantization],
    connectivity,
    expansion_add: expansionAdd,
    expansion_search: ef,
    multi: false
  })
}

function timed(work) {
  const started = performance.now()
  work()
  return performance.now() - started
}
