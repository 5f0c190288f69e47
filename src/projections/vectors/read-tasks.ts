/** What a worker of the pool answers: searches and vectors, from segments that others made. */
import { assert } from '../../assert.ts'
import { Query } from './distance.ts'
import { IndexDamage } from './index-files.ts'
import { Nearest } from './nearest.ts'
import { PartRows, VectorFiles } from './part-rows.ts'
import type {
  AmongFound,
  AmongTask,
  GraphDescription,
  Notice,
  PartDescription,
  SearchFound,
  SearchTask,
  SetDescription,
  VectorsReply,
  VectorsTask
} from './protocol.ts'
import { distanceOf, NEAR, offerRow, scanChosen, scanRange } from './scan.ts'
import type { GraphFactory, GraphHits, GraphShape, VectorGraph } from './vector-index.ts'

/** A set as this worker opened it. */
export interface OpenSet {
  shape: GraphShape
  parts: { description: PartDescription; rows: PartRows }[]
}

/** Files and graphs that this worker has open. It opens them when they are first needed. */
export class OpenSets {
  readonly #sets = new Map<number, OpenSet>()
  readonly #graphs = new Map<number, VectorGraph>()
  readonly #files = new VectorFiles()

  take(notice: Notice): void {
    if (notice.do === 'set') {
      this.#sets.set(notice.set.set, this.#open(notice.set))
      return
    }
    for (const set of notice.sets) this.#sets.delete(set)
    for (const graph of notice.graphs) this.#graphs.delete(graph)
    for (const segment of notice.segments) this.#files.close(segment)
  }

  get(number: number): OpenSet {
    const set = this.#sets.get(number)
    assert(set !== undefined, 'a set is told before the tasks that read it')
    return set
  }

  /** @throws IndexDamage */
  graph(description: GraphDescription, factory: GraphFactory): VectorGraph {
    let graph = this.#graphs.get(description.graph)
    if (graph === undefined) {
      graph = readGraph(() => factory.view(description))
      this.#graphs.set(description.graph, graph)
    }
    return graph
  }

  #open({ shape, parts }: SetDescription): OpenSet {
    return {
      shape,
      parts: parts.map((description) => ({
        description,
        rows: new PartRows(description, shape.dimensions, this.#files)
      }))
    }
  }
}

/** The bytes are those that were written; another release of usearch may still refuse them. */
export function readGraph(read: () => VectorGraph): VectorGraph {
  try {
    return read()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new IndexDamage(`the graph is refused: ${reason}`, { cause })
  }
}

/** @throws IndexDamage */
export function search(
  sets: OpenSets,
  factory: GraphFactory,
  { set, position, query: vector, items, k, wanted }: SearchTask
): SearchFound {
  const { shape, parts } = sets.get(set)
  const query = new Query(vector, shape.metric)
  const nearest = new Nearest(k)
  const ask = { query, position, nearest }
  let horizon = Number.POSITIVE_INFINITY
  for (const item of items) {
    const part = parts[item.part]
    assert(part !== undefined, 'an item names a part of its set')
    const { rows, description } = part
    if (!('graph' in item)) {
      scanRange(rows, item.from, item.to, ask)
      continue
    }
    assert(description.graph !== undefined, 'an item that asks a graph has one')
    const graph = sets.graph(description.graph, factory)
    const hits = graph.nearest(query.vector, wanted)
    horizon = Math.min(horizon, rankHits({ graph, hits, rows, count: description.graph.rows }, ask))
  }
  return { candidates: nearest.candidates(false), horizon }
}

interface GraphAnswer {
  graph: VectorGraph
  hits: GraphHits
  rows: PartRows
  /** Rows that the graph was made of. */
  count: number
}

/**
 * Compares what a graph found with the query, exactly, until the rest is surely farther.
 *
 * @returns The distance of the farthest, where some of them are dead: what lives beyond it is not here.
 */
function rankHits(
  { graph, hits, rows, count }: GraphAnswer,
  { query, position, nearest }: { query: Query; position: number; nearest: Nearest }
): number {
  const { keys, distances } = hits
  const cursor = rows.cursor()
  const { tolerance } = graph
  let isDead = false
  let row = -1
  for (let i = 0; i < keys.length; i++) {
    if ((distances[i] as number) - tolerance > nearest.farthest) return Number.POSITIVE_INFINITY
    row = rows.ids.rowOf(Number(keys[i]), count)
    assert(row !== -1, 'a graph names revisions of its own segment')
    if (rows.deaths.isDeadAt(row, position)) isDead = true
    else offerRow(rows, cursor, row, query, nearest)
  }
  return isDead ? distanceOf(cursor, row, query) : Number.POSITIVE_INFINITY
}

/** The nearest of the given (ordinal, revision) pairs, exactly. */
export function among(sets: OpenSets, task: AmongTask): AmongFound {
  const { shape, parts } = sets.get(task.set)
  const query = new Query(task.query, shape.metric)
  const nearest = new Nearest(task.k)
  let found = 0
  for (const [at, { rows }] of parts.entries()) {
    const count = task.rows[at] ?? 0
    const chosen: number[] = []
    task.revisions.forEach((revision, i) => {
      const row = rows.ids.rowOf(revision, count)
      if (row !== -1 && rows.ids.ordinalAt(row) === task.ordinals[i]) chosen.push(row)
    })
    chosen.sort((a, b) => a - b)
    found += chosen.length
    scanChosen(rows, chosen, query, nearest)
  }
  return { candidates: nearest.candidates(false), found }
}

/** Exact vectors, one after the other; `found` tells which of the revisions exist. */
export function vectors(sets: OpenSets, task: VectorsTask): VectorsReply {
  const { shape, parts } = sets.get(task.set)
  const { dimensions } = shape
  const found = new Uint8Array(task.revisions.length)
  const vectors = new Float32Array(task.revisions.length * dimensions)
  for (const [at, { rows }] of parts.entries()) {
    const count = task.rows[at] ?? 0
    const cursor = rows.cursor(areNear(task.revisions) ? count : 0)
    task.revisions.forEach((revision, i) => {
      const row = rows.ids.rowOf(revision, count)
      if (row === -1) return
      cursor.seek(row)
      const { offset } = cursor
      vectors.set(cursor.vectors.subarray(offset, offset + dimensions), i * dimensions)
      found[i] = 1
    })
  }
  return { vectors, found }
}

/** Whether reading ahead from one of them nearly always meets the next. */
function areNear(revisions: Uint32Array): boolean {
  const [first = 0] = revisions
  const last = revisions.at(-1) ?? 0
  return revisions.length > 1 && revisions.length * NEAR > Math.abs(last - first)
}
