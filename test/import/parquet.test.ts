import { readFile, writeFile } from 'node:fs/promises'
import { parquetMetadata, type SchemaElement } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { ConceptId, type ImportRecord } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { columnarReader } from '#sutra/import/columnar.js'
import type { Input } from '#sutra/import/reader.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { damageFrom, importDamaged } from './damaged.ts'

type Columns = Parameters<typeof parquetWriteBuffer>[0]['columnData']

describe('an import of Parquet', () => {
  test('takes columns named as fields for these, and all others for metadata', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    const path = await parquetFile([
      { name: 'key', data: [7n, 8n, null], type: 'INT64' },
      { name: 'content', data: ['seven', 'eight', null], type: 'STRING' },
      { name: 'strength', data: [0.5, null, null], type: 'DOUBLE' },
      { name: 'lang', data: ['en', 'de', null], type: 'STRING' },
      { name: 'year', data: [1999n, 2n ** 60n, null], type: 'INT64' },
      { name: 'score', data: [1.5, Number.NaN, null], type: 'DOUBLE' },
      { name: 'seen', data: [new Date(0), null, null], type: 'TIMESTAMP' },
      { name: 'good', data: [true, false, null], type: 'BOOLEAN' },
      { name: 'sourceKey', data: [null, null, '7'], type: 'STRING' },
      { name: 'targetKey', data: [null, null, '8'], type: 'STRING' },
      { name: 'type', data: [null, null, 'next'], type: 'STRING' }
    ])

    const report = await store.import(path, { strict: true })

    expect(report).toMatchObject({ concepts: 2, associations: 1, rejectedCount: 0 })
    expect(await store.get({ key: '7' })).toMatchObject({
      ...{ content: 'seven', strength: 0.5, hasVector: false },
      metadata: { lang: 'en', year: 1999, score: 1.5, seen: '1970-01-01T00:00:00.000Z', good: true }
    })
    expect(await store.get({ key: '8' })).toMatchObject({
      metadata: { lang: 'de', year: '1152921504606846976', good: false }
    })
    expect(await store.neighbors({ key: '7' })).toMatchObject([{ type: 'next' }])
  })

  test('takes decimals as numbers where these say the same, else as text', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const decimal = (name: string, rest: Partial<SchemaElement>): SchemaElement => ({
      ...{ name, converted_type: 'DECIMAL' as const, repetition_type: 'OPTIONAL' as const },
      ...{ precision: 38, ...rest }
    })
    const prices = [57n, -57n, 0n, null, 999_999_999n]
    const wide = [5n * 10n ** 17n, -(10n ** 37n + 1n), 0n, null, 123_456_789_012_345_678n]
    const schema: SchemaElement[] = [
      { name: 'root', num_children: 7 },
      { name: 'content', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      decimal('price', { type: 'INT32', scale: 2 }),
      decimal('long', { type: 'INT64', scale: 4 }),
      decimal('fixed', { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, scale: 18 }),
      decimal('bytes', { type: 'BYTE_ARRAY', scale: 0 }),
      { name: 'list', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      decimal('element', { type: 'INT32', scale: 2 }),
      { name: 'struct', repetition_type: 'OPTIONAL', num_children: 1 },
      decimal('inner', { type: 'INT64', scale: 3 })
    ]
    const path = await parquetFile(
      [
        { name: 'content', data: ['1', '2', '3', '4', '5'] },
        { name: 'price', data: prices },
        { name: 'long', data: [1n, -1n, 0n, null, 2n ** 62n] },
        { name: 'fixed', data: wide },
        { name: 'bytes', data: wide },
        { name: 'list', data: [[57n, null, -1n], [], null, null, [110n]] },
        { name: 'struct', data: [{ inner: 1001n }, { inner: null }, null, null, { inner: 7n }] }
      ],
      { schema }
    )

    await store.import(path, { strict: true })

    const metadata = async (content: string): Promise<unknown> =>
      (await store.get(ConceptId.fromContent(content)))?.metadata
    expect(await metadata('1')).toEqual({
      ...{ price: 0.57, long: 0.0001, fixed: 0.5, bytes: '500000000000000000' },
      ...{ list: [0.57, null, -0.01], struct: { inner: 1.001 } }
    })
    expect(await metadata('2')).toEqual({
      ...{ price: -0.57, long: -0.0001, fixed: '-10000000000000000000.000000000000000001' },
      ...{ bytes: '-10000000000000000000000000000000000001', list: [], struct: { inner: null } }
    })
    expect(await metadata('3')).toEqual({ price: 0, long: 0, fixed: 0, bytes: 0 })
    expect(await metadata('5')).toEqual({
      ...{ price: 9_999_999.99, long: '461168601842738.7904', fixed: '0.123456789012345678' },
      ...{ bytes: '123456789012345678', list: [1.1], struct: { inner: 0.007 } }
    })
  })

  test('refuses decimals that are too long to be any', async () => {
    await using temporary = await openTemporaryStore()
    const path = await parquetFile(
      [
        { name: 'content', data: ['long'] },
        { name: 'price', data: [2n ** 255n] }
      ],
      {
        schema: [
          { name: 'root', num_children: 2 },
          { name: 'content', type: 'BYTE_ARRAY', converted_type: 'UTF8' },
          { name: 'price', type: 'BYTE_ARRAY', converted_type: 'DECIMAL', precision: 99, scale: 0 }
        ]
      }
    )

    await expect(temporary.store.import(path)).rejects.toMatchObject({
      code: 'IMPORT_SOURCE_INVALID',
      cause: { message: expect.stringContaining('a decimal of 33 bytes') }
    })
  })

  test('gives every kind of text back with a U+FEFF at its start', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const text = '\ufefftext'
    const path = await parquetFile([
      { name: 'content', data: [text], type: 'STRING' },
      { name: 'repeated', data: [text], type: 'STRING', encoding: 'RLE_DICTIONARY' },
      { name: 'json', data: [{ v: text }], type: 'JSON' },
      { name: '\ufeffname', data: ['named'], type: 'STRING' }
    ])

    await store.import(path, { strict: true })

    expect(await store.get(ConceptId.fromContent(text))).toMatchObject({
      content: text,
      metadata: { repeated: text, json: { v: text }, '\ufeffname': 'named' }
    })
  })

  test('reads JSON behind a byte order mark', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const path = await jsonFile('json', ['\ufeff{"v":1}'])

    await store.import(path, { strict: true })

    expect(await store.get(ConceptId.fromContent('c0'))).toMatchObject({
      metadata: { json: { v: 1 } }
    })
  })

  test.each([
    ['metadata', '{"n":9007199254740993}', /9007199254740993 could not be given back/],
    ['other', '[{"n":1e-400}]', /1e-400 could not be given back/],
    ['other', '[-0.0]', /-0 could not be given back/],
    ['other', '{"n":', /^other is not valid JSON: /]
  ])('refuses the row with JSON in %s that is %s, and no other', async (name, json, reason) => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const path = await jsonFile(name, ['{"n":1}', json, '{"t":"-0","d":-0.5}', json])

    const report = await store.import(path)

    expect(report.rejected.map(({ line }) => line)).toEqual([2, 4])
    expect(report.rejected[0]?.reason).toMatch(reason)
    expect((await store.counts()).concepts).toBe(2)
    const metadata = { t: '-0', d: -0.5 }
    expect(await store.get(ConceptId.fromContent('c2'))).toMatchObject({
      metadata: name === 'metadata' ? metadata : { other: metadata }
    })
  })

  test('takes any number as JSON of an embedding, and gives any to `map`', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    const path = await jsonFile('embedding', ['[9007199254740993,-0]', '[0.5,1]'])
    const values: unknown[] = []
    const map = (row: unknown): undefined => {
      // The columns of the file above.
      values.push((row as { embedding: unknown }).embedding)
    }

    await store.import(path, { strict: true })
    await store.import(path, { map })

    expect(await store.vector(ConceptId.fromContent('c0'))).toEqual(new Float32Array([2 ** 53, -0]))
    expect(values).toEqual([
      [2 ** 53, -0],
      [0.5, 1]
    ])
  })

  test('reads embeddings, and leaves those alone that are missing in a file of others', async () => {
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 } })
    const { store } = temporary
    await store.learn({ id: { key: 'b' }, content: 'B', embedding: [3, 4] })
    const path = await parquetFile(
      [
        { name: 'embedding', data: [[0.1, 0.2], null] },
        { name: 'key', data: ['a', 'b'] },
        { name: 'content', data: ['A', 'B'] }
      ],
      { schema: schemaWithList('embedding', 'key', 'content') }
    )

    await store.import(path, { strict: true })

    expect(await store.vector({ key: 'a' })).toEqual(new Float32Array([0.1, 0.2]))
    expect(await store.vector({ key: 'b' })).toEqual(new Float32Array([3, 4]))
  })

  test('gives rows as they are to `map`, and names bad ones by their number', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const path = await parquetFile([
      { name: 'n', data: [1n, 2n, 3n], type: 'INT64' },
      { name: 'name', data: ['one', '', 'three'], type: 'STRING' }
    ])
    const rows: unknown[] = []
    const map = (row: unknown): ImportRecord => {
      rows.push(row)
      // The columns of the file above.
      return { kind: 'concept', content: (row as { name: string }).name }
    }

    const report = await store.import(path, { map })

    expect(rows).toEqual([
      { n: 1n, name: 'one' },
      { n: 2n, name: '' },
      { n: 3n, name: 'three' }
    ])
    expect(report).toMatchObject({ concepts: 2, rejectedCount: 1, rejected: [{ line: 2 }] })
  })

  test('numbers rows through all row groups and pieces', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const contents = Array.from({ length: 5000 }, (_, i) => (i % 1000 === 999 ? '' : `${i}`))
    const path = await parquetFile([{ name: 'content', data: contents, type: 'STRING' }], {
      rowGroupSize: 1700
    })

    const report = await store.import(path)

    expect(report.rejected.map(({ line }) => line)).toEqual([1000, 2000, 3000, 4000, 5000])
    expect(report).toMatchObject({ records: 5000, concepts: 4995 })
    expect(await store.has(ConceptId.fromContent('4998'))).toBe(true)
  })

  test('stops on its signal', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const contents = Array.from({ length: 20_000 }, (_, i) => `number ${i}`)
    const path = await parquetFile([{ name: 'content', data: contents, type: 'STRING' }])
    const controller = new AbortController()
    const map = (row: unknown): ImportRecord => {
      controller.abort()
      // As above.
      return { kind: 'concept', ...(row as { content: string }) }
    }

    await expect(store.import(path, { map, signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORTED'
    })
  })

  test('refuses what is no plain file', async () => {
    await using temporary = await openTemporaryStore()
    const path = await temporaryPath('all.parquet.gz')
    await writeFile(path, '')

    await expect(temporary.store.import(path)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  test('refuses a row group that would take too much memory', async () => {
    await using temporary = await openTemporaryStore()
    const path = await parquetFile([{ name: 'content', data: ['a'], offsetIndex: false }])
    const bytes = await readFile(path)
    const { row_groups: groups } = parquetMetadata(bytes)
    // In the directory, `16` is a field of 64 bits; the size of the group is the last of its size.
    const at = bytes.lastIndexOf(Buffer.from([0x16, Number(groups[0]?.total_byte_size) * 2, 0x16]))
    const size = Buffer.from([0x16, 0xfe, 0xff, 0xff, 0xff, 0x7f])
    const length = bytes.readUInt32LE(bytes.length - 8)
    bytes.writeUInt32LE(length + size.length - 2, bytes.length - 8)
    await writeFile(path, Buffer.concat([bytes.subarray(0, at), size, bytes.subarray(at + 2)]))

    await expect(temporary.store.import(path)).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      details: { value: 17_179_869_183, max: 256 * 1024 * 1024 }
    })
  })

  test('of a damaged file gives a typed error or rows, and always ends', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const path = await wordsFile(new Random())
    // Half of the time near the end, where the directory stands.
    await importDamaged(store, path, (whole, random) =>
      damageFrom(random.below(2) === 0 ? 0 : Math.floor(whole.length / 2), whole, random)
    )
  }, 300_000)

  test('of a run of values that is never counted to its end is given up', async () => {
    const path = await wordsFile(new Random(2))
    const bytes = await readFile(path)
    const damage: [number, number][] = [
      [2172, 0xff],
      [2760, 0xc6],
      [3867, 0xf9]
    ]
    for (const [at, byte] of damage) bytes[at] = byte
    await writeFile(path, bytes)
    const input = { path, file: 'words', bytes: bytes.length, options: {}, told: () => {} }

    // What the reader asks of an input, and no more.
    const rows = columnarReader('parquet', 500)(input as unknown as Input)

    await expect(rows[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'IMPORT_SOURCE_INVALID',
      details: { source: 'words', reason: expect.stringMatching(/has not ended in 50\d/) }
    })
  })
})

/** Rows with the contents c0, c1, …, and JSON as it stands there. */
async function jsonFile(name: string, texts: string[]): Promise<string> {
  const contents = texts.map((_, i) => `c${i}`)
  const path = await parquetFile(
    [
      { name: 'content', data: contents },
      { name, data: texts }
    ],
    {
      schema: [
        { name: 'root', num_children: 2 },
        { name: 'content', type: 'BYTE_ARRAY', converted_type: 'UTF8' },
        { name, type: 'BYTE_ARRAY', converted_type: 'UTF8' }
      ]
    }
  )
  // The column of texts becomes one of JSON: behind the name stands the number of its kind.
  const bytes = await readFile(path)
  const at = bytes.lastIndexOf(Buffer.from(`${name}\u0025\u0000`))
  bytes[at + name.length + 1] = 2 * 19
  await writeFile(path, bytes)
  return path
}

async function wordsFile(random: Random): Promise<string> {
  const words = Array.from({ length: 300 }, () => `word ${random.below(1000)}`)
  return parquetFile(
    [
      { name: 'list', data: words.map((_, i) => [i, i + 0.5]) },
      { name: 'content', data: words },
      { name: 'lang', data: words.map(() => 'en') }
    ],
    { schema: schemaWithList('list', 'content', 'lang') }
  )
}

async function parquetFile(
  columnData: Columns,
  options: Partial<Parameters<typeof parquetWriteBuffer>[0]> = {}
): Promise<string> {
  const path = await temporaryPath('rows.parquet')
  await writeFile(path, Buffer.from(parquetWriteBuffer({ columnData, ...options })))
  return path
}

/** A column of lists of floats, then columns of text. */
function schemaWithList(list: string, ...texts: string[]): SchemaElement[] {
  return [
    { name: 'root', num_children: 1 + texts.length },
    { name: list, repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', type: 'FLOAT', repetition_type: 'REQUIRED' },
    ...texts.map((name): SchemaElement => {
      return { name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' }
    })
  ]
}
