import {
  type Cell,
  fields,
  type Layout,
  paint,
  type Style,
  table,
  toJson,
  WIDTH
} from './output.ts'

const FLUSH_CHARACTERS = 16 * 1024

/** Prints results to one stream, for people or as JSON, and waits for a slow reader. */
export class Printer {
  readonly layout: Layout
  readonly #stream: NodeJS.WriteStream
  #waiting = ''

  constructor(stream: NodeJS.WriteStream, environment: NodeJS.ProcessEnv) {
    this.#stream = stream
    const isTerminal = stream.isTTY === true
    const columns = isTerminal ? stream.columns : WIDTH
    this.layout = {
      width: Math.min(columns > 0 ? columns : WIDTH, WIDTH),
      colour: isTerminal && !environment['NO_COLOR']
    }
    // Each write hears of its own failure; without a listener the event would end the process.
    stream.on('error', () => undefined)
  }

  /**
   * All columns of the terminal as it is now, for lines that are not read like a page. Where there
   * is none, nothing is cut: a program or a file has room.
   */
  get wide(): Layout {
    const isTerminal = this.#stream.isTTY === true
    const columns = isTerminal ? this.#stream.columns : Number.POSITIVE_INFINITY
    return { ...this.layout, width: columns > 0 ? columns : WIDTH }
  }

  async line(text = '', style: Style = 'plain'): Promise<void> {
    this.#waiting += `${paint(text, style, this.layout)}\n`
    if (this.#waiting.length >= FLUSH_CHARACTERS) await this.flush()
  }

  async json(value: unknown): Promise<void> {
    await this.line(toJson(value))
  }

  async table(rows: readonly (readonly Cell[])[]): Promise<void> {
    for (const line of table(rows, this.layout)) await this.line(line)
  }

  async fields(entries: readonly (readonly [string, string])[]): Promise<void> {
    for (const line of fields(entries, this.layout)) await this.line(line)
  }

  /** @throws Error `EPIPE` when the reader has gone away. */
  async flush(): Promise<void> {
    const text = this.#waiting
    this.#waiting = ''
    if (text === '') return
    await new Promise<void>((resolve, reject) => {
      this.#stream.write(text, (error) => (error ? reject(error) : resolve()))
    })
  }
}
