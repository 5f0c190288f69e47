import { isConceptId } from '../ids.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { Concept, ConceptsOptions } from '../types.ts'
import { cursorInvalid } from './cursor.ts'
import { ReadPace } from './pace.ts'
import { conceptSubject, toConcept } from './present.ts'
import { checkInclude, checkOptions, checkWhole, queryInvalid } from './read-options.ts'
import { scanConcepts, scanOrdinals, scanType } from './scan.ts'
import { estimate, select } from './selection.ts'
import { compileWhere } from './where.ts'

const NAMES = ['type', 'where', 'after', 'limit', 'include']
/** Ordinals held in memory for one list, at most: 8 MiB. */
const SELECTED_MAX = 1_000_000
/** Not worth comparing. */
const FEW = 16

/**
 * Concepts in the order in which they were first learned.
 *
 * `after` is the id of the last concept seen.
 *
 * @throws StoreError `QUERY_INVALID`, `CURSOR_INVALID`.
 */
export async function* listConcepts(
  pinned: Pinned,
  options: ConceptsOptions
): AsyncGenerator<{ concept: Concept; state: ConceptState }> {
  checkOptions(options, NAMES)
  checkInclude(options.include)
  const { type, where, signal } = options
  if (type !== undefined && typeof type !== 'string') {
    throw queryInvalid('type', type, 'a string')
  }
  const accept = where === undefined ? undefined : compileWhere(where)
  const limit = checkWhole('limit', options.limit, 1, Number.MAX_SAFE_INTEGER)
  const after = placeOf(pinned, options.after)
  const pace = new ReadPace(signal, 'concepts')
  let left = limit ?? Number.POSITIVE_INFINITY
  for await (const states of await candidates(pinned, options, after)) {
    for (const state of states) {
      if (pace.step()) await pace.rest()
      if (type !== undefined && state.type !== type) continue
      if (accept !== undefined && !accept(conceptSubject(state))) continue
      yield { concept: toConcept(state), state }
      left -= 1
      if (left === 0) return
    }
  }
}

type Blocks = AsyncIterable<readonly ConceptState[]> | Iterable<readonly ConceptState[]>

/** All that may be in the list, found in the way that looks at the fewest. */
async function candidates(
  pinned: Pinned,
  { type, where, signal }: ConceptsOptions,
  after: number
): Promise<Blocks> {
  const { snapshot } = pinned
  if (where !== undefined) {
    // Rows in order are read twice as fast as rows here and there.
    const others = type === undefined ? snapshot.counts().concepts / 2 : snapshot.typeCount(type)
    const guess = estimate(pinned, where) ?? Number.POSITIVE_INFINITY
    if (guess <= Math.max(others, FEW)) {
      const selection = await select(pinned, where, SELECTED_MAX, signal, 'concepts')
      if (selection !== undefined) return scanOrdinals(pinned, selection.ordinals, after)
    }
  }
  return type === undefined ? scanConcepts(pinned, after) : scanType(pinned, type, after)
}

/** The ordinal behind which the list goes on. A forgotten concept still marks its place. */
function placeOf(pinned: Pinned, after: string | undefined): number {
  if (after === undefined) return 0
  if (!isConceptId(after)) throw cursorInvalid(after)
  const ordinal = pinned.ordinalAt(after)
  if (ordinal === undefined) throw cursorInvalid(after)
  return ordinal
}
