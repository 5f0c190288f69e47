/** The only importer of ansi-escapes. */
import { writeSync } from 'node:fs'
import type { ReadStream } from 'node:tty'
import * as escapes from 'ansi-escapes'
import { widthOf } from '../output.ts'
import type { Size } from './render.ts'

/** Without it, a line that a terminal takes for wider than we do would push down all the others. */
const WRAP_OFF = '\u001b[?7l'
const WRAP_ON = '\u001b[?7h'
const ENTER = escapes.enterAlternativeScreen + escapes.cursorHide + WRAP_OFF
const LEAVE = WRAP_ON + escapes.cursorShow + escapes.exitAlternativeScreen
const COLOURS = new RegExp(`${'\u001b'}\\[\\d+m`, 'g')

const STDOUT = 1
const INTERRUPT = '\u0003'
const SUSPEND = '\u001a'

export interface Keys {
  quit: () => void
  interrupt: () => void
}

/**
 * A terminal that one program has to itself. Lines are written over those that they differ from, never
 * erased first, and a whole frame at once: nothing flickers. However the process ends, short of
 * SIGKILL, the terminal is as it was before.
 */
export class Screen {
  readonly #output: NodeJS.WriteStream
  readonly #input: ReadStream | undefined
  readonly #keys: Keys
  readonly #repaint: () => void
  #shown: string[] = []
  #isEntered = false

  readonly #onExit = (): void => {
    // The process ends in this turn: a stream would come too late.
    if (this.#isEntered) writeSync(STDOUT, LEAVE)
  }
  readonly #onResize = (): void => {
    this.#shown = []
    this.#repaint()
  }
  readonly #onContinue = (): void => {
    this.#enter()
    this.#onResize()
  }
  readonly #onKey = (key: Buffer): void => {
    const pressed = key.toString()
    if (pressed === 'q' || pressed === 'Q') this.#keys.quit()
    if (pressed === INTERRUPT) this.#keys.interrupt()
    if (pressed === SUSPEND) this.#suspend()
  }

  /** @param repaint Called when what is shown no longer fits. */
  constructor(
    output: NodeJS.WriteStream,
    input: NodeJS.ReadStream,
    keys: Keys,
    repaint: () => void
  ) {
    this.#output = output
    this.#input = input.isTTY ? input : undefined
    this.#keys = keys
    this.#repaint = repaint
  }

  get size(): Size {
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 }
  }

  open(): void {
    process.on('exit', this.#onExit)
    process.on('SIGCONT', this.#onContinue)
    this.#output.on('resize', this.#onResize)
    this.#input?.on('data', this.#onKey)
    this.#enter()
  }

  /** Gives the terminal back as it was. */
  close(): void {
    process.off('exit', this.#onExit)
    process.off('SIGCONT', this.#onContinue)
    this.#output.off('resize', this.#onResize)
    this.#input?.off('data', this.#onKey)
    this.#leave()
  }

  /** Shows lines from the top on; a terminal that is still writing the last ones is left alone. */
  paint(lines: readonly string[]): void {
    if (this.#output.writableNeedDrain || !this.#isEntered) return
    const { columns } = this.size
    const clear = this.#shown.length === 0 ? escapes.eraseScreen : ''
    const changes = lines.map((line, row) => {
      if (line === this.#shown[row]) return ''
      // At the right edge, erasing the rest of the line would take its last character.
      const isFull = widthOf(line.replace(COLOURS, '')) >= columns
      return escapes.cursorTo(0, row) + line + (isFull ? '' : escapes.eraseEndLine)
    })
    this.#shown = [...lines]
    const change = clear + changes.join('')
    if (change !== '') this.#output.write(escapes.synchronizedOutput(change))
  }

  #enter(): void {
    this.#isEntered = true
    this.#input?.setRawMode(true)
    this.#input?.resume()
    this.#output.write(ENTER)
  }

  #leave(): void {
    if (!this.#isEntered) return
    this.#isEntered = false
    this.#input?.setRawMode(false)
    this.#input?.pause()
    this.#output.write(LEAVE)
  }

  /** Ctrl-Z: as any program, until the shell lets it go on. */
  #suspend(): void {
    this.#leave()
    this.#shown = []
    process.kill(process.pid, 'SIGTSTP')
  }
}
