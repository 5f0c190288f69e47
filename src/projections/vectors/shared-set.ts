import { basename, dirname } from 'node:path'
import type { Notice, SetDescription } from './protocol.ts'
import { nextNumber, type Segment } from './segment.ts'
import type { GraphShape } from './vector-index.ts'

/**
 * What searches read, as it was when they began. Threads keep files and graphs open for as long as a
 * set names them; whoever uses one holds it.
 */
export class SharedSet {
  readonly description: SetDescription
  readonly segments: readonly Segment[]
  holders = 0

  constructor(shape: GraphShape, segments: readonly Segment[]) {
    this.segments = [...segments]
    const parts = segments.map((segment) => segment.describe())
    this.description = { set: nextNumber(), shape, parts }
  }

  /** Rows of each segment now. Later ones may come while the set is in use. */
  rows(): number[] {
    return this.segments.map(({ rows }) => rows)
  }
}

/** Counts who uses which set, and tells threads what nobody uses any more. */
export class SetKeeper {
  readonly #forget: (notice: Extract<Notice, { do: 'forget' }>) => void
  readonly #live = new Set<SharedSet>()

  constructor(forget: (notice: Extract<Notice, { do: 'forget' }>) => void) {
    this.#forget = forget
  }

  hold(set: SharedSet): SharedSet {
    set.holders += 1
    this.#live.add(set)
    return set
  }

  /** Names of the files in a directory that some set reads. */
  files(directory: string): Set<string> {
    const names = new Set<string>()
    for (const { description } of this.#live) {
      for (const { path, graph } of description.parts) {
        if (dirname(path) !== directory) continue
        names.add(`${basename(path)}.f32`).add(`${basename(path)}.ids`)
        if (graph !== undefined) names.add(basename(graph.path))
      }
    }
    return names
  }

  release(set: SharedSet): void {
    set.holders -= 1
    if (set.holders > 0) return
    this.#live.delete(set)
    const segments = new Set<number>()
    const graphs = new Set<number>()
    for (const { description } of this.#live) {
      for (const { segment, graph } of description.parts) {
        segments.add(segment)
        if (graph !== undefined) graphs.add(graph.graph)
      }
    }
    const { parts } = set.description
    this.#forget({
      do: 'forget',
      sets: [set.description.set],
      segments: parts.map(({ segment }) => segment).filter((one) => !segments.has(one)),
      graphs: parts
        .flatMap(({ graph }) => (graph === undefined ? [] : [graph.graph]))
        .filter((one) => !graphs.has(one))
    })
  }
}
