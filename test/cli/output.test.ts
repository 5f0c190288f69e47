import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cut,
  fields,
  formatBytes,
  formatCount,
  formatMany,
  formatMicros,
  formatSeconds,
  formatTime,
  paint,
  printable,
  table,
  toJson,
  widthOf,
  wrap
} from '#sutra/cli/output.js'

const plain = { width: 80, colour: false }
const coloured = { width: 80, colour: true }
const ESCAPE = '\u001b'

describe('a table', () => {
  test('aligns its columns and cuts the last one at the width', () => {
    const rows = [
      [{ text: 'a' }, { text: '1', align: 'right' as const }, { text: 'short' }],
      [{ text: 'long name' }, { text: '1,000', align: 'right' as const }, { text: 'x'.repeat(90) }]
    ]

    expect(table(rows, { width: 40, colour: false })).toEqual([
      'a              1  short',
      `long name  1,000  ${'x'.repeat(21)}…`
    ])
  })

  test('never exceeds its width, whatever it holds', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constantFrom('漢字かな交じり文'.repeat(9), '👩‍👩‍👧 family', '\u001b[31mred')
    )
    const rows = fc.array(
      fc.array(
        text.map((one) => ({ text: one })),
        { minLength: 1, maxLength: 5 }
      )
    )

    fc.assert(
      fc.property(rows, fc.integer({ min: 20, max: 120 }), (given, width) => {
        for (const line of table(given, { width, colour: false })) {
          expect(widthOf(line)).toBeLessThanOrEqual(width)
        }
      })
    )
  })

  test('is aligned the same with and without colours', () => {
    const rows = [
      [
        { text: 'a', style: 'name' as const },
        { text: 'b', style: 'dim' as const }
      ],
      [{ text: 'long', style: 'name' as const }, { text: 'c' }]
    ]

    const lines = table(rows, coloured)

    expect(lines[0]).toContain(ESCAPE)
    expect(lines.map(withoutColours)).toEqual(table(rows, plain))
  })
})

describe('text', () => {
  test('is painted only where colours are wanted', () => {
    expect(paint('x', 'bad', plain)).toBe('x')
    expect(paint('x', 'plain', coloured)).toBe('x')
    expect(paint('x', 'bad', coloured)).toBe(`${ESCAPE}[31mx${ESCAPE}[39m`)
  })

  test('gives no orders to the terminal', () => {
    expect(printable('a\u001b]0;title\u0007b\u009b2Jc\u202ed')).toBe('a ]0;title b 2Jc d')
  })

  test('is cut to columns, not to characters', () => {
    expect(cut('abcdef', 6)).toBe('abcdef')
    expect(cut('abcdefg', 6)).toBe('abcde…')
    expect(cut('漢字漢字', 6)).toBe('漢字…')
    expect(cut('abc', 0)).toBe('')
  })

  test('is wrapped between words, and within those that are too long', () => {
    expect(wrap('one two three\nfour', 8)).toEqual(['one two', 'three', 'four'])
    expect(wrap('a abcdefghijk b', 4)).toEqual(['a', 'abcd', 'efgh', 'ijk', 'b'])
    expect(wrap('', 8)).toEqual([''])
  })

  test('of a million characters without a space is wrapped at once', () => {
    const began = performance.now()

    expect(wrap('x'.repeat(1_000_000), 70)).toHaveLength(14_286)

    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('is laid out under its name', () => {
    const lines = fields(
      [
        ['id', '1'],
        ['content', 'several words that go on']
      ],
      { width: 24, colour: false }
    )

    expect(lines).toEqual(['id       1', 'content  several words', '         that go on'])
  })
})

test('JSON has vectors as arrays and bytes as base64', () => {
  const value = { v: new Float32Array([1, 0.5]), b: Buffer.from([0, 1]), u: Uint8Array.of(2), n: 1 }

  expect(toJson({ ...value, deep: [value] })).toBe(
    '{"v":[1,0.5],"b":"AAE=","u":"Ag==","n":1,' +
      '"deep":[{"v":[1,0.5],"b":"AAE=","u":"Ag==","n":1}]}'
  )
})

test('numbers come in the unit that reads best', () => {
  expect(formatCount(117791)).toBe('117,791')
  expect([formatMany(1, 'hop'), formatMany(1200, 'hop')]).toEqual(['1 hop', '1,200 hops'])
  expect([0, 1023, 1024, 5.5 * 1024 ** 3].map(formatBytes)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '5.5 GiB'
  ])
  expect([0.0123, 61.25, 125].map(formatSeconds)).toEqual(['12 ms', '61.3 s', '2 min 5 s'])
  expect([1.26, 45.2, 1500, 2_500_000].map(formatMicros)).toEqual([
    '1.3 µs',
    '45 µs',
    '1.5 ms',
    '2.5 s'
  ])
  expect(formatTime(Date.UTC(2026, 0, 2, 3, 4, 5, 678))).toBe('2026-01-02 03:04:05Z')
})

function withoutColours(text: string): string {
  return text.replaceAll(new RegExp(`${ESCAPE}\\[\\d+m`, 'g'), '')
}
