/** Trees of associations: the same changes give the same rows, however they were batched. */
import { ConceptId } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import type { AssociationState } from '#sutra/projections/state.js'
import { decodeAssociation } from '#sutra/projections/tables/association-row.js'
import { PREFIX, type Side } from '#sutra/projections/tables/keys.js'
import { newEntry, type PageEntry } from '#sutra/projections/tables/page.js'
import { newSums, type RowSums } from '#sutra/projections/tables/row-sums.js'
import { checksumOf } from '#sutra/projections/tables/rows.js'
import { TreeEditor } from '#sutra/projections/tables/tree-editor.js'
import { Level } from '#sutra/storage/level.js'
import { Random } from '../../support/random.ts'
import { type Row, rowsOf } from '../../support/raw.ts'
import { temporaryPath } from '../../support/temp.ts'

const TUNING = { cacheBytes: 2 ** 20, writeBufferBytes: 2 ** 22, maxFileBytes: 2 ** 21 }
const CONCEPTS = 300
/** Some have most of the associations, so that their trees get levels. */
const HUBS = 3
const SIDES = ['out', 'in'] as const

interface Change {
  state: AssociationState
  /** What happens to it; `look` only reads, which decides how the tree goes on in that batch. */
  kind: 'put' | 'remove' | 'look'
}

describe('trees of associations', () => {
  test('have the same rows, however changes are batched and whatever is kept', async () => {
    const random = new Random()
    const changes = changesOf(random, 6000)
    const one = await apply(changes, () => changes.length)
    expect(one.length).toBeGreaterThan(CONCEPTS)

    const runs: [name: string, size: () => number, cacheBytes: number][] = [
      ['without memory for pages', () => 1 + random.below(500), 0],
      ['with little', () => 1 + random.below(100), 64 * 1024],
      ['with enough', () => 1 + random.below(40), 2 ** 24]
    ]
    for (const [name, size, cacheBytes] of runs) {
      const rows = await apply(changes, size, { cacheBytes })
      expect(rows, `${name}, seed ${random.seed}`).toEqual(one)
    }
    const reopened = await apply(changes, () => 1000, { isNewEach: true })
    expect(reopened, `by a new editor each time, seed ${random.seed}`).toEqual(one)
  })

  test('hold at the end what was put and not removed', async () => {
    const random = new Random()
    const changes = changesOf(random, 4000)
    const expected = new Map<string, AssociationState>()
    for (const { kind, state } of changes) {
      if (kind === 'put') expected.set(nameOf(state), state)
      if (kind === 'remove') expected.delete(nameOf(state))
    }

    await apply(changes, () => 1 + random.below(700), {
      done: (editor) => {
        for (const side of SIDES) {
          const found = new Map<string, AssociationState>()
          for (let ordinal = 1; ordinal <= CONCEPTS; ordinal++) {
            let count = 0
            for (const entry of editor.entries(side, ordinal)) {
              const state = decodeAssociation(entry, endOf(ordinal), side)
              found.set(nameOf(state), state)
              count += 1
            }
            expect(editor.degree(side, ordinal).degree).toBe(count)
          }
          expect(found.size, `seed ${random.seed}`).toBe(expected.size)
          for (const [name, state] of found) expect(state).toEqual(expected.get(name))
        }
      }
    })
  })

  test('leave nothing behind when all is removed, and start over as new', async () => {
    const random = new Random()
    const all = changesOf(random, 3000).filter(({ kind }) => kind === 'put')
    const last = [...new Map(all.map((change) => [nameOf(change.state), change])).values()]
    const removals = random.shuffle(last).map(({ state }) => ({ state, kind: 'remove' as const }))

    const emptied = [...all, ...removals]
    expect(await apply(emptied, () => 400)).toEqual([])
    const again = await apply([...emptied, ...all], () => 333)
    expect(again).toEqual(await apply(all, () => 1000))
    expect(await apply([...emptied, ...all], () => 10_000_000)).toEqual(again)
  })
})

interface Options {
  cacheBytes?: number
  isNewEach?: boolean
  done?: (editor: TreeEditor) => void
}

/** Applies the changes in batches of such sizes; the rows that come of it. */
async function apply(
  changes: readonly Change[],
  size: () => number,
  { cacheBytes, isNewEach = false, done }: Options = {}
): Promise<Row[]> {
  const path = await temporaryPath('trees')
  const level = await Level.create(path, TUNING)
  const sums = newSums()
  try {
    let editor = new TreeEditor(level, 0, sums, cacheBytes)
    for (let at = 0; at < changes.length; ) {
      const end = Math.min(changes.length, at + size())
      for (; at < end; at++) change(editor, changes[at])
      const batch = level.batch()
      editor.flush(batch)
      await batch.write({ sync: false })
      if (isNewEach) editor = new TreeEditor(level, CONCEPTS, sums, cacheBytes)
    }
    done?.(editor)
  } finally {
    await level.close()
  }
  const rows = await rowsOf(path)
  expect(sums).toEqual(sumsOf(rows))
  return rows
}

/** Of the rows as they are stored. */
function sumsOf(rows: readonly Row[]): RowSums {
  const sums = newSums()
  for (const [key, value] of rows) {
    const sum = key[0] === PREFIX.outgoing ? sums.outgoing : sums.incoming
    sum.add(checksumOf(value), value.length)
  }
  return sums
}

function change(editor: TreeEditor, given: Change | undefined): void {
  if (given === undefined) throw new Error('There is no such change')
  const { kind, state } = given
  for (const side of SIDES) {
    const self = side === 'out' ? state.source : state.target
    if (kind === 'put') editor.upsert(side, state)
    else if (kind === 'look') editor.find(side, self.ordinal, keyOf(state, side))
    else editor.remove(side, self.ordinal, keyOf(state, side), isLoop(state))
  }
}

/** Chances are that an association is put again, changed, removed, and put once more. */
function changesOf(random: Random, count: number): Change[] {
  const states = new Map<string, AssociationState>()
  const changes: Change[] = []
  for (let n = 1; n <= count; n++) {
    const chance = random.below(20)
    const known = chance < 6 && states.size > 0 ? random.pick([...states.values()]) : undefined
    if (known !== undefined && chance < 3) {
      changes.push({ state: known, kind: 'remove' })
      states.delete(nameOf(known))
    } else if (known !== undefined && chance === 3) {
      changes.push({ state: known, kind: 'look' })
    } else {
      const state = stateOf(random, n, known)
      states.set(nameOf(state), state)
      changes.push({ state, kind: 'put' })
    }
  }
  return changes
}

function stateOf(random: Random, n: number, known: AssociationState | undefined): AssociationState {
  const source = known?.source ?? anyEnd(random)
  return {
    source,
    target: known?.target ?? (random.below(10) === 0 ? source : anyEnd(random)),
    name: known?.name ?? random.pick(['knows', 'isA', 'é', 'zz']),
    key: known === undefined ? random.pick(['', '', 'k', 'ключ']) || undefined : known.key,
    strength: random.pick([1, 0.5]),
    confidence: random.pick([1, 0.25]),
    metadata: random.below(5) === 0 ? random.bytes(random.below(200)) : undefined,
    version: n,
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_000 + random.below(2),
    position: n
  }
}

function anyEnd(random: Random): AssociationState['source'] {
  return endOf(1 + random.below(random.below(2) === 0 ? HUBS : CONCEPTS))
}

function endOf(ordinal: number): AssociationState['source'] {
  const key = ordinal % 3 === 0 ? undefined : `key of ${ordinal} ±`
  return { ordinal, id: ConceptId.fromKey(`${ordinal}`), key }
}

function keyOf(state: AssociationState, side: Side): PageEntry {
  const other = side === 'out' ? state.target : state.source
  return newEntry({ name: state.name, otherId: other.id, key: state.key ?? '' }, 0)
}

function isLoop(state: AssociationState): boolean {
  return state.source.ordinal === state.target.ordinal
}

function nameOf({ source, target, name, key }: AssociationState): string {
  return `${source.ordinal} ${target.ordinal} ${name} ${key ?? ''}`
}
