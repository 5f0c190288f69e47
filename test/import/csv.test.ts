import { writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { type CsvImportOptions, isStoreError } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { importRecords } from '#sutra/import/import.js'
import { temporaryPath } from '../support/temp.ts'
import { inChunks, seeded } from './bytes.ts'
import { FakeTarget } from './fake-target.ts'

describe('a table of concepts and associations', () => {
  test('is told apart by the ends that a row holds', async () => {
    const target = new FakeTarget()

    const report = await read(target, [
      'key,type,content,strength,sourceKey,targetKey',
      'a,letter,A,0.5,,',
      'b,letter,B,,,',
      ',next,,0.25,a,b'
    ])

    expect(report).toMatchObject({ records: 3, concepts: 2, associations: 1, rejected: [] })
    expect(target.accepted).toEqual([
      { do: 'learn', id: { key: 'a' }, type: 'letter', content: 'A', strength: 0.5 },
      { do: 'learn', id: { key: 'b' }, type: 'letter', content: 'B' },
      {
        do: 'associate',
        source: { key: 'a' },
        target: { key: 'b' },
        type: 'next',
        strength: 0.25
      }
    ])
  })

  test('holds data, embeddings and metadata', async () => {
    const target = new FakeTarget()

    await read(target, [
      'key,content,data,embedding,metadata,metadata.lang,metadata.size.width:number,metadata.ok:boolean,metadata.tags:json,page',
      'a,A,aGk=,0.5 -1,"{""lang"":""de"",""size"":{""height"":2}}",en,1e2,true,"[1,""x""]",7',
      'b,B,base64:,"[1,2]",,,,,,',
      'c,C,,null,,,,0,,'
    ])

    expect(target.accepted).toEqual([
      {
        do: 'learn',
        id: { key: 'a' },
        content: 'A',
        data: Buffer.from('hi'),
        embedding: [0.5, -1],
        metadata: {
          lang: 'en',
          size: { width: 100, height: 2 },
          ok: true,
          tags: [1, 'x'],
          page: '7'
        }
      },
      { do: 'learn', id: { key: 'b' }, content: 'B', data: Buffer.alloc(0), embedding: [1, 2] },
      { do: 'learn', id: { key: 'c' }, content: 'C', embedding: null, metadata: { ok: false } }
    ])
  })

  test('may have a byte order mark, CRLF, blank lines and no last newline', async () => {
    const target = new FakeTarget()

    const report = await read(target, [
      '\ufeffkey,content\r',
      '\r',
      '  ',
      'a,"x\r',
      'y"\r',
      '',
      'b,B'
    ])

    expect(report).toMatchObject({ concepts: 2, rejectedCount: 0 })
    expect(target.accepted).toMatchObject([{ content: 'x\r\ny' }, { content: 'B' }])
  })

  test('parts its fields by a tab when it is named .tsv', async () => {
    const target = new FakeTarget()
    const path = await temporaryPath('a.tsv')
    await writeFile(path, 'key\tcontent\na\tA, "b"\n')

    const report = await importRecords(target, path, { csv: { quote: '' } })

    expect(report.rejected).toEqual([])
    expect(target.accepted).toEqual([{ do: 'learn', id: { key: 'a' }, content: 'A, "b"' }])
  })

  test('may have other delimiters, quotes and names of columns', async () => {
    const target = new FakeTarget()
    const columns = { Nr: 'key', Wort: 'content', Jahr: 'metadata.year:number', Rest: null }

    await read(target, ['Nr;Wort;Jahr;Rest', "1;'a;''b''';1999;x"], {
      delimiter: ';',
      quote: "'",
      columns
    })

    expect(target.accepted).toEqual([
      { do: 'learn', id: { key: '1' }, content: "a;'b'", metadata: { year: 1999 } }
    ])
  })

  test('may come without a row of names', async () => {
    const [named, numbered] = [new FakeTarget(), new FakeTarget()]

    await read(named, ['a,A'], { header: ['key', 'content'] })
    await read(numbered, ['a,A'], { header: false, columns: { '1': 'key', '2': 'content' } })

    expect(named.accepted).toEqual([{ do: 'learn', id: { key: 'a' }, content: 'A' }])
    expect(numbered.accepted).toEqual(named.accepted)
  })

  test('gives map each row by the names of its columns', async () => {
    const target = new FakeTarget()
    const rows: unknown[] = []
    const map = (row: unknown) => {
      rows.push(row)
      return undefined
    }

    await importRecords(target, inChunks('id,a b\n1,\n"2","x,y"\n', 5), { format: 'csv', map })

    expect(rows).toEqual([
      { id: '1', 'a b': '' },
      { id: '2', 'a b': 'x,y' }
    ])
  })

  test('is read anew for each of several files', async () => {
    const target = new FakeTarget()
    const [one, two] = [await temporaryPath('1.csv'), await temporaryPath('2.csv')]
    await writeFile(one, 'key,content\na,A\nb,B\n')
    await writeFile(two, 'type,targetKey,sourceKey\nnext,b,a\nbad\n')

    const report = await importRecords(target, [one, two], {})

    expect(report).toMatchObject({ concepts: 2, associations: 1, rejectedCount: 1 })
    expect(report.rejected[0]?.reason).toMatch(/2\.csv: it has 1 fields, not 3/)
  })
})

describe('a bad row', () => {
  test('is reported by the line on which it begins, and the rest goes on', async () => {
    const target = new FakeTarget()

    const report = await read(target, [
      'key,content,strength',
      'a,"two',
      'lines",1',
      'b,B',
      'c,C,much',
      'd,"D" d,1',
      'e,E "quoted",1',
      'f,,1',
      'g,G,1'
    ])

    expect(report.rejected.map(({ line }) => line)).toEqual([4, 5, 6, 7, 8])
    expect(report.rejected.map(({ reason }) => reason)).toEqual([
      'it has 2 fields, not 3 (IMPORT_LINE_INVALID)',
      "column 'strength': 'much' is not a number (IMPORT_LINE_INVALID)",
      'a quoted field goes on behind its closing quote (IMPORT_LINE_INVALID)',
      'a quote stands in a field that does not begin with one (IMPORT_LINE_INVALID)',
      'content is missing (IMPORT_LINE_INVALID)'
    ])
    expect(target.accepted).toMatchObject([{ content: 'two\nlines' }, { content: 'G' }])
  })

  test('whose quote is never closed costs its own line alone', async () => {
    const target = new FakeTarget()
    const rows = Array.from({ length: 9000 }, (_, i) => `k${i},"content ${i}"`)
    rows[10] = 'k10,"content 10'
    rows[20] = '"k20,content 20'
    rows[8999] = 'k8999,"content 8999'

    const report = await read(target, ['key,content', ...rows])

    expect(report.rejected.map(({ line }) => line)).toEqual([12, 22, 9001])
    expect(target.concepts.size).toBe(8997)
  })

  test('with bytes that are no text is rejected whole, and no other', async () => {
    const target = new FakeTarget()
    const bytes = Buffer.from('key,content\na,"x\n?\ny"\nb,B\nc?,C\nd,D\n')
    for (const at of [bytes.indexOf('?'), bytes.lastIndexOf('?')]) bytes[at] = 0xff

    const report = await importRecords(target, inChunks(bytes, 1000), { format: 'csv' })

    expect(report.rejected.map(({ line }) => line)).toEqual([2, 6])
    expect(target.accepted).toMatchObject([{ content: 'B' }, { content: 'D' }])
  })

  test('with bytes that are no text stays bad when an open quote is given up', async () => {
    const target = new FakeTarget()
    const bytes = Buffer.from('key,content\na,"x\nb?,B\nc,"C"\n')
    bytes[bytes.indexOf('?')] = 0xff

    const report = await importRecords(target, inChunks(bytes, 1000), { format: 'csv' })

    expect(report.rejected.map(({ line }) => line)).toEqual([2, 3])
    expect(target.accepted).toMatchObject([{ content: 'C' }])
  })
})

describe('a header', () => {
  test.each<[string, CsvImportOptions, RegExp]>([
    ['key,content,key', {}, /two columns are named 'key'/],
    ['key;content', {}, /none is 'content'/],
    ['key,"content', {}, /not closed/],
    ['content,metadata.a,metadata.a.b', {}, /name the same field/],
    ['content,a,metadata.a', {}, /name the same field/],
    ['content,__proto__', {}, /__proto__/],
    ['content,metadata.__proto__.x', {}, /no path/],
    ['content,extra', { other: 'refuse' }, /'extra' is no field/],
    ['content,extra', { columns: { extra: 'nothing' } }, /no field/],
    ['content', { columns: { extra: 'key' } }, /no column/]
  ])('%s of which no record can be made ends the import', async (header, csv, reason) => {
    const target = new FakeTarget()

    const error = await read(target, [header, 'a,b,c'], csv).catch((one: unknown) => one)

    expect(isStoreError(error, 'IMPORT_SOURCE_INVALID') && error.details.reason).toMatch(reason)
    expect(target.calls).toBe(0)
  })

  test('may hold columns that are to be left out', async () => {
    const target = new FakeTarget()

    await read(target, ['key,content,extra,', 'a,A,x,y'], { other: 'ignore' })

    expect(target.accepted).toEqual([{ do: 'learn', id: { key: 'a' }, content: 'A' }])
  })
})

test.each<{ csv: unknown }>([
  { csv: { delimiter: '' } },
  { csv: { delimiter: ';;' } },
  { csv: { delimiter: '\n' } },
  { csv: { delimiter: '"' } },
  { csv: { quote: 'ab' } },
  { csv: { header: [] } },
  { csv: { columns: ['a'] } },
  { csv: { other: 'drop' } },
  { csv: { speed: 1 } },
  { csv: 'tab' }
])('options %j are refused', async ({ csv }) => {
  // A program may be plain JavaScript, and hand over anything.
  const given = csv as CsvImportOptions

  const error = await read(new FakeTarget(), ['content'], given).catch((one: unknown) => one)

  expect(isStoreError(error, 'OPTION_INVALID')).toBe(true)
})

const field = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom('', ' ', '"', '""', ',', '\n', '\r\n', '\r', 'a"b', 'x,y', '\n\n', '"\n"')
)

test('any table comes back, however it is quoted and wherever its chunks end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(field, field, field, fc.boolean()), { maxLength: 8 }),
      fc.constantFrom('\n', '\r\n'),
      fc.integer({ min: 1, max: 9 }),
      async (rows, newline, size) => {
        const text = rows.map(([a, b, c, all]) =>
          [`k${a}`, b, c].map((one) => quoted(one, all)).join(',')
        )
        const seen: unknown[] = []
        const map = (row: unknown) => {
          seen.push(row)
          return undefined
        }

        const source = inChunks(['a,b,c', ...text, ''].join(newline), size)
        const report = await importRecords(new FakeTarget(), source, { format: 'csv', map })

        expect(report.rejected).toEqual([])
        expect(seen).toEqual(rows.map(([a, b, c]) => ({ a: `k${a}`, b, c })))
      }
    ),
    seeded(300)
  )
})

test('damaged bytes give rejected rows or a typed error, and leave sound rows as they were', async () => {
  const sound = Array.from({ length: 30 }, (_, i) => `k${i},"content, ""${i}""\n${i}",0.${i}`)
  const clean = Buffer.from(['key,content,strength', ...sound, ''].join('\n'))
  const contents = new Set(sound.map((_, i) => `content, "${i}"\n${i}`))
  const damage = fc.array(
    fc.tuple(
      fc.integer({ min: 21, max: clean.length - 1 }),
      fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(10, 13, 34, 44))
    ),
    { minLength: 1, maxLength: 4 }
  )
  await fc.assert(
    fc.asyncProperty(damage, async (places) => {
      const bytes = Buffer.from(clean)
      for (const [at, byte] of places) bytes[at] = byte
      const target = new FakeTarget()

      const report = await importRecords(target, inChunks(bytes, 64), { format: 'csv' })

      expect(report.records).toBe(report.concepts + report.rejectedCount)
      const kept = target.accepted.filter(
        (one) => 'content' in one && contents.has(one.content ?? '')
      )
      // One bad byte can cost the record it stands in, and the one that it hides the end of.
      expect(kept.length).toBeGreaterThanOrEqual(sound.length - 2 * places.length)
    }),
    seeded(300)
  )
})

async function read(target: FakeTarget, lines: readonly string[], csv: CsvImportOptions = {}) {
  return importRecords(target, inChunks(lines.join('\n'), 1000), { format: 'csv', csv })
}

function quoted(text: string, all: boolean): string {
  return all || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
