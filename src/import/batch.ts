import { assert } from '../assert.ts'
import { isStoreError } from '../errors.ts'
import type { Command } from '../types.ts'
import { BEGIN, type Mark } from './resume-place.ts'

export interface BatchLimits {
  readonly rows: number
  readonly bytes: number
}

/** What one record of the source asks for, or what is wrong with it. */
export interface Item {
  readonly what: Command | Error
  /** Counted from 1 over the whole source. */
  readonly number: number
  readonly line: number
  /** Named only where several files are imported. */
  readonly file: string | undefined
  /** Kept only where a reject file is written. */
  readonly text: string | undefined
  /** About what it takes, in the source or in the log: whichever is more. */
  readonly bytes: number
  /** Bytes of the source up to it, counted from where reading began. */
  readonly readTo: number
  /** From here on reading meets it again. */
  readonly mark: Mark
}

export interface Rejection {
  readonly number: number
  readonly line: number
  readonly reason: string
  readonly text: string | undefined
  /** What the reason is made of; absent of one that an earlier run met. */
  readonly error: Error | undefined
}

/** What became of a batch. */
export interface Outcome {
  readonly concepts: number
  readonly associations: number
  readonly rejected: number
  /** In the order of the batch. */
  readonly rejections: readonly Rejection[]
  /** Associations that are tried again later, because a concept at their ends may still come. */
  readonly waits: readonly Item[]
}

type Rejected = readonly { readonly command: number; readonly error: Error }[]

/** Why an association waits whose ends may be there. Nobody is told, so one does for all. */
export const EARLIER_WAITS: Error = new Error('An earlier line of the same association waits')

/** A first try may find that an association has to wait; a second try decides. */
export type Try = 'first' | 'second' | 'only'

/** Rough size of an event beside its content. */
const COMMAND_BYTES = 256
const METADATA_FIELD_BYTES = 64
export const FLOAT_BYTES = 4
/** A reason may quote the line, which may have millions of characters. */
const REASON_CHARACTERS = 500

/** The commands of one commit, with the records they came from, and the bad ones among them. */
export class Batch {
  /** Counted from 0 over the whole import. */
  readonly number: number
  readonly try: Try
  readonly commands: Command[] = []
  /** The record that the next batch begins with, of those that are read for the first time. */
  next: number
  /** Where reading meets that record. */
  mark: Mark = BEGIN
  /** Whether the whole source was read when it was filled. */
  isAtEnd = false
  /** What became of it, once that is known. */
  outcome: Outcome | undefined
  /** `items[i]` is what `commands[i]` came from. */
  readonly #items: Item[] = []
  readonly #faults: { item: Item; error: Error; before: number }[] = []
  readonly #limits: BatchLimits
  #bytes = 0

  constructor(number: number, next: number, tried: Try, limits: BatchLimits) {
    this.number = number
    this.next = next
    this.try = tried
    this.#limits = limits
  }

  get isEmpty(): boolean {
    return this.commands.length === 0 && this.#faults.length === 0
  }

  get hasFault(): boolean {
    return this.#faults.length > 0
  }

  /** Number of the last record in it. */
  get last(): number {
    return Math.max(this.#items.at(-1)?.number ?? 0, this.#faults.at(-1)?.item.number ?? 0)
  }

  /** Takes in a record, unless the batch is too full. An empty batch takes anything. */
  add(item: Item): boolean {
    const { what, bytes } = item
    if (!this.isEmpty && !this.#hasRoom(bytes)) return false
    this.#bytes += bytes
    if (what instanceof Error) {
      this.#faults.push({ item, error: what, before: this.commands.length })
    } else {
      this.commands.push(what)
      this.#items.push(item)
    }
    return true
  }

  /** The good commands before one of them, or before a fault, as a batch of their own. */
  upTo(command: number): Batch {
    const part = new Batch(this.number, this.next, this.try, this.#limits)
    part.mark = this.mark
    const bad = this.#items[command] ?? this.#faults[0]?.item
    if (bad !== undefined && this.try !== 'second') {
      part.next = bad.number
      part.mark = bad.mark
    }
    for (const item of this.#items.slice(0, command)) part.add(item)
    return part
  }

  /** Whether a command that was left out is an association that may wait for its ends. */
  mayWait(command: number, error: Error): boolean {
    if (this.try !== 'first' || this.commands[command]?.do !== 'associate') return false
    return error === EARLIER_WAITS || isStoreError(error, 'CONCEPT_NOT_FOUND')
  }

  /** @param rejected Commands that the store left out, in ascending order. */
  settle(rejected: Rejected): Outcome {
    const rejections: (Rejection & { order: number })[] = this.#faults.map(
      ({ item, error, before }) => ({ ...describe(item, error), order: before })
    )
    const waits: Item[] = []
    for (const { command, error } of rejected) {
      const item = this.#items[command]
      assert(item !== undefined, 'a store rejects commands that it was given')
      if (this.mayWait(command, error)) waits.push(item)
      else rejections.push({ ...describe(item, error), order: command + 0.5 })
    }
    if (rejections.length > 1) rejections.sort((a, b) => a.order - b.order)
    const left = new Set(rejected.map(({ command }) => command))
    const good = this.commands.filter((_, index) => !left.has(index))
    const concepts = good.filter(({ do: action }) => action === 'learn').length
    const associations = good.length - concepts
    return { concepts, associations, rejected: rejections.length, rejections, waits }
  }

  /** Lets go of what it held once it is known what became of it: the feed remembers it for a while. */
  release(): void {
    this.commands.length = 0
    this.#items.length = 0
    this.#faults.length = 0
  }

  /** The record with this number, if it is in here. */
  item(number: number): Item | undefined {
    return [...this.#items, ...this.#faults.map(({ item }) => item)].find(
      (item) => item.number === number
    )
  }

  #hasRoom(bytes: number): boolean {
    const rows = this.commands.length + this.#faults.length
    return rows < this.#limits.rows && this.#bytes + bytes <= this.#limits.bytes
  }
}

/** About how many bytes a command will take in the log: enough to bound a commit's memory. */
export function sizeOf(what: Command | Error): number {
  if (what instanceof Error || what.do !== 'learn') return COMMAND_BYTES
  const { content, data, embedding, metadata } = what
  const fields = metadata ? Object.keys(metadata).length : 0
  const numbers = embedding?.length ?? 0
  return (
    COMMAND_BYTES +
    content.length +
    (data?.byteLength ?? 0) +
    numbers * FLOAT_BYTES +
    fields * METADATA_FIELD_BYTES
  )
}

function describe({ number, line, file, text }: Item, error: Error): Rejection {
  const code = isStoreError(error) ? error.code : 'IMPORT_LINE_INVALID'
  const isLong = error.message.length > REASON_CHARACTERS
  const message = isLong ? `${error.message.slice(0, REASON_CHARACTERS)}…` : error.message
  const reason = `${file === undefined ? '' : `${file}: `}${message} (${code})`
  return { number, line, reason, text, error }
}
