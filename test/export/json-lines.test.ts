import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { checkRoundTrip, exported } from './round-trip.ts'

describe('an export to JSON Lines', () => {
  test('imports back to the same content', async () => {
    await checkRoundTrip('jsonl')
  })

  test('is one record a line, concepts first, without what is the default', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    await store.learn({ id: { key: 'b' }, type: 'word', content: 'B', embedding: [0.1, -0] })
    await store.learn({ content: 'A', data: Buffer.from('hi'), strength: 0.5, metadata: { n: 1 } })
    const [a] = (await store.commit([{ do: 'learn', content: 'A' }])).results
    const id = a?.id ?? ''
    await store.associate({ source: { key: 'b' }, target: id as never, type: 'to', key: 'k' })

    const text = (await exported(store, {})).toString()

    expect(text.split('\n')).toEqual([
      '{"kind":"concept","key":"b","type":"word","content":"B","embedding":[0.100000001,-0]}',
      `{"kind":"concept","id":"${id}","content":"A","data":"aGk=","strength":0.5,` +
        '"metadata":{"n":1},"embedding":null}',
      `{"kind":"association","sourceKey":"b","target":"${id}","type":"to","key":"k"}`,
      ''
    ])
  })

  test('leaves out vectors, associations and types that are not wanted', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    for (const [key, type] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x']
    ] as const) {
      await store.learn({ id: { key }, type, content: key, embedding: [1, 2] })
    }
    await store.associate({ source: { key: 'a' }, target: { key: 'b' }, type: 'to' })
    await store.associate({ source: { key: 'a' }, target: { key: 'c' }, type: 'to' })

    const text = (await exported(store, { types: ['x'], vectors: false })).toString()
    const bare = (await exported(store, { associations: false, vectors: false })).toString()

    expect(text.trim().split('\n')).toEqual([
      '{"kind":"concept","key":"a","type":"x","content":"a"}',
      '{"kind":"concept","key":"c","type":"x","content":"c"}',
      '{"kind":"association","sourceKey":"a","targetKey":"c","type":"to"}'
    ])
    expect(bare).not.toContain('association')
    expect(bare.trim().split('\n')).toHaveLength(3)
  })
})
