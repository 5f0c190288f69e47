import { styleText } from 'node:util'
import { Presets, SingleBar } from 'cli-progress'

export const WIDTH = 80
const LABEL = 22
const BAR_LABEL = 18
const BAR = { barsize: 28, hideCursor: true, clearOnComplete: true } as const

export interface Bar {
  update(done: number): void
  stop(): void
}

/** Prints for a person: plain text of 80 columns, a little colour and moving bars on a terminal. */
export class Screen {
  readonly failures: string[] = []
  checks = 0
  readonly #out: NodeJS.WriteStream
  readonly #colour: boolean
  #step = 0
  #bar: SingleBar | undefined

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    this.#colour = out.isTTY === true && process.env['NO_COLOR'] === undefined
  }

  line(text = ''): void {
    this.#out.write(`${text}\n`)
  }

  heading(text: string): void {
    this.#step++
    this.line()
    this.line(this.#style('bold', `${this.#step}. ${text}`))
  }

  /** One fact: a label in its column, and what is to be said, wrapped beside it. */
  fact(label: string, text: string): void {
    const [first = '', ...rest] = wrap(text, WIDTH - LABEL - 2)
    this.line(`  ${this.#style('dim', label.padEnd(LABEL - 1))} ${first}`)
    for (const more of rest) this.line(`  ${' '.repeat(LABEL)}${more}`)
  }

  text(text: string): void {
    for (const wrapped of wrap(text, WIDTH - 2)) this.line(`  ${wrapped}`)
  }

  strong(text: string): void {
    this.line(this.#style('bold', text))
  }

  /** States what must hold and whether it does. A demo with a failed check ends with exit code 1. */
  check(statement: string, holds: boolean): void {
    this.checks++
    if (!holds) this.failures.push(statement)
    const mark = holds ? this.#style('green', 'ok    ') : this.#style('red', 'FAILED')
    const [first = '', ...rest] = wrap(statement, WIDTH - 10)
    this.line(`  ${mark}  ${first}`)
    for (const more of rest) this.line(`          ${more}`)
  }

  /** The first column to the left, the others to the right. */
  table(rows: readonly (readonly string[])[]): void {
    const widths = (rows[0] ?? []).map((_, column) =>
      Math.max(...rows.map((row) => row[column]?.length ?? 0))
    )
    rows.forEach((row, index) => {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0
        return column === 0 ? cell.padEnd(width) : cell.padStart(width)
      })
      const text = `  ${cells.join('  ')}`
      this.line(index === 0 ? this.#style('dim', text) : text)
    })
  }

  /** A bar that moves on a terminal; elsewhere a line for each quarter of the way. */
  bar(label: string, total: number): Bar {
    if (this.#out.isTTY !== true) return this.#lines(label, total)
    const format = `  ${label.padEnd(BAR_LABEL)} [{bar}] {percentage}% {value} of {total}`
    const bar = new SingleBar(
      {
        ...BAR,
        format,
        stream: this.#out,
        formatValue: (value, _, type) => formatted(value, type)
      },
      Presets.legacy
    )
    bar.start(total, 0)
    this.#bar = bar
    return { update: (done) => bar.update(done), stop: () => this.stopBar() }
  }

  /** Takes the bar away, if there is one, and gives the cursor back. */
  stopBar(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }

  #lines(label: string, total: number): Bar {
    let quarters = 0
    const update = (done: number): void => {
      const reached = Math.floor((done / Math.max(total, 1)) * 4)
      if (reached <= quarters) return
      quarters = reached
      const percent = String(reached * 25).padStart(3)
      this.line(`  ${label.padEnd(BAR_LABEL)} ${percent} %  ${number(done)} of ${number(total)}`)
    }
    return { update, stop: () => undefined }
  }

  #style(style: 'bold' | 'dim' | 'green' | 'red', text: string): string {
    return this.#colour ? styleText(style, text) : text
  }
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  })
}

export function megabytes(bytes: number): string {
  return `${number(bytes / 1e6, 1)} MB`
}

export function milliseconds(ms: number): string {
  return ms < 1000 ? `${number(ms, ms < 10 ? 1 : 0)} ms` : `${number(ms / 1000, 1)} s`
}

/** What a bar says in figures: percent as they are, counts with their thousands apart. */
function formatted(value: number, type: string): string {
  return type === 'value' || type === 'total' ? number(value) : String(value)
}

/** Shortens a text to a width, by its end. */
export function shorten(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 3).trimEnd()}...`
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  return [...lines, line]
}
