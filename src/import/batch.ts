import { assert } from '../assert.ts'
import type { Command } from '../types.ts'
import type { Row } from './rows.ts'

export interface BatchLimits {
  readonly rows: number
  readonly bytes: number
}

export interface Rejection {
  readonly row: Row
  readonly error: Error
}

/** Rough size of an event beside its content. */
const COMMAND_BYTES = 256
const METADATA_FIELD_BYTES = 64
const FLOAT_BYTES = 4

/** The commands of one commit, with the rows they came from, and the bad rows among them. */
export class Batch {
  readonly commands: Command[] = []
  /** `rows[i]` is where `commands[i]` came from. */
  readonly rows: Row[] = []
  readonly #faults: (Rejection & { before: number })[] = []
  readonly #limits: BatchLimits
  #bytes = 0

  constructor(limits: BatchLimits) {
    this.#limits = limits
  }

  get isEmpty(): boolean {
    return this.commands.length === 0 && this.#faults.length === 0
  }

  get hasFault(): boolean {
    return this.#faults.length > 0
  }

  /** Takes in what a row holds, unless the batch is too full. An empty batch takes anything. */
  add(row: Row, found: Command | Error): boolean {
    const isFault = found instanceof Error
    const bytes = Math.max(row.bytes, isFault ? COMMAND_BYTES : sizeOf(found))
    if (!this.isEmpty && !this.#hasRoom(bytes)) return false
    this.#bytes += bytes
    if (isFault) {
      this.#faults.push({ row, error: found, before: this.commands.length })
    } else {
      this.commands.push(found)
      this.rows.push(row)
    }
    return true
  }

  /** All that is wrong with this batch, in the order of its rows. */
  rejections(rejected: readonly { command: number; error: Error }[]): Rejection[] {
    const ofCommands = rejected.map(({ command, error }) => {
      const row = this.rows[command]
      assert(row !== undefined, 'a store rejects commands that it was given')
      return { row, error, order: command + 0.5 }
    })
    const ofFaults = this.#faults.map((fault) => ({ ...fault, order: fault.before }))
    return [...ofFaults, ...ofCommands].sort((a, b) => a.order - b.order)
  }

  #hasRoom(bytes: number): boolean {
    const rows = this.commands.length + this.#faults.length
    return rows < this.#limits.rows && this.#bytes + bytes <= this.#limits.bytes
  }
}

/** About how many bytes a command will take in the log: enough to bound a commit's memory. */
function sizeOf(command: Command): number {
  if (command.do !== 'learn') return COMMAND_BYTES
  const { content, data, embedding, metadata } = command
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
