/** From the rows of a source to batches: where each record is decided on, one after the other. */
import { assert } from '../assert.ts'
import { asError, throwIfAborted } from '../errors.ts'
import type { Limits } from '../options.ts'
import type { Command, ImportOptions } from '../types.ts'
import { Batch, type BatchLimits, type Item, sizeOf, type Try } from './batch.ts'
import type { Committer } from './committer.ts'
import { DRY_RUN_EXTRA } from './dry-run.ts'
import { ownCopy } from './own-copy.ts'
import type { Row } from './reader.ts'
import { RecordError, toCommand } from './record.ts'
import type { Resume } from './resume.ts'
import { BEGIN, type Mark } from './resume-place.ts'
import type { Rows } from './rows.ts'
import type { Tally } from './tally.ts'
import { Turns } from './turns.ts'
import { BATCHES_BEHIND, Window, windowLimits } from './window.ts'

/** Large enough that a commit's own cost vanishes, small enough to be checked in one stretch. */
const BATCH_ROWS = 100
const BATCH_BYTES = 1024 * 1024
/** The size of a command is estimated, so a batch stays well below the limit of a commit. */
const BYTES_MARGIN = 4

/**
 * Cuts records into batches. What is in each follows from the source, and from which associations
 * had to wait, but not from time: an import that is resumed cuts as one that was never cut off.
 */
export class Feed {
  readonly #committer: Committer
  readonly #tally: Tally
  readonly #resume: Resume | undefined
  readonly #options: ImportOptions
  readonly #limits: Readonly<Limits>
  readonly #batchLimits: BatchLimits
  readonly #window: Window
  readonly #tries: Try
  readonly #turns = new Turns()
  /** Handed over, and not known yet to have left something waiting. */
  #recent: Batch[] = []
  #mark: Mark
  #batch: Batch
  /** Of the next batch that is handed over. */
  #number: number
  /** Until the first record that an earlier run had left. */
  #isResumed: boolean

  constructor(
    limits: Readonly<Limits>,
    committer: Committer,
    tally: Tally,
    resume: Resume | undefined,
    options: ImportOptions
  ) {
    this.#committer = committer
    this.#tally = tally
    this.#resume = resume
    this.#options = options
    this.#limits = limits
    this.#batchLimits = batchLimits(limits, options)
    const window = windowLimits(options)
    this.#window = new Window(window)
    this.#tries = window.records === 0 ? 'only' : 'first'
    const { mark, next } = resume?.place ?? { mark: BEGIN, next: 1 }
    this.#mark = mark
    this.#number = resume?.begin ?? 0
    this.#isResumed = this.#number > 0
    this.#batch = new Batch(this.#number, next, this.#tries, this.#batchLimits)
  }

  /** Reads the source to its end and hands all of it to the committer. */
  async readAll(rows: Rows): Promise<void> {
    const { map, signal, strict } = this.#options
    for await (const group of rows.groups(this.#mark)) {
      // A reader that sorts first gives empty groups meanwhile.
      this.#tally.tell()
      for (const row of group) {
        this.#noteMark(rows.fileIndex, row)
        for (const record of recordsOf(row, map)) {
          const item = this.#read(row, record, map !== undefined || rows.areRecords)
          if (item !== undefined && (this.#isResumed || !this.#batch.add(item))) {
            await this.#beginBatchWith(item)
          }
          // It ends here: the committer throws.
          if (strict === true && this.#batch.hasFault) {
            await this.#handOver(this.#batch, this.#tally.records, false)
          }
          // One row may be mapped to any number of records.
          if (this.#turns.step(0)) await this.#turn()
        }
        if (this.#turns.step(row.bytes)) await this.#turn()
      }
    }
    throwIfAborted(signal, 'import')
    await this.#end()
  }

  /**
   * Gives a record that is to be committed now; none that an earlier run is done with.
   *
   * @param isShared Whether a program holds it too.
   */
  #read(row: Row, record: unknown, isShared: boolean): Item | undefined {
    this.#tally.records += 1
    const number = this.#tally.records
    const what = this.#commandOf(record, isShared)
    const bytes = Math.max(row.bytes, sizeOf(what))
    this.#window.read(number, bytes)
    const { line, file } = row
    const text = this.#options.rejectFile === undefined ? undefined : row.text
    const readTo = this.#window.bytes
    const item: Item = { what, number, line, file, text, bytes, readTo, mark: this.#mark }
    if (number >= this.#batch.next) return item
    // Read again because something before it had to wait, if not itself.
    const batch = this.#resume?.waiting.get(number)
    if (batch !== undefined) {
      this.#window.hold({ item, batch })
      this.#committer.waiting.noteItem(item)
    }
    return undefined
  }

  /** The source has ended: what waits has nothing left to wait for. */
  async #end(): Promise<void> {
    const next = this.#tally.records + 1
    // An empty one tells that an empty source is through.
    if (!this.#batch.isEmpty || this.#number === 0) await this.#handOver(this.#batch, next, true)
    // What has to wait is known for sure when all is committed.
    await this.#committer.finish()
    this.#window.end()
    await this.#tryAgain(next, true)
  }

  /** Commits the batch, which has no room for this record, and what is due before the next one. */
  async #beginBatchWith(item: Item): Promise<void> {
    if (!this.#batch.isEmpty) await this.#handOver(this.#batch, item.number, false)
    await this.#tryAgain(item.number, false)
    this.#isResumed = false
    this.#batch = new Batch(this.#number, item.number, this.#tries, this.#batchLimits)
    this.#batch.add(item)
  }

  /** Commits associations that have waited long enough, in batches of their own. */
  async #tryAgain(next: number, isAtEnd: boolean): Promise<void> {
    for (;;) {
      await this.#holdBack(isAtEnd)
      const batch = new Batch(this.#number, next, 'second', this.#batchLimits)
      let item = this.#window.due(batch.number)
      while (item !== undefined && batch.add(item)) {
        this.#window.drop()
        item = this.#window.due(batch.number)
      }
      if (batch.isEmpty) return
      await this.#handOver(batch, next, isAtEnd)
    }
  }

  /** Takes into the window what older batches left waiting: all, or those that surely know. */
  async #holdBack(all: boolean): Promise<void> {
    for (let oldest = this.#recent[0]; oldest !== undefined; oldest = this.#recent[0]) {
      const { number, outcome } = oldest
      if (!all && number > this.#number - BATCHES_BEHIND) return
      assert(outcome !== undefined, 'what became of an older batch is known')
      // Each is copied, which takes a while.
      if (outcome.waits.length > 0) await this.#turn()
      for (const item of outcome.waits) this.#window.hold({ item, batch: number })
      this.#recent.shift()
    }
  }

  /** @param next The record that is read first behind it; `#mark` is a place at or before it. */
  async #handOver(batch: Batch, next: number, isAtEnd: boolean): Promise<void> {
    batch.next = next
    batch.mark = this.#mark
    batch.isAtEnd = isAtEnd
    this.#number += 1
    // Committing takes a stretch of the main thread of its own.
    await this.#turn()
    await this.#committer.add(batch)
    if (batch.try === 'first') this.#recent.push(batch)
  }

  #commandOf(record: unknown, isShared: boolean): Command | Error {
    if (record instanceof RecordError) return record
    try {
      const command = toCommand(record, this.#options.ifExists)
      return isShared ? ownCopy(command, this.#limits) : command
    } catch (error) {
      return asError(error)
    }
  }

  async #turn(): Promise<void> {
    await this.#turns.next()
    throwIfAborted(this.#options.signal, 'import')
    this.#tally.tell()
  }

  #noteMark(file: number, { start, line }: Row): void {
    if (start === undefined && file === this.#mark.file) return
    const { records } = this.#tally
    // Formats in which reading cannot begin anywhere are read from the beginning of their file.
    const begin = start === undefined ? { offset: 0, line: 1 } : { offset: start, line }
    this.#mark = { file, ...begin, records }
  }
}

/** How batches are cut, in words, for a later run that must do the same. */
export function describeCut(limits: Readonly<Limits>, options: ImportOptions): string {
  const { rows, bytes } = batchLimits(limits, options)
  const window = windowLimits(options)
  return `batches of ${rows}, ${bytes} bytes; window of ${window.records}, ${window.bytes} bytes`
}

/** What a row holds: one record, or what `map` makes of it, or what is wrong. */
function recordsOf({ value, fault }: Row, map: ImportOptions['map']): readonly unknown[] {
  if (fault !== undefined) return [new RecordError(fault)]
  if (map === undefined) return [value]
  try {
    const mapped: unknown = map(value)
    if (mapped === undefined) return NONE
    return Array.isArray(mapped) ? mapped : [mapped]
  } catch (cause) {
    return [new RecordError(`map threw: ${asError(cause).message}`, { cause })]
  }
}

const NONE: readonly unknown[] = []

function batchLimits(
  { commitCommands, commitBytes }: Readonly<Limits>,
  { dryRun }: ImportOptions
): BatchLimits {
  const share = dryRun === true ? 1 + DRY_RUN_EXTRA : 1
  return {
    rows: Math.max(1, Math.floor(Math.min(BATCH_ROWS, commitCommands) / share)),
    bytes: Math.min(BATCH_BYTES, commitBytes / BYTES_MARGIN)
  }
}
