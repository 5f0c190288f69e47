import { writeFile } from 'node:fs/promises'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import type { Command } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'
import { checkRoundTrip, exported } from './round-trip.ts'

describe('an export to Parquet', () => {
  test('imports back to the same content', async () => {
    await checkRoundTrip('parquet', 8)
  })

  test('has columns that others can read', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    await store.learn({
      ...{ id: { key: 'a' }, type: 'word', content: 'A', data: Buffer.from('hi') },
      ...{ embedding: [0.5, -0], metadata: { n: 1 } }
    })
    await store.learn({ id: { key: 'b' }, content: 'B', strength: 0.25 })
    await store.associate({ source: { key: 'a' }, target: { key: 'b' }, type: 'to', key: 'k' })
    const path = await temporaryPath('all.parquet')
    await writeFile(path, await exported(store, { format: 'parquet' }))

    const file = await asyncBufferFromFile(path)
    const metadata = await parquetMetadataAsync(file)
    const rows = await parquetReadObjects({ file, utf8: false })

    const none = { id: null, key: null, type: null, content: null, data: null, metadata: null }
    const ends = { source: null, sourceKey: null, target: null, targetKey: null }
    const whole = { strength: 1, confidence: 1, stub: false, embedding: null }
    expect(metadata.key_value_metadata).toEqual([{ key: 'sutra-storage', value: '1' }])
    expect(rows.map(withNulls)).toEqual([
      {
        ...{ ...none, ...ends, ...whole, kind: 'concept', key: 'a', type: 'word', content: 'A' },
        ...{ data: new Uint8Array([0x68, 0x69]), metadata: '{"n":1}', embedding: [0.5, -0] }
      },
      { ...none, ...ends, ...whole, kind: 'concept', key: 'b', content: 'B', strength: 0.25 },
      {
        ...{ ...none, ...ends, ...whole, kind: 'association', type: 'to', key: 'k' },
        ...{ sourceKey: 'a', targetKey: 'b' }
      }
    ])
  })

  test('of much content has several row groups', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const learn = (n: number): Command => ({ do: 'learn', content: `${n} `.repeat(5000) })
    for (let n = 0; n < 600; n += 100) {
      const commands = Array.from({ length: 100 }, (_, i) => learn(n + i))
      await store.commit(commands, { durability: 'os' })
    }
    const path = await temporaryPath('all.parquet')
    await writeFile(path, await exported(store, { format: 'parquet' }))

    const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path))
    await using other = await openTemporaryStore()
    await other.store.import(path)

    expect(metadata.row_groups.length).toBeGreaterThan(1)
    expect(await other.store.contentHash()).toBe(await store.contentHash())
  })
})

function withNulls(row: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(row).map(([name, value]) => {
    return [name, value instanceof Float32Array ? Array.from(value) : (value ?? null)]
  })
  return Object.fromEntries(entries) as Record<string, unknown>
}
