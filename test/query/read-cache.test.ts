import { ConceptId, type Reader, type Store, type View } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { GenerationCache } from '#sutra/projections/generation-cache.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'

const KEYS = Array.from({ length: 12 }, (_, i) => `key ${i}`)
const TYPES = ['knows', 'likes']
const STEPS = 600

/** What a store of a few concepts holds: contents by key, strengths by the ends and the type. */
interface Model {
  contents: Map<string, string>
  links: Map<string, number>
}

const linkName = (source: string, type: string, target: string) => `${source}|${type}|${target}`

describe('rows that were read once', () => {
  test('are never told when they are old', async () => {
    const random = new Random()
    await using temporary = await openTemporaryStore({ durability: 'os' })
    const { store } = temporary
    const model: Model = { contents: new Map(), links: new Map() }
    const views: { view: View; model: Model }[] = []
    for (let step = 0; step < STEPS; step++) {
      await change(store, model, random, step)
      if (random.below(3) === 0) await store.caughtUp()
      if (random.below(10) === 0) {
        const frozen = { contents: new Map(model.contents), links: new Map(model.links) }
        views.push({ view: await store.view(), model: frozen })
      }
      if (views.length > 4) await views.shift()?.view.close()
      await compare(store, model, random, `seed ${random.seed}, step ${step}`)
      const held = views[random.below(views.length)]
      if (held) await compare(held.view, held.model, random, `view, step ${step}`)
    }
    const { concepts, associations, links } = store.stats().caches
    for (const cache of [concepts, associations, links]) {
      expect(cache?.hits, `seed ${random.seed}`).toBeGreaterThan(STEPS / 10)
    }
    for (const { view } of views) await view.close()
  }, 120_000)

  test('give each caller metadata of its own', async () => {
    await using temporary = await openTemporaryStore({ durability: 'os' })
    const { store } = temporary
    const flat = { lang: 'en', n: 1, ok: true, none: null, text: '' }
    const nested = { ...flat, tags: ['a', { b: 1 }] }
    const [a, b] = [{ key: 'flat' }, { key: 'nested' }]
    await store.learn({ id: a, content: 'a', metadata: flat })
    await store.learn({ id: b, content: 'b', metadata: nested })
    await store.associate({ source: a, target: b, type: 'knows', metadata: flat })
    await store.associate({ source: b, target: a, type: 'knows', metadata: nested })
    await store.caughtUp()

    // Read once, read again, and kept from then on.
    for (let round = 0; round < 5; round++) {
      for (const [id, metadata] of [
        [a, flat],
        [b, nested]
      ] as const) {
        const concept = await store.get(id)
        const [association] = await store.neighbors(id)
        expect([concept?.metadata, association?.metadata]).toEqual([metadata, metadata])
        for (const mine of [concept?.metadata, association?.metadata]) spoil(mine)
      }
    }
  })
})

function spoil(metadata: unknown): void {
  const mine = metadata as Record<string, unknown>
  if (Array.isArray(mine['tags'])) Object.assign(mine['tags'][1], { b: 2 })
  mine['lang'] = 'spoilt'
  mine['more'] = 1
  delete mine['n']
}

async function change(store: Store, model: Model, random: Random, step: number): Promise<void> {
  const key = random.pick(KEYS)
  const other = random.pick(KEYS)
  const type = random.pick(TYPES)
  const { contents, links } = model
  const isThere = contents.has(key)
  const name = linkName(key, type, other)
  switch (random.below(6)) {
    case 0:
    case 1:
      // Sometimes learned by its id first, so that its key comes late.
      await store.learn({
        id: random.below(3) === 0 ? ConceptId.fromKey(key) : { key },
        content: `content ${step}`
      })
      contents.set(key, `content ${step}`)
      return
    case 2:
      if (random.below(3) > 0 || !isThere) return
      await store.forget({ key })
      contents.delete(key)
      for (const link of [...links.keys()]) {
        const [source, , target] = link.split('|')
        if (source === key || target === key) links.delete(link)
      }
      return
    case 3:
    case 4:
      if (!isThere || !contents.has(other)) return
      await store.associate({
        source: { key },
        target: { key: other },
        type,
        strength: step / STEPS
      })
      links.set(name, step / STEPS)
      return
    case 5:
      if (!links.delete(name)) return
      await store.dissociate({ source: { key }, target: { key: other }, type })
  }
}

async function compare(
  reader: Reader,
  { contents, links }: Model,
  random: Random,
  where: string
): Promise<void> {
  const key = random.pick(KEYS)
  expect((await reader.get({ key }))?.content, where).toBe(contents.get(key))
  const direction = random.pick(['out', 'in', 'both'] as const)
  const found = await reader.neighbors({ key }, { direction })
  const ids = new Map(KEYS.map((one) => [ConceptId.fromKey(one), one]))
  const told = found.map(({ source, type, target, strength }) => [
    linkName(ids.get(source) ?? '', type, ids.get(target) ?? ''),
    strength
  ])
  const expected = [...links].filter(([link]) => {
    const [source, , target] = link.split('|')
    return (direction !== 'in' && source === key) || (direction !== 'out' && target === key)
  })
  expect(Object.fromEntries(told), where).toEqual(Object.fromEntries(expected))
  const target = random.pick(KEYS)
  if (!contents.has(key) || !contents.has(target)) return
  const path = await reader.findPath({ key }, { key: target }, { maxDepth: 6 })
  expect(path?.associations.length, where).toBe(hops(links, key, target))
}

function hops(links: ReadonlyMap<string, number>, from: string, to: string): number | undefined {
  const reached = new Map([[from, 0]])
  for (const [key, distance] of reached) {
    if (key === to) return distance
    if (distance === 6) continue
    for (const link of links.keys()) {
      const [source, , target = ''] = link.split('|')
      if (source === key && !reached.has(target)) reached.set(target, distance + 1)
    }
  }
  return undefined
}

describe('a cache in generations', () => {
  test('keeps within its budget, and what is asked for', () => {
    const cache = new GenerationCache<string>(
      () => 100,
      (value) => value.length
    )
    cache.set(0, 'asked for')
    for (let key = 1; key < 1000; key++) {
      cache.set(key, 'x'.repeat(1 + (key % 20)))
      expect(cache.get(0)).toBe('asked for')
      expect(cache.stats.bytes).toBeLessThanOrEqual(100)
    }
    expect(cache.get(1)).toBeUndefined()
    expect(cache.stats).toMatchObject({ hits: 999, misses: 1 })
    cache.set(5000, 'y'.repeat(51))
    expect(cache.get(5000)).toBeUndefined()
    for (const key of [0, 998, 999]) cache.delete(key)
    expect(cache.get(999)).toBeUndefined()
    cache.clear()
    expect(cache.stats).toMatchObject({ entries: 0, bytes: 0 })
  })
})
