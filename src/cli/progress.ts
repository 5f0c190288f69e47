import { type Options, SingleBar } from 'cli-progress'

const BAR: Options = {
  stream: process.stderr,
  clearOnComplete: true,
  hideCursor: true,
  // Ctrl-C belongs to the session, which stops the work first.
  gracefulExit: false,
  barCompleteChar: '█',
  barIncompleteChar: '░',
  barsize: 18,
  etaBuffer: 50,
  fps: 8
}

/** A line on standard error that shows how far long work is. Nothing where nobody is watching. */
export class ProgressLine {
  readonly #isWatched = process.stderr.isTTY === true
  #bar: SingleBar | undefined
  #label = ''

  /** Shows a bar where the total is known, a counter where it is not. */
  update(label: string, done: number, total: number | undefined, note = ''): void {
    if (!this.#isWatched) return
    if (this.#bar === undefined || label !== this.#label) {
      this.stop()
      const counter = `${label}  {note}  {duration_formatted}`
      const bar = `${label} {bar} {percentage}%  {note}  {eta_formatted} left`
      this.#bar = new SingleBar({ ...BAR, format: total === undefined ? counter : bar })
      // Work that is resumed begins somewhere in the middle, and took no time to get there.
      this.#bar.start(total ?? 0, done, { note })
      this.#label = label
    }
    if (total !== undefined) this.#bar.setTotal(total)
    this.#bar.update(done, { note })
  }

  /** Takes the line away and gives the cursor back. */
  stop(): void {
    this.#bar?.stop()
    this.#bar = undefined
  }
}
