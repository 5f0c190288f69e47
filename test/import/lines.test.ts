import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Line, LineSplitter } from '#sutra/import/lines.js'

describe('a source split into lines', () => {
  test('gives the same lines wherever the chunks end', () => {
    const piece = fc.constantFrom('a', 'ü', '😀', '\n', '\r\n', '\r', ' ', '\ufeff', 'xyz')
    const bytes = fc.oneof(
      fc.array(piece).map((pieces) => Buffer.from(pieces.join(''))),
      fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
    )
    const cuts = fc.array(fc.nat(80))

    fc.assert(
      fc.property(bytes, cuts, fc.constantFrom(4, 1000), (whole, at, max) => {
        expect(split(cut(whole, at), max)).toEqual(expected(whole, max))
      }),
      { numRuns: 2000 }
    )
  })

  test('gives the same lines where a chunk reuses the memory of the one before', () => {
    const splitter = new LineSplitter()
    const memory = Buffer.alloc(4)
    const lines: Line[] = []

    for (const text of ['ab\nc', 'defg', 'h\nij']) {
      memory.write(text)
      lines.push(...splitter.push(memory))
    }
    lines.push(...splitter.end())

    expect(lines.map(({ text }) => text)).toEqual(['ab', 'cdefgh', 'ij'])
  })

  test('takes a byte order mark off the first line alone', () => {
    expect(texts([Buffer.from('\ufeffa\n\ufeffb\n')])).toEqual(['a', '\ufeffb'])
  })

  test('ends lines with CRLF and keeps a lone CR', () => {
    expect(texts([Buffer.from('a\r\nb\rc\r\n\r\nd\r')])).toEqual(['a', 'b\rc', '', 'd'])
  })

  test('reports bytes that are not UTF-8 and reads the lines around them', () => {
    const bytes = Buffer.concat([
      Buffer.from('a\nb\n'),
      Buffer.from([0x78, 0xff, 0x79]),
      Buffer.from('\nc')
    ])

    const lines = split([bytes], 1000)

    expect(lines.map(({ text }) => text)).toEqual(['a', 'b', undefined, 'c'])
    expect(lines[2]).toMatchObject({ number: 3, fault: 'not valid UTF-8' })
  })

  test('says where a line starts, and goes on from there the same way', () => {
    const piece = fc.constantFrom('a', 'ü', '\n', '\r\n', '\ufeff', 'xyz')
    const texts = fc.array(piece, { minLength: 1 }).map((pieces) => Buffer.from(pieces.join('')))

    fc.assert(
      fc.property(texts, fc.array(fc.nat(40)), (whole, at) => {
        const splitter = new LineSplitter(1000)
        const lines = [
          ...cut(whole, at).flatMap((chunk) => [...splitter.push(chunk)]),
          ...splitter.end()
        ]
        for (const { start, number } of lines) {
          if (start === undefined) continue
          const second = new LineSplitter(1000)
          second.beginAt({ offset: start, line: number })
          const rest = [...second.push(whole.subarray(start)), ...second.end()]
          const plain = ({ number: line, text }: Line) => ({ line, text })
          expect(rest.map(plain)).toEqual(lines.slice(number - 1).map(plain))
        }
      }),
      { numRuns: 1000 }
    )
  })

  test('reads a source of one chunk far larger than a block', () => {
    const count = 200_000
    const whole = Buffer.from(Array.from({ length: count }, (_, i) => `line ${i}\n`).join(''))

    const lines = split([whole], 1000)

    expect(lines).toHaveLength(count)
    expect(lines.every(({ number, text }) => text === `line ${number - 1}`)).toBe(true)
  })

  test('never holds more than the limit of a line that is too long', () => {
    const splitter = new LineSplitter(1024 * 1024)
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    const before = process.memoryUsage().arrayBuffers
    let most = 0

    for (let i = 0; i < 300; i++) {
      expect([...splitter.push(chunk)]).toEqual([])
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    const lines = [...splitter.push(Buffer.from('\nnext\n'))]

    expect(most).toBeLessThan(8 * 1024 * 1024)
    expect(lines).toMatchObject([
      { number: 1, text: undefined, fault: expect.stringContaining('314572800') },
      { number: 2, text: 'next', fault: undefined }
    ])
  })
})

function texts(chunks: Buffer[]): (string | undefined)[] {
  return split(chunks, 1000).map(({ text }) => text)
}

function split(chunks: Buffer[], maxBytes: number): Line[] {
  const splitter = new LineSplitter(maxBytes)
  const lines = [...chunks.flatMap((chunk) => [...splitter.push(chunk)]), ...splitter.end()]
  // Where a line starts is known of some alone, and has a test of its own.
  return lines.map(({ start: _, ...line }) => line)
}

function cut(whole: Buffer, at: number[]): Buffer[] {
  const ends = [...new Set([...at.filter((end) => end <= whole.length), whole.length])]
  ends.sort((a, b) => a - b)
  return ends.map((end, index) => whole.subarray(ends[index - 1] ?? 0, end))
}

/** The plain way: everything in memory, one line after another. */
function expected(whole: Buffer, maxBytes: number): Line[] {
  const lines: Line[] = []
  let from = 0
  while (from < whole.length) {
    const newline = whole.indexOf(10, from)
    const to = newline === -1 ? whole.length : newline
    lines.push(oneLine(whole.subarray(from, to), lines.length + 1, maxBytes))
    from = to + 1
  }
  return lines
}

function oneLine(given: Buffer, number: number, maxBytes: number): Line {
  const isTooLong = given.length > maxBytes
  const isMarked = number === 1 && given.subarray(0, 3).toString('hex') === 'efbbbf'
  const line = isMarked ? given.subarray(3) : given
  if (isTooLong) {
    const fault = `${given.length} bytes exceed the ${maxBytes} bytes of one line`
    return { number, bytes: 0, text: undefined, fault }
  }
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    const text = decoder.decode(line).replace(/\r$/, '')
    return { number, bytes: expect.any(Number), text, fault: undefined }
  } catch {
    return { number, bytes: line.length, text: undefined, fault: 'not valid UTF-8' }
  }
}
