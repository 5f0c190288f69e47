/**
 * The concepts that pass a `where`, found through indexes instead of looking at all of them.
 *
 * The tables answer for their checkpoint. Concepts that changed behind it are looked at one by one,
 * so that the answer is that of the view's position.
 */
import { throwIfAborted } from '../errors.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { ConceptState } from '../projections/state.ts'
import type { Ordinals } from '../projections/tables/posting-collector.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import type { Where } from '../types.ts'
import { ReadPace } from './pace.ts'
import { conceptSubject } from './present.ts'
import { copyOf, nameOf, recall, remember, rememberingVerdicts } from './selection-cache.ts'
import { type Plan, planWhere } from './selection-plan.ts'
import { estimatePlan, type Found, readPlan, union } from './selection-read.ts'
import { compileWhere } from './where.ts'

export interface Selection {
  /** Ascending. */
  readonly ordinals: Uint32Array
  /** Of the vector of each; 0: it has none. */
  readonly revisions: Uint32Array
  /** Each of them passes. Else some may not: look at their rows. Nobody is missing either way. */
  readonly exact: boolean
}

/**
 * About how many concepts pass at most, from counts alone: a guide to what is worth while, never a
 * proof that there are none. Costs some 10 µs.
 *
 * @returns `undefined`: no index helps.
 */
export function estimate(pinned: Pinned, where: Where): number | undefined {
  const { snapshot } = pinned
  const plan = planWhere(snapshot, where)
  if (plan === undefined) return undefined
  const stored = estimatePlan(snapshot, plan)
  const changed = pinned.segments.reduce((sum, { concepts }) => sum + concepts.size, 0)
  if (changed === 0) return stored
  // What changed since is taken to pass as often as what is stored.
  const all = snapshot.counts().concepts
  return stored + Math.max(1, Math.ceil((changed * stored) / Math.max(1, all)))
}

/**
 * @param where Checked by `compileWhere` before.
 * @param max Concepts selected, and entries of the first index that is read for them.
 * @returns `undefined`: no index helps, or there are more than `max`.
 * @throws StoreError `ABORTED`, `TABLES_DAMAGED`
 */
export async function select(
  pinned: Pinned,
  where: Where,
  max: number,
  signal?: AbortSignal,
  operation = 'search'
): Promise<Selection | undefined> {
  throwIfAborted(signal, operation)
  const plan = planWhere(pinned.snapshot, where)
  if (plan === undefined) return undefined
  const pace = new ReadPace(signal, operation)
  const changed = changedBehind(pinned)
  // Those that changed may all have passed before and not pass now.
  const stored = await readStored(pinned.snapshot, where, plan, max + changed.length, pace)
  if (stored === undefined) return undefined
  const isOld = changed.length > 0
  const selection = isOld ? await lookAt(pinned, stored, changed, where, pace) : stored
  return selection.ordinals.length > max ? undefined : selection
}

async function readStored(
  snapshot: TablesSnapshot,
  where: Where,
  plan: Plan,
  max: number,
  pace: ReadPace
): Promise<Found | undefined> {
  const name = nameOf(where)
  const known = name === undefined ? undefined : recall(snapshot, name)
  if (known !== undefined) return known.ordinals.length > max ? undefined : copyOf(known)
  const found = await readPlan(snapshot, plan, max, pace)
  if (name !== undefined && found !== undefined) remember(snapshot, name, found)
  return found
}

/** Looks at what changed behind the checkpoint. */
async function lookAt(
  pinned: Pinned,
  stored: Found,
  changed: Uint32Array,
  where: Where,
  pace: ReadPace
): Promise<Selection> {
  const test = compileWhere(where)
  const accept = (state: ConceptState): boolean => test(conceptSubject(state))
  // Rows are decoded anew by every read; what the tables lack is the same object each time.
  const again = rememberingVerdicts(nameOf(where), accept)
  const passing = await passingOf(pinned, changed, again, pace)
  return { ...union(without(stored, changed), passing), exact: stored.exact }
}

async function passingOf(
  pinned: Pinned,
  candidates: Uint32Array,
  accept: (state: ConceptState) => boolean,
  pace: ReadPace
): Promise<Ordinals> {
  const ordinals: number[] = []
  const revisions: number[] = []
  for (const ordinal of candidates) {
    const state = pinned.concept(ordinal)
    if (state !== undefined && accept(state)) {
      ordinals.push(ordinal)
      revisions.push(state.revision)
    }
    if (pace.step()) await pace.rest()
  }
  return { ordinals: Uint32Array.from(ordinals), revisions: Uint32Array.from(revisions) }
}

/** Concepts that the tables may not have as they are at the position, ascending. */
function changedBehind(pinned: Pinned): Uint32Array {
  const { checkpoint } = pinned.snapshot
  const changed = new Set<number>()
  for (const segment of pinned.segments) {
    if (segment.last <= checkpoint) continue
    for (const { ordinal, newest } of segment.concepts.changed()) {
      // What changed behind the position as well is looked at, too: it is as it was, or changed.
      if (newest > checkpoint) changed.add(ordinal)
    }
  }
  return Uint32Array.from(changed).sort()
}

function without({ ordinals, revisions }: Ordinals, dropped: Uint32Array): Ordinals {
  if (dropped.length === 0) return { ordinals, revisions }
  const kept = { ordinals: new Uint32Array(ordinals.length), revisions: revisions.slice() }
  let [to, at] = [0, 0]
  for (let i = 0; i < ordinals.length; i++) {
    const ordinal = ordinals[i] ?? 0
    while (at < dropped.length && (dropped[at] ?? 0) < ordinal) at += 1
    if (dropped[at] === ordinal) continue
    kept.ordinals[to] = ordinal
    kept.revisions[to] = revisions[i] ?? 0
    to += 1
  }
  return { ordinals: kept.ordinals.subarray(0, to), revisions: kept.revisions.subarray(0, to) }
}
