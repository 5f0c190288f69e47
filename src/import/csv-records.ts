import { type Dialect, fieldsOf, scanLine } from './csv-scan.ts'
import { LINE_BYTES_MAX, type Line, LineSplitter } from './lines.ts'

/** One record of a CSV file: its fields, or what is wrong with it. */
export interface CsvRecord {
  /** Of the line on which it begins. */
  readonly line: number
  readonly bytes: number
  readonly text: string | undefined
  readonly fields: readonly string[] | undefined
  readonly fault: string | undefined
}

/** Lines that are looked at before the event loop may have its turn, blank ones included. */
const LINES_PER_TAKE = 2000
/** Lines of an open record are joined to pieces of this many characters: one string a line costs. */
const PIECE_CHARS = 64 * 1024

/** A record whose quoted field goes on in the next line. */
interface OpenRecord {
  readonly line: number
  /** Of all lines so far, the first included. */
  count: number
  chars: number
  pieces: string[]
  lines: string[]
  linesChars: number
  /** Lines with bytes that are no text, by their number. */
  faults: Map<number, string> | undefined
}

/**
 * Puts the lines of a CSV file together to records. A quote that is never closed costs one line:
 * once it shows, or once the record is longer than a line may be, that line is reported and the
 * ones behind it are read anew.
 */
export class CsvRecords {
  readonly #dialect: Dialect
  readonly #maxChars: number
  readonly #splitter: LineSplitter
  /** Lines to be read, the next in the last. */
  readonly #sources: Iterator<Line, void>[] = []
  #open: OpenRecord | undefined
  #isEnded = false

  constructor(dialect: Dialect, maxChars: number = LINE_BYTES_MAX) {
    this.#dialect = dialect
    this.#maxChars = maxChars
    this.#splitter = new LineSplitter(maxChars, true)
  }

  /** Whether `take` has more to give before the next chunk. */
  get hasMore(): boolean {
    return this.#sources.length > 0 || (this.#isEnded && this.#open !== undefined)
  }

  push(chunk: Uint8Array): void {
    this.#sources.push(this.#splitter.push(chunk))
  }

  /** Call it once behind the last chunk; then `take` until nothing is left. */
  end(): void {
    this.#sources.push(this.#splitter.end())
    this.#isEnded = true
  }

  /** Yields the records of the next lines. Take all of them before the next call. */
  *take(): Generator<CsvRecord, void> {
    for (let lines = 0; lines < LINES_PER_TAKE; lines++) {
      const source = this.#sources.at(-1)
      const next = source?.next()
      if (next === undefined) {
        if (!this.#isEnded || this.#open === undefined) return
        yield this.#giveUp(this.#open, 'a quoted field is not closed')
      } else if (next.done === true) {
        this.#sources.pop()
      } else {
        const record = this.#record(next.value)
        if (record !== undefined) yield record
      }
    }
  }

  #record(line: Line): CsvRecord | undefined {
    const { number, bytes, text, fault } = line
    if (this.#open !== undefined) return this.#goOn(this.#open, line)
    if (text === undefined) return { line: number, bytes, text, fields: undefined, fault }
    const { quote } = this.#dialect
    const body = text.endsWith('\r') ? text.slice(0, -1) : text
    if (quote === '' || !text.includes(quote)) {
      if (body.trim() === '') return undefined
      return this.#closed(number, bytes, body, fault)
    }
    const end = scanLine(body, false, this.#dialect)
    if (end === 'open') {
      this.#open = openRecord(number)
      this.#keep(this.#open, line)
      return undefined
    }
    if (end === 'closed') return this.#closed(number, bytes, body, fault)
    return { line: number, bytes, text: body, fields: undefined, fault: fault ?? end.broken }
  }

  #goOn(open: OpenRecord, line: Line): CsvRecord | undefined {
    const { text = '', fault } = line
    if (line.text === undefined || open.chars + text.length > this.#maxChars) {
      // The line was not taken in, so it comes behind those that are read anew.
      this.#sources.push([line].values())
      return this.#giveUp(open, `a quoted field is not closed within ${this.#maxChars} characters`)
    }
    this.#keep(open, line)
    const body = text.endsWith('\r') ? text.slice(0, -1) : text
    const end = scanLine(body, true, this.#dialect)
    if (end === 'open') return undefined
    if (end !== 'closed') return this.#giveUp(open, end.broken)
    this.#open = undefined
    const record = textOf(open)
    const whole = record.slice(0, record.length - (text.length - body.length))
    const bad = open.faults?.values().next().value ?? fault
    return this.#closed(open.line, record.length, whole, bad)
  }

  #closed(line: number, bytes: number, text: string, fault: string | undefined): CsvRecord {
    const fields = fault === undefined ? fieldsOf(text, this.#dialect) : undefined
    return { line, bytes, text, fields, fault }
  }

  #keep(open: OpenRecord, { number, text = '', fault }: Line): void {
    open.count += 1
    open.chars += text.length + 1
    open.lines.push(text)
    open.linesChars += text.length + 1
    if (open.linesChars >= PIECE_CHARS) {
      // Joining what was cut out of a block lets go of the block.
      open.pieces.push(open.lines.join('\n'))
      open.lines = []
      open.linesChars = 0
    }
    if (fault !== undefined) {
      open.faults ??= new Map()
      open.faults.set(number, fault)
    }
  }

  /** Reports the line that opened the quote, and reads those behind it as if it had not. */
  #giveUp(open: OpenRecord, reason: string): CsvRecord {
    this.#open = undefined
    const text = textOf(open)
    const newline = text.indexOf('\n')
    const first = newline === -1 ? text : text.slice(0, newline)
    if (newline !== -1) this.#sources.push(linesOf(text, newline + 1, open))
    const fault = `${reason}; a quote is opened in this line`
    return { line: open.line, bytes: first.length, text: first, fields: undefined, fault }
  }
}

function openRecord(line: number): OpenRecord {
  return { line, count: 0, chars: 0, pieces: [], lines: [], linesChars: 0, faults: undefined }
}

function textOf({ pieces, lines }: OpenRecord): string {
  return (lines.length === 0 ? pieces : [...pieces, lines.join('\n')]).join('\n')
}

function* linesOf(text: string, begin: number, open: OpenRecord): Generator<Line, void> {
  let number = open.line
  for (let from = begin; from <= text.length; ) {
    const newline = text.indexOf('\n', from)
    const to = newline === -1 ? text.length : newline
    number += 1
    const fault = open.faults?.get(number)
    yield { number, bytes: to - from, text: text.slice(from, to), fault }
    from = to + 1
  }
}
