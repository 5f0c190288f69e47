import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CsvRecord, CsvRecords } from '#sutra/import/csv-records.js'
import { seeded } from './bytes.ts'

const DIALECT = { delimiter: ',', quote: '"' }

test('a quote that is not closed within the limit is given up there', () => {
  const lines = ['a,"open', ...Array.from({ length: 50 }, (_, i) => `b,${i}`), 'c,"closed"']

  const records = recordsOf(lines.join('\n'), 64, 100)

  expect(records[0]).toMatchObject({
    line: 1,
    text: 'a,"open',
    fault: expect.stringMatching(/not closed within 100 characters/)
  })
  expect(records.slice(1).map(({ line }) => line)).toEqual(lines.slice(1).map((_, i) => i + 2))
  expect(records.slice(1).every(({ fields }) => fields?.length === 2)).toBe(true)
})

test('a line that is too long is given up with the quote that is open before it', () => {
  const records = recordsOf(`a,"open\nb,1\n${'x'.repeat(300)}\nc,2`, 64, 100)

  expect(records.map(({ line, fault }) => [line, fault !== undefined])).toEqual([
    [1, true],
    [2, false],
    [3, true],
    [4, false]
  ])
})

test('every line is in one record, and none is in two, whatever is in it', () => {
  const piece = fc.constantFrom('"', '"', ',', 'a', '\n', '\n', '\r', '""', ',"', '",')
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      (pieces, size) => {
        const text = pieces.join('')

        const records = recordsOf(text, size, 40)

        const begins = records.map(({ line }) => line)
        expect(begins).toEqual([...new Set(begins)].sort((a, b) => a - b))
        const lines = text.split('\n')
        const told = new Set(
          records.flatMap(({ line, text: own = '' }) => own.split('\n').map((_, i) => line + i))
        )
        const blank = new Set(lines.flatMap((one, i) => (one.trim() === '' ? [i + 1] : [])))
        const lost = lines
          .map((_, i) => i + 1)
          .filter((line) => !told.has(line) && !blank.has(line))
        expect(lost).toEqual([])
      }
    ),
    seeded(2000)
  )
})

test('what is read does not hang on where chunks end', () => {
  const piece = fc.constantFrom('"', ',', 'a', '\n', '\r\n', '""', 'é', ',"')
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      (pieces, size) => {
        const text = pieces.join('')

        expect(recordsOf(text, size, 40)).toEqual(recordsOf(text, 1000, 40))
      }
    ),
    seeded(1000)
  )
})

function recordsOf(text: string, chunkBytes: number, maxChars: number): CsvRecord[] {
  const records = new CsvRecords(DIALECT, maxChars)
  const bytes = Buffer.from(text)
  const found: CsvRecord[] = []
  const takeAll = () => {
    while (records.hasMore) found.push(...records.take())
  }
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    records.push(bytes.subarray(at, at + chunkBytes))
    takeAll()
  }
  records.end()
  takeAll()
  return found
}
