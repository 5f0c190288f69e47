import { cut, type Layout, paint, printable, type Style, widthOf } from '../output.ts'

/** A stretch of a line in one style. */
export interface Piece {
  text: string
  style?: Style
}

export type Line = readonly Piece[]

/** What pieces of a line take up. */
function width(line: Line): number {
  return line.reduce((sum, { text }) => sum + widthOf(text), 0)
}

/** A line that is painted and never wider than its layout. */
export function paintLine(line: Line, layout: Layout): string {
  let left = layout.width
  let painted = ''
  for (const { text, style = 'plain' } of line) {
    const shown = cut(printable(text), left)
    painted += paint(shown, style, layout)
    left -= widthOf(shown)
    if (shown !== text || left <= 0) break
  }
  return painted
}

/** One text at the left and one at the right edge; the left one gives way. */
export function edges(left: Line, right: Line, columns: number): Line {
  if (right.length === 0) return left
  const room = columns - width(right)
  if (room < 1) return left
  const shown: Piece[] = []
  let free = room - 1
  for (const { text, style } of left) {
    const part = cut(text, free)
    shown.push({ text: part, ...(style && { style }) })
    free -= widthOf(part)
    if (part !== text) break
  }
  return [...shown, { text: ' '.repeat(room - width(shown)) }, ...right]
}

/** Right-aligned in so many columns. */
export function right(text: string, columns: number, style: Style = 'plain'): Piece {
  return { text: ' '.repeat(Math.max(0, columns - widthOf(text))) + text, style }
}

/** Left-aligned in so many columns; longer texts are cut. */
export function left(text: string, columns: number, style: Style = 'plain'): Piece {
  const shown = cut(printable(text), columns)
  return { text: shown + ' '.repeat(columns - widthOf(shown)), style }
}
