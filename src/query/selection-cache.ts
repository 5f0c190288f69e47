/** What filters found in the tables, for as long as these do not change: most filters come again. */
import type { ConceptState } from '../projections/state.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import type { Found } from './selection-read.ts'

/** Concepts remembered of all filters of one snapshot: 8 MiB. */
const ENTRIES_MAX = 1_000_000
/** A long list of values is seldom asked for twice, and costs more to recognize. */
const NAME_MAX = 2_000

/** Filters whose verdicts on single concepts are remembered. */
const VERDICTS_MAX = 32

interface Remembered {
  readonly byName: Map<string, Found>
  entries: number
}

/** They go with the snapshot, which the next batch replaces. */
const snapshots = new WeakMap<TablesSnapshot, Remembered>()

/** What a filter is recognized by; `undefined`: not at all. */
export function nameOf(where: unknown): string | undefined {
  const name = JSON.stringify(where)
  return name.length > NAME_MAX ? undefined : name
}

/** @returns The arrays that are remembered: they are neither changed nor given away. */
export function recall(snapshot: TablesSnapshot, name: string): Found | undefined {
  const remembered = snapshots.get(snapshot)
  const found = remembered?.byName.get(name)
  if (found === undefined) return undefined
  // The one asked for last is forgotten last.
  remembered?.byName.delete(name)
  remembered?.byName.set(name, found)
  return found
}

export function remember(snapshot: TablesSnapshot, name: string, found: Found): void {
  if (found.ordinals.length > ENTRIES_MAX) return
  const remembered = snapshots.get(snapshot) ?? { byName: new Map<string, Found>(), entries: 0 }
  snapshots.set(snapshot, remembered)
  if (remembered.byName.has(name)) return
  remembered.byName.set(name, copyOf(found))
  // One that found nothing counts too.
  remembered.entries += found.ordinals.length + 1
  for (const [oldest, { ordinals }] of remembered.byName) {
    if (remembered.entries <= ENTRIES_MAX) return
    remembered.byName.delete(oldest)
    remembered.entries -= ordinals.length + 1
  }
}

/** For whoever may change the arrays, or give them away to a worker. */
export function copyOf(found: Found): Found {
  return { ...found, ordinals: found.ordinals.slice(), revisions: found.revisions.slice() }
}

/** Whether versions of concepts pass: each search looks at all that the tables lack. */
const verdicts = new Map<string, WeakMap<ConceptState, boolean>>()

/** The same filter, which asks once about each version. A version never changes. */
export function rememberingVerdicts(name: string | undefined, accept: Test): Test {
  if (name === undefined) return accept
  const known = verdicts.get(name) ?? new WeakMap<ConceptState, boolean>()
  verdicts.delete(name)
  verdicts.set(name, known)
  const [oldest] = verdicts.keys()
  if (verdicts.size > VERDICTS_MAX && oldest !== undefined) verdicts.delete(oldest)
  return (state) => {
    const told = known.get(state)
    if (told !== undefined) return told
    const verdict = accept(state)
    known.set(state, verdict)
    return verdict
  }
}

type Test = (state: ConceptState) => boolean
