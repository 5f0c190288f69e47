/** What a terminal shows, as SVG text: it can be searched, copied and scaled. */
import type { ShownCell } from './terminal.ts'

const CELL_WIDTH = 8.43
const LINE_HEIGHT = 18
const FONT_SIZE = 14
const MARGIN = 14
const BAR = 30

const BACKGROUND = '#0d1117'
const FOREGROUND = '#e6edf3'
const DIM = '#8b949e'
/** The first eight colours of the palette, as far as the command line uses them. */
const PALETTE: Readonly<Record<number, string>> = {
  1: '#ff7b72',
  2: '#7ee787',
  3: '#f2cc60',
  6: '#79c0ff'
}

/** @param command Shown in the bar above, as the line that was typed. */
export function drawTerminal(cells: readonly (readonly ShownCell[])[], command: string): string {
  const columns = Math.max(...cells.map((row) => row.length))
  const width = Math.ceil(columns * CELL_WIDTH + 2 * MARGIN)
  const height = cells.length * LINE_HEIGHT + BAR + 2 * MARGIN
  const lines = cells.map((row, index) => drawLine(row, BAR + MARGIN + index * LINE_HEIGHT))
  const font = `font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ` +
      `width="${width}" height="${height}" ${font} font-size="${FONT_SIZE}" fill="${FOREGROUND}">`,
    `<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>`,
    `<text x="${MARGIN}" y="22" fill="${DIM}" xml:space="preserve">$ ${escaped(command)}</text>`,
    `<path d="M0 ${BAR + 2} H${width}" stroke="#30363d"/>`,
    ...lines.filter((line) => line !== ''),
    '</svg>',
    ''
  ].join('\n')
}

interface Stretch {
  column: number
  columns: number
  text: string
  style: string
}

function drawLine(row: readonly ShownCell[], top: number): string {
  const baseline = top + FONT_SIZE
  return stretchesOf(row)
    .map(({ column, columns, text, style }) => {
      const x = number(MARGIN + column * CELL_WIDTH)
      // Whatever font the reader has, each stretch takes up the cells that it had.
      const length = number(columns * CELL_WIDTH)
      const place = `x="${x}" y="${baseline}" textLength="${length}" lengthAdjust="spacingAndGlyphs"`
      return `<text ${place}${style} xml:space="preserve">${escaped(text)}</text>`
    })
    .join('')
}

/** Neighbours of one style, cut where two or more blanks part them. */
function stretchesOf(row: readonly ShownCell[]): Stretch[] {
  const stretches: Stretch[] = []
  let column = 0
  let blanks = 2
  for (const cell of row) {
    const isBlank = cell.text === ' '
    const last = stretches.at(-1)
    const style = styleOf(cell)
    if (!isBlank) {
      if (last !== undefined && last.style === style && blanks < 2) {
        last.text += ' '.repeat(blanks) + cell.text
        last.columns += blanks + cell.columns
      } else {
        stretches.push({ column, columns: cell.columns, text: cell.text, style })
      }
    }
    blanks = isBlank ? blanks + 1 : 0
    column += cell.columns
  }
  return stretches
}

function styleOf({ colour, isBold, isDim }: ShownCell): string {
  const fill = isDim ? DIM : colour === undefined ? undefined : PALETTE[colour]
  return `${fill === undefined ? '' : ` fill="${fill}"`}${isBold ? ' font-weight="bold"' : ''}`
}

function number(value: number): string {
  return String(Math.round(value * 100) / 100)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
