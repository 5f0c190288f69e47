/** Asks the threads of the pool what a set holds, and puts their answers together. */
import { type Candidates, Nearest, within } from './nearest.ts'
import type { RunOptions, VectorPool } from './pool.ts'
import { planSearch } from './search-plan.ts'
import type { SharedSet } from './shared-set.ts'

/** Rows of a set that count, and who stops waiting. */
export interface Scope {
  pool: VectorPool
  set: SharedSet
  rows: readonly number[]
  signal: AbortSignal | undefined
}

/** Pairs of fewer vectors are not shared between threads. */
const AMONG_MIN = 512

export async function searchSet(
  scope: Scope,
  query: Float32Array,
  { k, wanted, exact, position }: { k: number; wanted: number; exact: boolean; position: number }
): Promise<Candidates> {
  const { pool, set, rows } = scope
  const { tasks, isExact } = planSearch(set, rows, { wanted, exact })
  const total = rows.reduce((sum, count) => sum + count, 0)
  const common = { set: set.description.set, position, query, k: Math.min(k, total), wanted }
  const run = runOptions(scope)
  const found = await all(tasks.map(async (items) => pool.run('search', { ...common, items }, run)))
  const horizon = Math.min(...found.map((one) => one.horizon))
  const candidates = found.map((one) => one.candidates)
  const answer = within(merged(candidates, common.k, false), horizon)
  // Of rows that are dead none comes back, so fewer than were asked for are all there are.
  const isAll = k >= total || answer.distances.length < common.k
  return { ...answer, exhausted: isExact && isAll }
}

/** The nearest of the given vectors alone, exactly. */
export async function amongSet(
  scope: Scope,
  query: Float32Array,
  { k, ordinals, revisions }: { k: number; ordinals: Uint32Array; revisions: Uint32Array }
): Promise<Candidates> {
  const { pool, set, rows } = scope
  const asked = revisions.length
  const size = Math.max(AMONG_MIN, Math.ceil(asked / pool.readers))
  const pieces: { ordinals: Uint32Array; revisions: Uint32Array }[] = []
  for (let at = 0; at < asked; at += size) {
    const [from, to] = [at, at + size]
    pieces.push({ ordinals: ordinals.slice(from, to), revisions: revisions.slice(from, to) })
  }
  const common = { set: set.description.set, rows, query, k: Math.min(k, asked) }
  const run = runOptions(scope)
  const found = await all(
    pieces.map(async (piece) => pool.run('among', { ...common, ...piece }, run))
  )
  const count = found.reduce((sum, one) => sum + one.found, 0)
  return merged(
    found.map(({ candidates }) => candidates),
    common.k,
    k >= count
  )
}

/** The vectors bit for bit as they were given; `undefined` for a revision that is unknown. */
export async function vectorsOf(
  scope: Scope,
  revisions: readonly number[]
): Promise<(Float32Array | undefined)[]> {
  const { pool, set, rows } = scope
  const { set: number, shape } = set.description
  const ask = { set: number, rows, revisions: Uint32Array.from(revisions) }
  const { vectors, found } = await pool.run('vectors', ask, runOptions(scope))
  const size = shape.dimensions
  return revisions.map((_, at) =>
    found[at] === 1 ? vectors.slice(at * size, (at + 1) * size) : undefined
  )
}

function runOptions({ set, signal }: Scope): RunOptions {
  return { role: 'read', set: set.description, ...(signal && { signal }) }
}

/** As `Promise.all`, but nothing is under way any more when it rejects: what they read may go. */
async function all<T>(tasks: readonly Promise<T>[]): Promise<T[]> {
  const [only] = tasks
  if (tasks.length === 1 && only !== undefined) return [await only]
  await Promise.allSettled(tasks)
  return Promise.all(tasks)
}

/** The nearest of several answers. */
function merged(answers: readonly Candidates[], k: number, exhausted: boolean): Candidates {
  const [only] = answers
  if (answers.length === 1 && only !== undefined) return { ...only, exhausted }
  const nearest = new Nearest(k)
  for (const { ordinals, revisions, distances } of answers) {
    distances.forEach((distance, i) => {
      nearest.offer(ordinals[i] ?? 0, revisions[i] ?? 0, distance)
    })
  }
  return nearest.candidates(exhausted)
}
