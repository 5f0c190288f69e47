import { writeFile } from 'node:fs/promises'
import {
  Bool,
  DateMillisecond,
  Decimal,
  Field,
  FixedSizeList,
  Float32,
  Int64,
  LargeUtf8,
  List,
  Map_,
  Struct,
  type Table,
  tableFromArrays,
  tableToIPC,
  Utf8,
  vectorFromArray,
  Table as Whole
} from 'apache-arrow'
import { ConceptId, type ImportRecord } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { damageFrom, importDamaged } from './damaged.ts'

describe('an import of Arrow', () => {
  test('takes columns named as fields for these, and all others for metadata', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    const list = new FixedSizeList(2, new Field('item', new Float32()))
    const point = new Struct([new Field('x', new Float32()), new Field('y', new Float32())])
    const words = new List(new Field('item', new Utf8()))
    const path = await arrowFile(
      new Whole({
        key: vectorFromArray([7n, 8n, null], new Int64()),
        content: vectorFromArray(['seven', 'eight', null], new Utf8()),
        embedding: vectorFromArray([[0.1, 0.2], null, null], list),
        year: vectorFromArray([1999n, 2n ** 60n, null], new Int64()),
        seen: vectorFromArray([new Date(0), null, null], new DateMillisecond()),
        good: vectorFromArray([true, null, null], new Bool()),
        at: vectorFromArray([{ x: 0.5, y: 2 }, null, null], point),
        words: vectorFromArray([['a', 'b'], [], null], words),
        sourceKey: vectorFromArray([null, null, '7'], new Utf8()),
        targetKey: vectorFromArray([null, null, '8'], new Utf8()),
        type: vectorFromArray([null, null, 'next'])
      })
    )

    const report = await store.import(path, { strict: true })

    expect(report).toMatchObject({ concepts: 2, associations: 1, rejectedCount: 0 })
    expect(await store.get({ key: '7' })).toMatchObject({
      content: 'seven',
      metadata: {
        ...{ year: 1999, seen: '1970-01-01T00:00:00.000Z', good: true },
        ...{ at: { x: 0.5, y: 2 }, words: ['a', 'b'] }
      }
    })
    expect(await store.vector({ key: '7' })).toEqual(new Float32Array([0.1, 0.2]))
    expect(await store.get({ key: '8' })).toMatchObject({
      metadata: { year: '1152921504606846976', words: [] },
      hasVector: false
    })
    expect(await store.neighbors({ key: '7' })).toMatchObject([{ type: 'next' }])
  })

  test.each(['file', 'stream'] as const)('reads the format of a %s', async (format) => {
    await using temporary = await openTemporaryStore()
    const table = tableFromArrays({ content: Array.from({ length: 2500 }, (_, i) => `${i}`) })
    const path = await arrowFile(table, format)

    expect(await temporary.store.import(path)).toMatchObject({ concepts: 2500, rejectedCount: 0 })
  })

  test('takes decimals as numbers where these say the same, else as text', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const words = (value: bigint): Uint32Array =>
      Uint32Array.from({ length: 4 }, (_, i) => Number(BigInt.asUintN(32, value >> BigInt(32 * i))))
    const decimals = [57n, -57n, 0n, 10n ** 30n + 1n, -(10n ** 30n)].map(words)
    const path = await arrowFile(
      new Whole({
        content: vectorFromArray(['a', 'b', 'c', 'd', 'e', 'f'], new Utf8()),
        price: vectorFromArray([...decimals, null], new Decimal(2, 38))
      })
    )

    await store.import(path, { strict: true })

    const metadata = async (content: string): Promise<unknown> =>
      (await store.get(ConceptId.fromContent(content)))?.metadata
    expect(await metadata('a')).toEqual({ price: 0.57 })
    expect(await metadata('b')).toEqual({ price: -0.57 })
    expect(await metadata('c')).toEqual({ price: 0 })
    expect(await metadata('d')).toEqual({ price: '10000000000000000000000000000.01' })
    expect(await metadata('e')).toEqual({ price: '-10000000000000000000000000000.00' })
    expect(await metadata('f')).toEqual({})
  })

  test('gives every kind of text back with a U+FEFF at its start', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const text = '\ufefftext'
    const entry = new Struct([new Field('k', new Utf8()), new Field('v', new Utf8())])
    const map = new Map_(new Field('entries', entry))
    const path = await arrowFile(
      new Whole({
        content: vectorFromArray([text], new Utf8()),
        large: vectorFromArray([text], new LargeUtf8()),
        repeated: vectorFromArray([text]),
        list: vectorFromArray([[text]], new List(new Field('item', new Utf8()))),
        struct: vectorFromArray([{ v: text }], new Struct([new Field('v', new Utf8())])),
        map: vectorFromArray([new Map([[text, text]])], map),
        '\ufeffname': vectorFromArray(['named'], new Utf8())
      })
    )

    await store.import(path, { strict: true })

    expect(await store.get(ConceptId.fromContent(text))).toMatchObject({
      content: text,
      metadata: {
        ...{ large: text, repeated: text, list: [text], struct: { v: text } },
        ...{ map: { [text]: text }, '\ufeffname': 'named' }
      }
    })
  })

  test('gives rows as they are to `map`', async () => {
    await using temporary = await openTemporaryStore()
    const path = await arrowFile(tableFromArrays({ name: ['one', 'two'], n: [1n, 2n] }))
    const rows: unknown[] = []
    const map = (row: unknown): ImportRecord => {
      rows.push(row)
      // The columns of the file above.
      return { kind: 'concept', content: (row as { name: string }).name }
    }

    await temporary.store.import(path, { map })

    expect(rows).toEqual([
      { name: 'one', n: 1n },
      { name: 'two', n: 2n }
    ])
  })

  test('of a damaged file gives a typed error or rows, and always ends', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const random = new Random()
    const words = Array.from({ length: 200 }, () => `word ${random.below(50)}`)
    const path = await arrowFile(
      new Whole({
        content: vectorFromArray(words, new Utf8()),
        kind: vectorFromArray(words.map(() => 'concept')),
        n: vectorFromArray(
          words.map((_, i) => [i]),
          new List(new Field('item', new Float32()))
        )
      })
    )
    await importDamaged(store, path, (whole, random) => damageFrom(0, whole, random))
  })
})

async function arrowFile(table: Table, format: 'file' | 'stream' = 'file'): Promise<string> {
  const path = await temporaryPath('rows.arrow')
  await writeFile(path, tableToIPC(table, format))
  return path
}
