/** What the matches of a search are associated with. */
import type { Command, Match, Related, Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'

const VECTORS = { vectors: { dimensions: 2 } }
const EAST = [1, 0]

describe('expand', () => {
  test('adds nothing unless it is asked for', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    await fill(temporary.store)

    const [match] = await temporary.store.search(EAST, { k: 1 })

    expect(match).not.toHaveProperty('related')
  })

  test('gives what is one step away in either direction, strongest first', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    await fill(temporary.store)

    const [match] = await temporary.store.search(EAST, { k: 1, expand: {} })

    expect(match?.key).toBe('ada')
    expect(match?.related?.map(({ key, hops, strength }) => [key, hops, strength])).toEqual([
      ['engine', 1, 1],
      ['byron', 1, 0.75],
      ['notes', 1, 0.5]
    ])
  })

  test('shows the way from the match, step by step', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    await fill(temporary.store)

    const [match] = await temporary.store.search(EAST, {
      k: 1,
      expand: { hops: 2 },
      include: ['concept']
    })

    const loom = match?.related?.find(({ key }) => key === 'loom')
    expect(loom).toMatchObject({ hops: 2, strength: 0.5, concept: { content: 'loom' } })
    const steps = loom?.via.map(({ source, target, type, other }) => {
      return { type, leaves: other.id === target, other: other.key, differs: source !== target }
    })
    expect(steps).toEqual([
      { type: 'described', leaves: true, other: 'engine', differs: true },
      { type: 'inspired', leaves: false, other: 'loom', differs: true }
    ])
  })

  test('puts each concept once into an answer, with the match that it is nearest to', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    await fill(temporary.store)

    const matches = await temporary.store.search(EAST, { k: 2, expand: { hops: 3 } })

    expect(matches.map(({ key }) => key)).toEqual(['ada', 'loom'])
    // The loom is one step from the engine, as Ada is, and is a match itself: no match is related.
    expect(related(matches)).toEqual([
      ['engine', 'byron', 'notes'],
      ['weaver', 'cloth']
    ])
  })

  test('follows the types, the direction and the strength that were asked for', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await fill(store)
    const search = async (expand: object) => related(await store.search(EAST, { k: 1, expand }))

    expect(await search({ types: ['wrote'] })).toEqual([['notes']])
    expect(await search({ direction: 'in' })).toEqual([['byron']])
    expect(await search({ direction: 'out', hops: 2 })).toEqual([['engine', 'notes']])
    expect(await search({ minStrength: 0.75, hops: 3 })).toEqual([['engine', 'byron']])
    expect(await search({ types: [] })).toEqual([[]])
  })

  test('keeps to its limit for each match, nearest and strongest first', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await fill(store)
    const search = async (limit: number) =>
      related(await store.search(EAST, { k: 1, expand: { hops: 3, limit } }))

    expect(await search(1)).toEqual([['engine']])
    expect(await search(4)).toEqual([['engine', 'byron', 'notes', 'loom']])
    expect(await search(6)).toEqual([['engine', 'byron', 'notes', 'loom', 'weaver']])
  })

  test('is that of the position, of concepts and associations that live there', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await fill(store)
    await using view = await store.view()
    await store.forget({ key: 'engine' })
    await store.dissociate({ source: { key: 'ada' }, target: { key: 'notes' }, type: 'wrote' })
    await store.reinforce(
      { source: { key: 'byron' }, target: { key: 'ada' }, type: 'fathered' },
      { strength: 0.25 }
    )

    const now = await store.search(EAST, { k: 1, expand: { hops: 2 } })
    const then = await view.search(EAST, { k: 1, expand: { hops: 2 } })

    expect(related(now)).toEqual([['byron']])
    expect(now[0]?.related?.[0]?.strength).toBe(0.25)
    expect(related(then)).toEqual([['engine', 'byron', 'notes', 'loom']])
  })

  test('takes the strongest of parallel associations', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await store.commit([
      { do: 'learn', id: { key: 'a' }, content: 'a', embedding: EAST },
      { do: 'learn', id: { key: 'b' }, content: 'b' },
      ...[0.25, 1, 0.5].map((strength, i) => link('a', 'b', 'same', strength, `${i}`)),
      link('a', 'a', 'self', 1)
    ])

    const [match] = await store.search(EAST, { expand: { hops: 3 } })

    expect(match?.related).toHaveLength(1)
    expect(match?.related?.[0]).toMatchObject({ key: 'b', hops: 1, strength: 1 })
    expect(match?.related?.[0]?.via[0]?.key).toBe('1')
  })

  test('finds the strongest of a hub without holding all that it is associated with', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    await hub(store, 3000)

    const [match] = await store.search(EAST, { k: 1, expand: { limit: 3 } })

    expect(match?.related?.map(({ key }) => key)).toEqual(['n1', 'n2', 'n3'])
  })

  test('ends where limits.pathExplored ends, with an error', async () => {
    await using temporary = await openTemporaryStore({ ...VECTORS, limits: { pathExplored: 99 } })
    const { store } = temporary
    await hub(store, 100)

    await expect(store.search(EAST, { k: 1, expand: {} })).rejects.toMatchObject({
      code: 'PATH_TOO_LARGE',
      details: { explored: 100, max: 99 }
    })
  })
})

async function fill(store: Store): Promise<void> {
  const names = ['engine', 'notes', 'byron', 'weaver', 'cloth']
  await store.commit([
    { do: 'learn', id: { key: 'ada' }, content: 'ada', embedding: EAST },
    { do: 'learn', id: { key: 'loom' }, content: 'loom', embedding: [0.5, 0.5] },
    ...names.map((key): Command => ({ do: 'learn', id: { key }, content: key })),
    link('ada', 'engine', 'described', 1),
    link('ada', 'notes', 'wrote', 0.5),
    link('byron', 'ada', 'fathered', 0.75),
    link('loom', 'engine', 'inspired', 0.5),
    link('weaver', 'loom', 'uses', 1),
    link('weaver', 'cloth', 'makes', 1)
  ])
}

async function hub(store: Store, count: number): Promise<void> {
  await store.learn({ id: { key: 'hub' }, content: 'hub', embedding: EAST })
  for (let n = 1; n <= count; n++) {
    await store.commit(
      [{ do: 'learn', id: { key: `n${n}` }, content: `n${n}` }, link('hub', `n${n}`, 'has', 1 / n)],
      { durability: 'os' }
    )
  }
}

function link(from: string, to: string, type: string, strength: number, key?: string): Command {
  const ends = { source: { key: from }, target: { key: to } }
  return { do: 'associate', ...ends, type, strength, ...(key === undefined ? {} : { key }) }
}

function related(matches: readonly Match[]): string[][] {
  return matches.map((match) => (match.related ?? []).map(({ key = '' }: Related) => key))
}
