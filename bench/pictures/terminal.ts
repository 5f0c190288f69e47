/**
 * Runs a program on a terminal of its own and shows what is on it: a pseudo-terminal by the system's
 * `script`, whose output goes through the same emulator that editors show their terminals with.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import xterm, { type IBufferCell, type Terminal } from '@xterm/headless'

export interface TerminalSize {
  columns: number
  rows: number
}

/** One character as it is shown. Colours are numbers of the palette; absent: the default. */
export interface ShownCell {
  text: string
  columns: number
  colour: number | undefined
  isBold: boolean
  isDim: boolean
}

/** What the shell says before it becomes the program. */
const BEGIN = /TTY=(\S+) PID=(\d+)\r?\n/

export class TerminalRun {
  /** All that the program wrote. */
  raw = ''
  readonly terminal: Terminal
  readonly ended: Promise<number>
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  #device: string | undefined
  #pid: number | undefined
  /** What the emulator has still to take in. */
  #writing: Promise<void> = Promise.resolve()

  constructor(command: readonly string[], size: TerminalSize, env: NodeJS.ProcessEnv = {}) {
    const { columns, rows } = size
    this.terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true })
    const line = command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
    const shell = `stty cols ${columns} rows ${rows}; echo "TTY=$(tty) PID=$$"; exec ${line}`
    this.#child = spawn('script', ['-qfec', shell, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: undefined, ...env },
      stdio: ['pipe', 'pipe', 'inherit']
    })
    this.#child.stdout.setEncoding('utf8')
    this.#child.stdout.on('data', (text: string) => this.#take(text))
    this.ended = once(this.#child, 'close').then(([code]) => Number(code))
  }

  /** Types on its keyboard. */
  type(text: string): void {
    this.#child.stdin.write(text)
  }

  /** Makes the terminal another size; the program is told as by any other terminal. */
  resize({ columns, rows }: TerminalSize): void {
    if (this.#device === undefined) throw new Error('the terminal is not there yet')
    this.terminal.resize(columns, rows)
    const size = ['cols', String(columns), 'rows', String(rows)]
    execFileSync('stty', ['-F', this.#device, ...size])
  }

  /** Lines that are shown now. */
  async lines(): Promise<string[]> {
    await this.#writing
    const { active } = this.terminal.buffer
    return Array.from({ length: this.terminal.rows }, (_, row) => {
      return active.getLine(active.viewportY + row)?.translateToString(true) ?? ''
    })
  }

  async cells(): Promise<ShownCell[][]> {
    await this.#writing
    const { active } = this.terminal.buffer
    return Array.from({ length: this.terminal.rows }, (_, row) => {
      const line = active.getLine(active.viewportY + row)
      return Array.from({ length: this.terminal.cols }, (_, column) => shown(line?.getCell(column)))
    })
  }

  /** Resolves once the screen shows what is looked for. */
  async until(isShown: (lines: string[]) => boolean): Promise<string[]> {
    for (;;) {
      const lines = await this.lines()
      if (isShown(lines)) return lines
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Tells the program to end, as a shell that is closed would. */
  signal(name: NodeJS.Signals): void {
    if (this.#pid === undefined) throw new Error('the program has not begun')
    process.kill(this.#pid, name)
  }

  /** Ends it, whatever it does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    this.#child.stdin.destroy()
    await this.ended
  }

  #take(text: string): void {
    let rest = text
    if (this.#device === undefined) {
      this.raw += text
      const found = BEGIN.exec(this.raw)
      if (found === null) return
      this.#device = found[1]
      this.#pid = Number(found[2])
      rest = this.raw.slice(found.index + found[0].length)
      this.raw = ''
    }
    this.raw += rest
    this.#writing = new Promise((resolve) => {
      this.terminal.write(rest, resolve)
    })
  }
}

function shown(cell: IBufferCell | undefined): ShownCell {
  return {
    text: cell?.getChars() || ' ',
    columns: cell?.getWidth() ?? 1,
    colour: cell?.isFgPalette() ? cell.getFgColor() : undefined,
    isBold: cell?.isBold() === 1,
    isDim: (cell?.isDim() ?? 0) !== 0
  }
}
