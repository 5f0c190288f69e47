import { styleText } from 'node:util'

export type Style = 'plain' | 'strong' | 'dim' | 'name' | 'link' | 'good' | 'bad'

export interface Cell {
  text: string
  style?: Style
  align?: 'left' | 'right'
}

/** How text is laid out for the person reading it. */
export interface Layout {
  /** Columns of the terminal to be used, at most. */
  readonly width: number
  readonly colour: boolean
}

export const WIDTH = 80
const COLUMN_MAX = 32
const CELL_CHARACTERS_MAX = 1000
const GAP = '  '

const FORMATS = {
  strong: 'bold',
  dim: 'dim',
  name: 'cyan',
  link: 'yellow',
  good: 'green',
  bad: 'red'
} as const

/** Newer versions of Node would look at standard output again, which was done already. */
const UNCHECKED = { validateStream: false }

/** Colours a text, or leaves it alone where nobody would see the colour. */
export function paint(text: string, style: Style, { colour }: Layout): string {
  return colour && style !== 'plain' ? styleText(FORMATS[style], text, UNCHECKED) : text
}

/** Lays rows out in aligned columns. The last column gets what is left of the line and is cut. */
export function table(rows: readonly (readonly Cell[])[], layout: Layout): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.slice(0, -1).forEach((cell, column) => {
      const width = Math.min(widthOf(shown(cell)), COLUMN_MAX)
      widths[column] = Math.max(widths[column] ?? 0, width)
    })
  }
  return rows.map((row) => {
    let left = layout.width
    const cells = row.map((cell, column) => {
      const isLast = column === row.length - 1
      const width = Math.max(0, Math.min(isLast ? left : (widths[column] ?? 0), left))
      left -= width + GAP.length
      const text = cut(shown(cell), width)
      const space = isLast ? '' : ' '.repeat(width - widthOf(text))
      const painted = paint(text, cell.style ?? 'plain', layout)
      return cell.align === 'right' ? space + painted : painted + space
    })
    return cells.join(GAP).trimEnd()
  })
}

/** Content may have millions of characters, of which a line has room for a few. */
function shown({ text }: Cell): string {
  return printable(text.slice(0, CELL_CHARACTERS_MAX))
}

/** Lays out names and values, one below the other; long values go on under themselves. */
export function fields(entries: readonly (readonly [string, string])[], layout: Layout): string[] {
  const nameWidth = Math.max(0, ...entries.map(([name]) => widthOf(name)))
  return entries.flatMap(([name, value]) => {
    const lines = wrap(value, layout.width - nameWidth - GAP.length)
    const label = paint(name, 'dim', layout) + ' '.repeat(nameWidth - widthOf(name))
    const indent = ' '.repeat(nameWidth)
    return lines.map((line, index) => `${index === 0 ? label : indent}${GAP}${line}`.trimEnd())
  })
}

/** Breaks a text into lines, between words where it can. */
export function wrap(text: string, width: number): string[] {
  return text.split(/\r?\n/).flatMap((paragraph) => wrapParagraph(printable(paragraph), width))
}

function wrapParagraph(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (widthOf(longer) <= width) {
      line = longer
      continue
    }
    if (line !== '') lines.push(line)
    const pieces = widthOf(word) <= width ? [word] : breakWord(word, width)
    lines.push(...pieces.slice(0, -1))
    line = pieces.at(-1) ?? ''
  }
  return [...lines, line]
}

function breakWord(word: string, width: number): string[] {
  const pieces: string[] = []
  let piece = ''
  let left = width
  for (const segment of segmentsOf(word)) {
    const taken = segmentWidth(segment)
    if (taken > left && piece !== '') {
      pieces.push(piece)
      piece = ''
      left = width
    }
    piece += segment
    left -= taken
  }
  return [...pieces, piece]
}

/** Shortens a text to so many columns; an ellipsis tells that it was longer. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  if (width < 1) return ''
  let taken = ''
  let left = width - 1
  for (const segment of segmentsOf(text)) {
    left -= segmentWidth(segment)
    if (left < 0) break
    taken += segment
  }
  return `${taken.trimEnd()}…`
}

const segmenter = new Intl.Segmenter()
const SEGMENTED_CHARACTERS = 256

/** Yields what a reader takes for one character, in pieces: a segmenter slows down on long texts. */
function* segmentsOf(text: string): Generator<string, void> {
  for (let from = 0; from < text.length; ) {
    const end = from + SEGMENTED_CHARACTERS
    // A pair of surrogates stays together; that an accent may be torn off costs one column.
    const to = isHighSurrogate(text.charCodeAt(end - 1)) ? end + 1 : end
    for (const { segment } of segmenter.segment(text.slice(from, to))) yield segment
    from = to
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xdc00
}

const ASCII = /^[\x20-\x7e]*$/
/** Scripts and pictures that a terminal draws two columns wide. */
const WIDE =
  /\p{Script=Han}|\p{Script=Hangul}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Emoji_Presentation}|[\u3000-\u303f\uff01-\uff60]/u

export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const segment of segmentsOf(text)) width += segmentWidth(segment)
  return width
}

function segmentWidth(segment: string): number {
  return WIDE.test(segment) ? 2 : 1
}

/** Takes out control characters: content from anywhere must not give orders to a terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+/g, ' ')
}

/** One line of JSON. Bytes become base64 and vectors plain arrays, as an import takes them. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, function (this: unknown, name: string, shown: unknown) {
    // A Buffer has turned itself into an object by now, so the original is looked at.
    const original = (this as Record<string, unknown>)[name]
    if (original instanceof Float32Array) return Array.from(original)
    if (original instanceof Uint8Array) return Buffer.from(original).toString('base64')
    return typeof shown === 'bigint' ? shown.toString() : shown
  })
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** `one` and its plural with an s, behind the number. */
export function formatMany(count: number, one: string): string {
  return `${formatCount(count)} ${one}${count === 1 ? '' : 's'}`
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1)
  const size = bytes / 1024 ** power
  return `${power === 0 ? size : size.toFixed(1)} ${units[power]}`
}

export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 120) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}

/** Microseconds in the unit that reads best. */
export function formatMicros(us: number): string {
  if (us < 1000) return `${us.toFixed(us < 10 ? 1 : 0)} µs`
  return us < 1_000_000 ? `${(us / 1000).toFixed(1)} ms` : formatSeconds(us / 1_000_000)
}

export function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace(/\..*/, 'Z')
}

/** A number from 0 to 1 in four columns. */
export function formatShare(share: number): string {
  return share.toFixed(2)
}
