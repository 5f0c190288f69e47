import {
  ConceptId,
  type ImportRecord,
  type Path,
  type PathOptions,
  type Reader,
  type Store
} from 'sutra-storage'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Link, Links } from '#sutra/projections/tables/links.js'
import { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'
import { allPaths, rank } from './path-brute.ts'
import { edgeOf } from './path-graphs.ts'

const CONCEPTS = 12
const TYPES = ['a', 'b', 'c']
const CHANGES = 24
const ROUNDS = 25

/** What the store holds: associations by what tells them apart, concepts by their number. */
interface Model {
  links: Map<string, Link>
  alive: Set<number>
}

describe('the paths of a store', () => {
  test.each([
    ['at once where it says little of each', 0, 0],
    ['in pieces where it says much of each', 500, 1]
  ])('read a hub %s', async (_, metadataBytes, inPieces) => {
    await using temporary = await openTemporaryStore({ durability: 'os' })
    const { store } = temporary
    await store.import(hubOf(1000, metadataBytes))
    await store.caughtUp()
    const few = vi.spyOn(TablesSnapshot.prototype, 'fewLinks')
    onTestFinished(() => {
      few.mockRestore()
    })

    const path = await store.findPath({ key: 'hub' }, { key: '999' })

    expect(path?.keys).toEqual(['hub', '999'])
    const counts = few.mock.results.map(({ value }) => (value as Links | undefined)?.count)
    expect(counts.filter((count) => count === undefined)).toHaveLength(inPieces)
    expect(counts.filter((count) => count === 1000)).toHaveLength(1 - inPieces)
  })

  test('are those of a search through all of them, whatever has changed where', async () => {
    const random = new Random()
    await using temporary = await openTemporaryStore({ durability: 'os' })
    const { store } = temporary
    const model: Model = { links: new Map(), alive: new Set() }
    let found = 0
    for (let round = 0; round < ROUNDS; round++) {
      for (let i = 0; i < CHANGES; i++) await change(store, model, random)
      const view = await store.view()
      const frozen = { links: new Map(model.links), alive: new Set(model.alive) }
      // Some of what comes next is in the tables, some of it in memory alone.
      if (random.below(2) === 0) await store.caughtUp()
      for (let i = 0; i < CHANGES / 4; i++) await change(store, model, random)
      for (let i = 0; i < 6; i++) {
        const where = `seed ${random.seed}, round ${round}`
        found += await compare(store, model, random, where)
        found += await compare(view, frozen, random, `${where}, view`)
      }
      await view.close()
    }
    expect(found, `seed ${random.seed}`).toBeGreaterThan(ROUNDS)
  }, 120_000)
})

/** A concept that is associated with so many others. */
function* hubOf(count: number, metadataBytes: number): Generator<ImportRecord> {
  const metadata = { note: 'x'.repeat(metadataBytes) }
  yield { kind: 'concept', key: 'hub', content: 'hub' }
  for (let i = 0; i < count; i++) yield { kind: 'concept', key: `${i}`, content: `${i}` }
  for (let i = 0; i < count; i++) {
    yield { kind: 'association', sourceKey: 'hub', targetKey: `${i}`, type: 'a', metadata }
  }
}

async function change(store: Store, { links, alive }: Model, random: Random): Promise<void> {
  const [source, target] = [random.below(CONCEPTS), random.below(CONCEPTS)]
  const type = random.pick(TYPES)
  const key = random.below(3) === 0 ? 'k' : undefined
  const ref = { source: keyOf(source), target: keyOf(target), type, ...(key && { key }) }
  const name = `${source} ${type} ${target} ${key}`
  switch (random.below(16)) {
    case 0:
      if (!alive.delete(source)) return
      await store.forget(keyOf(source))
      for (const [one, link] of links) {
        if (link.source === source || link.target === source) links.delete(one)
      }
      return
    case 1:
    case 2:
      if (links.delete(name)) await store.dissociate(ref)
      return
    default: {
      for (const end of [source, target]) {
        if (!alive.has(end)) await store.learn({ id: keyOf(end), content: `concept ${end}` })
        alive.add(end)
      }
      const strength = random.pick([0.5, 1])
      const confidence = random.pick([0.25, 0.5, 1, 1])
      await store.associate({ ...ref, strength, confidence })
      links.set(name, { ...edgeOf(source, target, type, key, confidence), strength })
    }
  }
}

/** Asks for some paths; how many there were. */
async function compare(
  reader: Reader,
  { links, alive }: Model,
  random: Random,
  where: string
): Promise<number> {
  if (alive.size === 0) return 0
  const [source, target] = [random.pick([...alive]), random.pick([...alive])]
  const order = random.pick(['hops', 'confidence'] as const)
  const direction = random.pick(['out', 'in', 'both'] as const)
  const maxDepth = 1 + random.below(4)
  const limit = 1 + random.below(8)
  const filters: PathOptions = random.pick([
    {},
    {},
    { types: ['a', 'c'] },
    { minStrength: 0.75 },
    { where: { '@strength': { lt: 0.75 } } }
  ])
  const usable = [...links.values()].filter((link) => isUsable(link, filters))
  const query = { source, target, direction, maxDepth, limit, order }

  const asked = { ...filters, order, direction, maxDepth }
  const paths = await reader.findPaths(keyOf(source), keyOf(target), { ...asked, limit })
  const best = await reader.findPath(keyOf(source), keyOf(target), asked)

  const all = allPaths(usable, query)
  const ranks = all.map((path) => JSON.stringify(rank(path)))
  expect(paths.map(rankOf), where).toEqual(ranks.slice(0, limit))
  expect(best, where).toEqual(paths[0])
  const names = new Set(
    all.map(({ ordinals, edges }) => [...ordinals.map(idOf), ...edges.map(showLink)].join(' '))
  )
  for (const path of paths) expect(names, where).toContain(showPath(path))
  return paths.length
}

function isUsable(
  { name, strength }: Link,
  { types, minStrength = 0, where }: PathOptions
): boolean {
  if (types !== undefined && !types.includes(name)) return false
  return strength >= minStrength && (where === undefined || strength < 0.75)
}

function rankOf({ associations, confidence }: Path): string {
  return JSON.stringify([associations.length, confidence])
}

function showPath({ concepts, associations }: Path): string {
  const edges = associations.map(
    ({ source, target, type, key, strength, confidence }) =>
      `${source} ${target} ${type} ${key} ${strength} ${confidence}`
  )
  return [...concepts, ...edges].join(' ')
}

function showLink({ source, target, name, key, strength, confidence }: Link): string {
  return `${idOf(source)} ${idOf(target)} ${name} ${key} ${strength} ${confidence}`
}

function keyOf(concept: number): { key: string } {
  return { key: `concept ${concept}` }
}

function idOf(concept: number): ConceptId {
  return ConceptId.fromKey(`concept ${concept}`)
}
