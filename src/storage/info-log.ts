/**
 * What LevelDB writes about its own work into the file LOG, as `db/db_impl.cc` of LevelDB 1.20 words it.
 *
 * Nothing else tells when a compaction ran and how long it took. Lines of other kinds, and what a crash
 * cut off, are passed over: at worst a compaction is not told of.
 */
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from './files.ts'

const NAME = 'LOG'
/** Lines that are not read at once are read the next time. */
const READ_BYTES = 256 * 1024
/** Compactions that have begun; LevelDB runs one at a time. */
const OPEN_MAX = 16

export interface Compaction {
  kind: 'flush' | 'merge'
  level: number
  files: number
  bytes: number
  /** End of it, in milliseconds since 1970. */
  time: number
  ms: number
}

/** Reads on where it stopped, so that each compaction is told once. */
export class InfoLog {
  readonly #path: string
  readonly #parser = new InfoLogParser()
  /** `undefined` until the first look: what happened before it is nobody's business. */
  #at: number | undefined
  #rest = ''

  constructor(directory: string) {
    this.#path = join(directory, NAME)
  }

  /** Those that ended since the last call. The first call tells of none. */
  async read(): Promise<Compaction[]> {
    const size = await sizeOf(this.#path)
    const at = this.#at ?? size
    // LevelDB begins a new file when it is opened.
    this.#at = size < at ? 0 : at
    if (size === this.#at) return []
    const text = await this.#next(this.#at, Math.min(size - this.#at, READ_BYTES))
    const lines = `${this.#rest}${text}`.split('\n')
    this.#rest = lines.pop() ?? ''
    return lines.map((line) => this.#parser.line(line)).filter((one) => one !== undefined)
  }

  async #next(at: number, bytes: number): Promise<string> {
    const buffer = Buffer.alloc(bytes)
    const file = await open(this.#path)
    try {
      const { bytesRead } = await file.read(buffer, 0, bytes, at)
      this.#at = at + bytesRead
      return buffer.toString('latin1', 0, bytesRead)
    } finally {
      await file.close()
    }
  }
}

/** `2026/11/22-16:50:18.689102 7f2dcc9fc6c0 Compacting 1@1 + 1@2 files` */
const LINE = /^(\d{4})\/(\d\d)\/(\d\d)-(\d\d):(\d\d):(\d\d)\.(\d{6}) \S+ (.*)$/
const FLUSH = /^Level-0 table #(\d+): (?:(started)|(\d+) bytes OK)$/
const MERGE = /^(Compacting|Compacted) (\d+)@(\d+) \+ (\d+)@\d+ files(?: => (\d+) bytes)?$/

export class InfoLogParser {
  /** When each that is under way began, by what names it. */
  readonly #began = new Map<string, number>()

  /** @returns The compaction that this line ends, if it ends one whose begin was seen. */
  line(text: string): Compaction | undefined {
    const found = LINE.exec(text)
    if (found === null) return undefined
    const time = timeOf(found)
    const message = found[8] ?? ''
    return this.#flush(message, time) ?? this.#merge(message, time)
  }

  #flush(message: string, time: number): Compaction | undefined {
    const [, name = '', started, bytes] = FLUSH.exec(message) ?? []
    if (started !== undefined) this.#begin(`#${name}`, time)
    const ms = bytes === undefined ? undefined : this.#end(`#${name}`, time)
    if (ms === undefined) return undefined
    return { kind: 'flush', level: 0, files: 0, bytes: Number(bytes), time, ms }
  }

  #merge(message: string, time: number): Compaction | undefined {
    const [, phase, upper, level, lower, bytes] = MERGE.exec(message) ?? []
    const name = `${upper}@${level}+${lower}`
    if (phase === 'Compacting') this.#begin(name, time)
    const ms = phase === 'Compacted' && bytes !== undefined ? this.#end(name, time) : undefined
    if (ms === undefined) return undefined
    const files = Number(upper) + Number(lower)
    return { kind: 'merge', level: Number(level), files, bytes: Number(bytes), time, ms }
  }

  #begin(name: string, time: number): void {
    this.#began.set(name, time)
    // Those that failed never end.
    if (this.#began.size > OPEN_MAX) this.#began.delete([...this.#began.keys()][0] ?? '')
  }

  #end(name: string, time: number): number | undefined {
    const began = this.#began.get(name)
    this.#began.delete(name)
    // LevelDB tells the time of day, which may be set back.
    return began === undefined ? undefined : Math.max(0, time - began)
  }
}

/** Milliseconds since 1970, with a fraction, of the local time that LevelDB writes. */
function timeOf(found: RegExpExecArray): number {
  const [, year, month, day, hour, minute, second, micros] = found.map(Number)
  const date = new Date(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
  return date.getTime() + (micros ?? 0) / 1000
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}
