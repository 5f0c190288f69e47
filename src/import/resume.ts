/**
 * Imports that go on where they were cut off. Each batch is one commit under a key of its own, made
 * of the caller's `resumeKey` and the number of the batch, and carries in its headers the place
 * behind it. Commits take effect in order and whole, so whatever instant the process dies at, the
 * last one in the log says what is done: it is found by its key, and reading begins there.
 */
import { hash } from 'node:crypto'
import { StoreError } from '../errors.ts'
import type { Batch, Outcome, Rejection } from './batch.ts'
import { rejectLines } from './reject-file.ts'
import {
  BEGIN,
  decodePlace,
  encodePlace,
  type Kept,
  type Mark,
  type Place
} from './resume-place.ts'
import { digestOfSource, sourceChanged } from './resume-source.ts'
import { REPORTED_MAX } from './tally.ts'
import type { ImportTarget, LenientOptions } from './target.ts'

export interface ResumeOptions {
  readonly key: string
  /** What is imported and how, in words. */
  readonly parts: readonly string[]
  /** How batches are cut, in words. */
  readonly cut: string
  /** Length of the reject file as it is; `undefined` where none is written. */
  readonly rejectBytes: number | undefined
}

/** An association that waits, and where reading meets it. */
interface StagedWait {
  readonly number: number
  readonly batch: number
  readonly mark: Mark
}

/** The newest page of what the report names, and the batch that holds it. */
interface Page extends Pick<Place, 'page' | 'olderPageIn'> {
  readonly at: number
}

/** So many rejected records are read back in one step; each commit with one carries some of them. */
const PAGE_LINES = 50
const NONE = -1
const NUMBER_DIGITS = 10

export class Resume {
  /** The batch to begin with. Beyond the last in the log, unless the reject file fell behind. */
  readonly begin: number
  /** What was so up to there. */
  readonly place: Place
  /** What the report says of rejected records up to there. */
  readonly reported: readonly Rejection[]
  /** The associations that wait there, and the batches that found out. */
  readonly waiting: ReadonlyMap<number, number>
  readonly #target: ImportTarget
  readonly #options: ResumeOptions
  /** The last batch in the log, and what was so behind it. */
  readonly #last: number
  readonly #lastPlace: Place
  /** Behind the batch that was staged last, and what waits there. */
  #staged: Place
  readonly #waits: StagedWait[]
  #page: Page

  private constructor(
    target: ImportTarget,
    options: ResumeOptions,
    found: Pick<Resume, 'begin' | 'place' | 'reported' | 'waiting'> & {
      page: Page
      last: number
      lastPlace: Place
    }
  ) {
    this.#target = target
    this.#options = options
    this.begin = found.begin
    this.place = found.place
    this.reported = found.reported
    this.waiting = found.waiting
    this.#last = found.last
    this.#lastPlace = found.lastPlace
    this.#staged = found.place
    this.#page = found.page
    const { mark } = found.place
    this.#waits = Array.from(found.waiting, ([number, batch]) => ({ number, batch, mark }))
  }

  /**
   * Looks for what earlier runs have done. Changes nothing.
   *
   * @throws StoreError `IMPORT_SOURCE_CHANGED`, `UNSUPPORTED`, `LOG_DAMAGED`.
   */
  static async find(target: ImportTarget, options: ResumeOptions): Promise<Resume> {
    const log = new Batches(target, options.key)
    const source = digestOfSource(options.parts)
    const fresh = { ...NOTHING_DONE, source, cut: options.cut }
    const placeAt = async (number: number) => (number === NONE ? fresh : log.placeAt(number))
    const last = log.findLast()
    const lastPlace = await placeAt(last)
    if (lastPlace.source !== source) {
      throw sourceChanged(options.key, (await placeAt(0)).parts ?? [], options.parts)
    }
    let begin = last + 1
    const { rejectBytes = Number.POSITIVE_INFINITY } = options
    // The file is written behind the log: a crash may have left it short by some batches. Those are
    // read again, for the texts of their lines alone.
    while ((await placeAt(begin - 1)).rejectBytes > rejectBytes) {
      const before = await placeAt(begin - 1)
      begin = before.kept.length > 0 ? begin - 1 : before.keptIn
    }
    const place = await placeAt(begin - 1)
    const at = place.page.length > 0 ? begin - 1 : place.pageIn
    const page = { ...(await placeAt(at)), at }
    const reported = await reportedUpTo(at, placeAt)
    const waiting = await waitingBehind(begin - 1, placeAt)
    return new Resume(target, options, { begin, place, reported, waiting, page, last, lastPlace })
  }

  /** Whether there is nothing left to do. */
  get isDone(): boolean {
    return this.#lastPlace.isLast && this.begin > this.#last
  }

  /** Whether earlier runs have imported all of it. */
  get isImported(): boolean {
    return this.#lastPlace.isLast
  }

  /** Records that earlier runs are done with. */
  get recordsDone(): number {
    const { concepts, associations, rejected } = this.#lastPlace
    return concepts + associations + rejected
  }

  get key(): string {
    return this.#options.key
  }

  isCommitted(batch: Batch): boolean {
    return batch.number <= this.#last
  }

  /** What became of a batch that is in the log, from the log. */
  async earlierOutcome(batch: Batch): Promise<Outcome> {
    const before = this.#staged
    const place = await new Batches(this.#target, this.key).placeAt(batch.number)
    if (place.cut !== this.#options.cut) throw cutChanged(place.cut, this.#options.cut)
    this.#noteWaits(batch, place.waits)
    this.#staged = place
    if (place.page.length > 0) this.#page = { ...place, at: batch.number }
    // A run that wrote no reject file added nothing to it.
    const kept = place.rejectBytes > before.rejectBytes ? place.kept : []
    return {
      concepts: place.concepts - before.concepts,
      associations: place.associations - before.associations,
      rejected: place.rejected - before.rejected,
      rejections: kept.map((one) => toRejection(one, batch.item(one[0])?.text)),
      waits: place.waits.map((number) => batch.item(number)).filter((one) => one !== undefined)
    }
  }

  /** What goes with the commit of a batch: its key, and the place behind it once it is staged. */
  noteOf(batch: Batch): Pick<LenientOptions, 'idempotencyKey' | 'headersOf'> {
    if (this.#lastPlace.isLast) throw this.#changed('no record behind the last', 'more records')
    return {
      idempotencyKey: keyOf(this.key, batch.number),
      headersOf: (rejected) => {
        batch.outcome = batch.settle(rejected)
        const waits = batch.outcome.waits.map(({ number }) => number)
        this.#noteWaits(batch, waits)
        this.#staged = this.#placeBehind(batch, batch.outcome, waits)
        return encodePlace(this.#staged)
      }
    }
  }

  /** Of a stream nothing is known before it ends: then it must have been as long as before. */
  checkLength(records: number): void {
    const done = this.#lastPlace.next - 1
    if (records < done) throw this.#changed(`${done} records or more`, `${records} records`)
  }

  /** Batches are staged in order, so what waits is known here whatever else is under way. */
  #noteWaits(batch: Batch, waits: readonly number[]): void {
    for (const number of waits) {
      const mark = batch.item(number)?.mark ?? batch.mark
      this.#waits.push({ number, batch: batch.number, mark })
    }
    if (batch.try !== 'second') return
    const left = this.#waits.findIndex(({ number }) => number > batch.last)
    this.#waits.splice(0, left < 0 ? this.#waits.length : left)
  }

  #placeBehind(batch: Batch, outcome: Outcome, waits: readonly number[]): Place {
    const { concepts, associations, rejections } = outcome
    const before = this.#staged
    const [oldest] = this.#waits
    const { rejectBytes, parts } = this.#options
    const isReported = before.rejected < REPORTED_MAX
    const kept: Kept[] = []
    if (isReported || rejectBytes !== undefined) {
      for (const { number, line, reason } of rejections) kept.push([number, line, reason])
    }
    const pageIn = this.#page.at
    const page = isReported && kept.length > 0 ? this.#addToPage(batch.number, kept) : []
    return {
      mark: oldest?.mark ?? batch.mark,
      next: batch.next,
      waits,
      retried: batch.try === 'second' ? batch.last : before.retried,
      oldest: oldest?.batch ?? NONE,
      isLast: batch.isAtEnd && oldest === undefined,
      concepts: before.concepts + concepts,
      associations: before.associations + associations,
      rejected: before.rejected + rejections.length,
      rejectBytes:
        before.rejectBytes +
        (rejectBytes === undefined ? 0 : Buffer.byteLength(rejectLines(rejections))),
      kept,
      keptIn: before.kept.length > 0 ? batch.number - 1 : before.keptIn,
      page,
      pageIn,
      olderPageIn: this.#page.olderPageIn,
      source: before.source,
      parts: batch.number === 0 ? parts : undefined,
      cut: this.#options.cut
    }
  }

  #addToPage(batch: number, kept: readonly Kept[]): readonly Kept[] {
    const { page, at, olderPageIn } = this.#page
    this.#page =
      page.length < PAGE_LINES
        ? { page: [...page, ...kept], at: batch, olderPageIn }
        : { page: kept, at: batch, olderPageIn: at }
    return this.#page.page
  }

  #changed(before: string, now: string): StoreError<'IMPORT_SOURCE_CHANGED'> {
    return sourceChanged(this.key, [before], [now])
  }
}

/** The batches of one import in the log. */
class Batches {
  readonly #target: ImportTarget
  readonly #key: string

  constructor(target: ImportTarget, key: string) {
    this.#target = target
    this.#key = key
  }

  /** The last one that is there: in doubled steps first, then in halves. None is left out. */
  findLast(): number {
    if (!this.#has(0)) return NONE
    let there = 0
    let step = 1
    while (this.#has(there + step)) {
      there += step
      step *= 2
    }
    for (; step >= 1; step /= 2) if (this.#has(there + step)) there += step
    return there
  }

  async placeAt(number: number): Promise<Place> {
    const position = this.#target.commitOf(keyOf(this.#key, number))
    return decodePlace(await this.#target.headersAt(position ?? 0))
  }

  #has(number: number): boolean {
    return this.#target.commitOf(keyOf(this.#key, number)) !== undefined
  }
}

const NOTHING_DONE: Omit<Place, 'source' | 'cut'> = {
  mark: BEGIN,
  next: 1,
  waits: [],
  retried: 0,
  oldest: NONE,
  isLast: false,
  concepts: 0,
  associations: 0,
  rejected: 0,
  rejectBytes: 0,
  kept: [],
  keptIn: NONE,
  page: [],
  pageIn: NONE,
  olderPageIn: NONE,
  parts: undefined
}

/** Hashed, because the caller's key may be of any length. In the order of the numbers. */
function keyOf(key: string, number: number): string {
  const name = hash('sha256', key, 'hex').slice(0, 32)
  return `sutra-import:${name}:${String(number).padStart(NUMBER_DIGITS, '0')}`
}

/** Page by page, from the newest to the oldest. */
async function reportedUpTo(
  newest: number,
  placeAt: (number: number) => Promise<Place>
): Promise<Rejection[]> {
  const pages: (readonly Kept[])[] = []
  for (let number = newest; number !== NONE; ) {
    const { page, olderPageIn } = await placeAt(number)
    pages.push(page)
    number = olderPageIn
  }
  return pages.reverse().flatMap((page) => page.map((one) => toRejection(one, undefined)))
}

/** Each batch tells what it left waiting; what was tried again since is decided. */
async function waitingBehind(
  last: number,
  placeAt: (number: number) => Promise<Place>
): Promise<Map<number, number>> {
  const waiting = new Map<number, number>()
  const { oldest, retried } = await placeAt(last)
  if (oldest === NONE) return waiting
  for (let batch = oldest; batch <= last; batch++) {
    for (const number of (await placeAt(batch)).waits) {
      if (number > retried) waiting.set(number, batch)
    }
  }
  return waiting
}

function toRejection([number, line, reason]: Kept, text: string | undefined): Rejection {
  return { number, line, reason, text, error: undefined }
}

function cutChanged(before: string, now: string): StoreError<'OPTION_INVALID'> {
  const details = { option: 'window', received: now, expected: before }
  const message =
    `The reject file is incomplete, and to complete it the import must be cut as before: ` +
    `${before}, not ${now}`
  return new StoreError('OPTION_INVALID', message, details)
}
