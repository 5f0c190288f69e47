import fc from 'fast-check'
import type { Command, ExportProgress, Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { floatText } from '#sutra/export/float-text.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { exported, seeded } from './round-trip.ts'

const MANY = 20_000

describe('an export', () => {
  test('is of one position: a write while it runs is not in it', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, MANY)
    const hash = await store.contentHash()
    const chunks: Uint8Array[] = []

    for await (const chunk of store.export()) {
      chunks.push(chunk)
      await store.learn({ id: { key: `late ${chunks.length}` }, content: 'late' })
      await store.forget({ key: `key ${MANY - chunks.length}` })
    }

    expect(chunks.length).toBeGreaterThan(2)
    await using other = await openTemporaryStore()
    await other.store.import(only(chunks))
    expect(await other.store.contentHash()).toBe(hash)
  })

  test('lets go of its view when nobody takes the rest', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, MANY)

    for await (const chunk of store.export()) {
      expect(chunk.length).toBeGreaterThan(0)
      expect(store.stats().views).toBe(1)
      break
    }

    expect(store.stats().views).toBe(0)
  })

  test('stops on its signal and lets go of its view', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, MANY)
    const controller = new AbortController()

    const run = async () => {
      for await (const _ of store.export({ signal: controller.signal })) controller.abort()
    }

    await expect(run()).rejects.toMatchObject({ code: 'ABORTED', details: { operation: 'export' } })
    expect(store.stats().views).toBe(0)
  })

  test('of a store or a view that is closed meanwhile says so', async () => {
    await using temporary = await openTemporaryStore({ check: false })
    const { store } = temporary
    await learn(store, MANY)
    const view = await store.view()
    const ofView = view.export()[Symbol.asyncIterator]()
    const ofStore = store.export()[Symbol.asyncIterator]()
    await ofView.next()
    await ofStore.next()

    await view.close()
    await expect(rest(ofView)).rejects.toMatchObject({ code: 'VIEW_CLOSED' })
    await store.close()
    await expect(rest(ofStore)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('of a view gives the state of the view', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 3)
    await using view = await store.view()
    await store.forget({ key: 'key 1' })

    const chunks: Uint8Array[] = []
    for await (const chunk of view.export()) chunks.push(chunk)

    expect(Buffer.concat(chunks).toString()).toContain('"key 1"')
    expect((await exported(store, {})).toString()).not.toContain('"key 1"')
  })

  test('tells how far it is', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 3)
    await store.associate({ source: { key: 'key 0' }, target: { key: 'key 1' }, type: 'to' })
    const told: ExportProgress[] = []

    const file = await exported(store, { onProgress: (progress) => told.push(progress) })

    expect(told.at(-1)).toEqual({
      records: 4,
      recordsTotal: 4,
      concepts: 3,
      associations: 1,
      bytes: file.length,
      seconds: expect.any(Number)
    })
  })

  test('names a key that a concept got after it was associated with', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const { ConceptId } = await import('sutra-storage')
    const late = ConceptId.fromKey('late')
    await store.commit([
      { do: 'learn', id: late, content: 'late' },
      { do: 'learn', id: { key: 'early' }, content: 'early' },
      { do: 'associate', source: { key: 'early' }, target: late, type: 'to' },
      { do: 'learn', id: { key: 'late' }, content: 'late' }
    ])
    await store.caughtUp()

    expect((await exported(store, {})).toString()).toContain(
      '"sourceKey":"early","targetKey":"late"'
    )
  })

  test.each([
    ['an unknown name', { shape: 'round' }, 'OPTION_INVALID'],
    ['an unknown format', { format: 'xml' }, 'OPTION_INVALID'],
    ['types that are none', { types: [1] }, 'OPTION_INVALID']
  ])('refuses %s', async (_, options, code) => {
    await using temporary = await openTemporaryStore()

    await expect(exported(temporary.store, options as never)).rejects.toMatchObject({ code })
    expect(temporary.store.stats().views).toBe(0)
  })
})

describe('a float32 as text', () => {
  test('is read back bit for bit', () => {
    const bits = fc.integer({ min: 0, max: 0xffffffff }).map((word) => {
      const view = new DataView(new ArrayBuffer(4))
      view.setUint32(0, word)
      return view.getFloat32(0)
    })

    fc.assert(
      fc.property(bits.filter(Number.isFinite), (value) => {
        expect(Object.is(Math.fround(JSON.parse(floatText(value))), value)).toBe(true)
      }),
      seeded(20_000)
    )
  })
})

async function learn(store: Store, count: number): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    const length = Math.min(1000, count - from)
    const commands = Array.from(
      { length },
      (_, i): Command => ({ do: 'learn', id: { key: `key ${from + i}` }, content: `content ${i}` })
    )
    await store.commit(commands, { durability: 'os' })
  }
}

async function* only<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

async function rest(iterator: AsyncIterator<unknown>): Promise<void> {
  while (!(await iterator.next()).done);
}
