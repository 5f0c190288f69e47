/** What a refused commit or an older life of an id leaves behind for those that come after. */
import { ConceptId, open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { temporaryPath } from '../support/temp.ts'

const A = { key: 'a' }
const B = { key: 'b' }
const NOBODY = { key: 'nobody' }

/** A store whose tables stay behind, so that all is read from the overlay; or one that caught up. */
const WAYS = [
  { from: 'the overlay', catchUp: async (_: Store) => undefined },
  { from: 'the tables', catchUp: async (store: Store) => store.caughtUp() }
]

describe.each(WAYS)('read from $from', ({ catchUp }) => {
  test('each view sees the life of an id that was at its position', async () => {
    await using store = await open(await temporaryPath())
    const views = [await store.view()]
    for (const content of ['first', 'second', 'third']) {
      await store.learn({ id: A, content })
      await catchUp(store)
      views.push(await store.view())
      await store.forget(A)
      views.push(await store.view())
    }
    await catchUp(store)

    const contents = await Promise.all(views.map(async (view) => (await view.get(A))?.content))

    const lives = ['first', undefined, 'second', undefined, 'third', undefined]
    expect(contents).toEqual([undefined, ...lives])
    expect(await store.has(A)).toBe(false)
    for (const view of views) await view.close()
  })

  test('versions go on over the lives of an id', async () => {
    await using store = await open(await temporaryPath())
    const versions: number[] = []
    for (let life = 0; life < 3; life++) {
      const { results } = await store.learn({ id: A, content: `${life}` })
      await catchUp(store)
      const { results: forgotten } = await store.forget(A)
      versions.push(...[...results, ...forgotten].map(({ version }) => version))
    }

    expect(versions).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('nor do refused commits change what was learned last', async () => {
    await using store = await open(await temporaryPath())
    await store.learn({ id: A, content: 'a' })
    await catchUp(store)
    const change = { confidence: { by: -0.5 } }
    const refusals = [
      store.commit([
        { do: 'learn', id: B, content: 'never' },
        { do: 'forget', id: NOBODY }
      ]),
      store.commit([
        { do: 'reinforce', target: A, ...change },
        { do: 'forget', id: NOBODY }
      ])
    ]
    for (const refused of refusals) {
      await expect(refused).rejects.toMatchObject({ code: 'CONCEPT_NOT_FOUND' })
    }
    // The head passes the positions that they would have had.
    for (const key of ['c', 'd', 'e']) await store.learn({ id: { key }, content: key })

    expect(await store.get(A)).toMatchObject({ version: 1, confidence: 1 })
    expect(await store.get(B)).toBeUndefined()
    expect((await store.reinforce(A, change)).results).toMatchObject([{ version: 2 }])
  })

  test('a refused commit leaves nothing, and what it named can be learned', async () => {
    await using store = await open(await temporaryPath())
    await store.learn({ id: B, content: 'b' })
    await store.forget(B)
    await catchUp(store)
    const before = await store.counts()
    const refused = store.commit([
      { do: 'learn', id: A, content: 'never' },
      { do: 'learn', id: B, content: 'never' },
      { do: 'associate', source: A, target: B, type: 'knows' },
      { do: 'forget', id: NOBODY }
    ])

    await expect(refused).rejects.toMatchObject({ code: 'CONCEPT_NOT_FOUND' })

    expect(await store.counts()).toEqual(before)
    expect(await store.get(A)).toBeUndefined()
    expect(await store.get(B)).toBeUndefined()
    const { results } = await store.commit([
      { do: 'learn', id: A, content: 'a' },
      { do: 'learn', id: B, content: 'b again' },
      { do: 'associate', source: A, target: B, type: 'knows' }
    ])
    expect(results.map(({ version, created }) => [version, created])).toEqual([
      [1, true],
      [3, true],
      [1, true]
    ])
    expect((await store.get(B))?.content).toBe('b again')
    expect(await store.verify()).toMatchObject({ ok: true })
  })
})

test('ids of keys that differ little are those of the keys', async () => {
  await using store = await open(await temporaryPath())
  // More than are remembered, twice: some of them meet where they are remembered.
  const keys = Array.from({ length: 450 }, (_, n) => `${n % 7}-key-of-${n}`)
  const commands = keys.map((key) => ({ do: 'learn' as const, id: { key }, content: key }))

  const { results } = await store.commit([...commands, ...commands.toReversed()])

  const ids = keys.map((key) => ConceptId.fromKey(key))
  expect(results.map(({ id }) => id)).toEqual([...ids, ...ids.toReversed()])
})
