/** Every living concept at a position, in the order of ordinals: tables and overlay together. */
import type { Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'

/** In blocks, so that whoever reads can rest between them. */
export async function* scanConcepts(
  pinned: Pinned,
  after = 0
): AsyncGenerator<readonly ConceptState[]> {
  const changed = changedOrdinals(pinned)
  for await (const block of pinned.snapshot.concepts(after)) {
    yield block
      .map((state) => (changed.has(state.ordinal) ? pinned.concept(state.ordinal) : state))
      .filter((state) => state !== undefined)
  }
  // Ordinals are given in order, so those that the tables lack come behind all that they have.
  const last = Math.max(after, pinned.snapshot.counts().ordinals)
  yield* newer(pinned, changed, last)
}

/** Those of one type; reads no others. */
export async function* scanType(
  pinned: Pinned,
  type: string,
  after = 0
): AsyncGenerator<readonly ConceptState[]> {
  const changed = [...changedOrdinals(pinned)].filter((ordinal) => ordinal > after)
  changed.sort((a, b) => a - b)
  let next = 0
  const take = function* (until: number): Generator<number> {
    for (; next < changed.length; next++) {
      const ordinal = changed[next]
      if (ordinal === undefined || ordinal >= until) return
      yield ordinal
    }
  }
  const read = (ordinals: Iterable<number>): ConceptState[] =>
    [...ordinals]
      .map((ordinal) => pinned.concept(ordinal))
      .filter((state) => state !== undefined && state.type === type)
      .filter((state) => state !== undefined)
  for await (const stored of pinned.snapshot.ordinalsOfType(type, after)) {
    for (const slice of slices([...stored])) {
      const ordinals: number[] = []
      for (const ordinal of slice) {
        ordinals.push(...take(ordinal))
        // A concept that changed and has the type still stands in both lists: told once.
        if (changed[next] === ordinal) next++
        ordinals.push(ordinal)
      }
      yield read(ordinals)
    }
  }
  for (const slice of slices([...take(Number.POSITIVE_INFINITY)])) yield read(slice)
}

/** Those of a list of ordinals, ascending, that live at the position. */
export function* scanOrdinals(
  pinned: Pinned,
  ordinals: Uint32Array,
  after = 0
): Generator<readonly ConceptState[]> {
  const first = ordinals.findIndex((ordinal) => ordinal > after)
  for (let at = first < 0 ? ordinals.length : first; at < ordinals.length; at += SLICE) {
    const slice = Array.from(ordinals.subarray(at, at + SLICE))
    yield slice.map((ordinal) => pinned.concept(ordinal)).filter((state) => state !== undefined)
  }
}

const SLICE = 64

function* slices<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += SLICE) yield items.slice(at, at + SLICE)
}

function* newer(
  pinned: Pinned,
  changed: ReadonlySet<number>,
  last: number
): Generator<readonly ConceptState[]> {
  const ordinals = [...changed].filter((ordinal) => ordinal > last).sort((a, b) => a - b)
  for (const slice of slices(ordinals)) {
    yield slice.map((ordinal) => pinned.concept(ordinal)).filter((state) => state !== undefined)
  }
}

function changedOrdinals(pinned: Pinned): Set<number> {
  const changed = new Set<number>()
  for (const segment of pinned.segments) {
    for (const { ordinal, first } of segment.concepts.changed()) {
      if (first <= pinned.position) changed.add(ordinal)
    }
  }
  return changed
}
