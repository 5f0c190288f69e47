import { isConceptId } from '../ids.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { Concept, ConceptsOptions } from '../types.ts'
import { cursorInvalid } from './cursor.ts'
import { ReadPace } from './pace.ts'
import { conceptSubject, toConcept } from './present.ts'
import { checkInclude, checkOptions, checkWhole, queryInvalid } from './read-options.ts'
import { scanConcepts, scanType } from './scan.ts'
import { compileWhere } from './where.ts'

const NAMES = ['type', 'where', 'after', 'limit', 'include']

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
  const blocks = type === undefined ? scanConcepts(pinned, after) : scanType(pinned, type, after)
  for await (const states of blocks) {
    for (const state of states) {
      if (pace.step()) await pace.rest()
      if (accept !== undefined && !accept(conceptSubject(state))) continue
      yield { concept: toConcept(state), state }
      left -= 1
      if (left === 0) return
    }
  }
}

/** The ordinal behind which the list goes on. A forgotten concept still marks its place. */
function placeOf(pinned: Pinned, after: string | undefined): number {
  if (after === undefined) return 0
  if (!isConceptId(after)) throw cursorInvalid(after)
  const ordinal = pinned.ordinalAt(after)
  if (ordinal === undefined) throw cursorInvalid(after)
  return ordinal
}
