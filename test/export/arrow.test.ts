import { tableFromIPC } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { checkRoundTrip, exported } from './round-trip.ts'

describe('an export to Arrow', () => {
  test('imports back to the same content', async () => {
    await checkRoundTrip('arrow', 8)
  })

  test('has columns that others can read', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    await store.learn({
      ...{ id: { key: 'a' }, type: 'word', content: 'Ä', data: Buffer.from('hi') },
      ...{ embedding: [0.5, -0], metadata: { n: 1 } }
    })
    await store.learn({ id: { key: 'b' }, content: 'B', strength: 0.25 })
    await store.associate({ source: { key: 'a' }, target: { key: 'b' }, type: 'to', key: 'k' })

    const table = tableFromIPC(await exported(store, { format: 'arrow' }))

    const column = (name: string) => [...(table.getChild(name) ?? [])]
    expect(table.schema.metadata.get('sutra-storage')).toBe('1')
    expect(column('kind')).toEqual(['concept', 'concept', 'association'])
    expect(column('content')).toEqual(['Ä', 'B', null])
    expect(column('key')).toEqual(['a', 'b', 'k'])
    expect(column('metadata')).toEqual(['{"n":1}', null, null])
    expect(column('strength')).toEqual([1, 0.25, 1])
    expect(column('sourceKey')).toEqual([null, null, 'a'])
    expect(column('data')[0]).toEqual(new Uint8Array([0x68, 0x69]))
    const [first, second] = column('embedding') as ({ toArray(): Float32Array } | null)[]
    expect(Array.from(first?.toArray() ?? [])).toEqual([0.5, -0])
    expect(second).toBeNull()
  })
})
