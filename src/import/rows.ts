import type { ImportSource } from '../types.ts'
import { abortable } from './abortable.ts'
import { describeFile, readFile, type SourceFile, STANDARD_INPUT } from './files.ts'
import { type Line, LineSplitter } from './lines.ts'
import type { ImportFormat } from './options.ts'

/** What a source holds at one line: its text, or the record itself, or what is wrong with it. */
export interface Row {
  /** Counted from 1 in each file; of an iterable of records, the record's number. */
  readonly line: number
  readonly bytes: number
  /** Named only where several files are imported. */
  readonly file: string | undefined
  readonly text: string | undefined
  readonly value: unknown
  readonly fault: string | undefined
}

export interface RowsOptions {
  readonly format: ImportFormat | undefined
  readonly signal: AbortSignal | undefined
}

/** The rows of an import's source, whatever it is, read as they are asked for. */
export class Rows {
  readonly files: readonly SourceFile[]
  /** Known when every source is a file. */
  readonly bytesTotal: number | undefined
  readonly #items: Exclude<ImportSource, string> | undefined
  readonly #signal: AbortSignal | undefined
  #bytesBefore = 0
  #bytes = 0

  private constructor(
    files: readonly SourceFile[],
    items: Exclude<ImportSource, string> | undefined,
    signal: AbortSignal | undefined
  ) {
    this.files = files
    this.#items = items
    this.#signal = signal
    const sizes = files.map(({ bytes }) => bytes)
    const known = sizes.filter((bytes) => bytes !== undefined)
    const complete = items === undefined && known.length === sizes.length
    this.bytesTotal = complete ? known.reduce((sum, bytes) => sum + bytes, 0) : undefined
  }

  /** @throws TypeError, StoreError `IMPORT_SOURCE_INVALID` or `UNSUPPORTED`. Opens nothing yet. */
  static async of(source: ImportSource, { format, signal }: RowsOptions): Promise<Rows> {
    const paths = pathsOf(source)
    if (paths === undefined) return new Rows([], checkItems(source), signal)
    const files: SourceFile[] = []
    for (const path of paths) files.push(await describeFile(path, format))
    return new Rows(files, undefined, signal)
  }

  /** Bytes read so far: of a compressed file, those on disk. Records count none. */
  get bytes(): number {
    return this.#bytesBefore + this.#bytes
  }

  /** Yields the rows group by group, so that only a group costs a promise. Take each group whole. */
  async *groups(): AsyncGenerator<Iterable<Row>, void, undefined> {
    if (this.#items !== undefined) {
      yield* this.#groupsOfItems(this.#items)
      return
    }
    for (const file of this.files) {
      const name = file.path === STANDARD_INPUT ? 'standard input' : file.path
      const reader = new ItemReader(this.files.length > 1 ? name : undefined)
      const onRead = (bytes: number) => {
        this.#bytes = bytes
      }
      for await (const chunk of readFile(file, this.#signal, onRead)) yield reader.rows(chunk)
      yield reader.end()
      this.#bytesBefore += this.#bytes
      this.#bytes = 0
    }
  }

  async *#groupsOfItems(
    items: Exclude<ImportSource, string>
  ): AsyncGenerator<Iterable<Row>, void, undefined> {
    const reader = new ItemReader(undefined)
    if (Symbol.asyncIterator in items) {
      for await (const item of abortable<unknown>(items, this.#signal, 'import')) {
        if (item instanceof Uint8Array) this.#bytes += item.byteLength
        yield reader.rows(item)
      }
    } else {
      yield reader.allRows(items)
    }
    yield reader.end()
  }
}

/** Turns the items of one source, either all chunks of bytes or all records, into rows. */
class ItemReader {
  readonly #file: string | undefined
  readonly #splitter = new LineSplitter()
  #kind: 'bytes' | 'records' | undefined
  #records = 0

  constructor(file: string | undefined) {
    this.#file = file
  }

  rows(item: unknown): Iterable<Row> {
    return item instanceof Uint8Array ? this.#lines(item) : [this.#record(item)]
  }

  /** Pulls the items one by one, as the rows are asked for. */
  *allRows(items: Iterable<unknown>): Generator<Row, void> {
    for (const item of items) {
      if (item instanceof Uint8Array) yield* this.#lines(item)
      else yield this.#record(item)
    }
  }

  *end(): Generator<Row, void> {
    for (const line of this.#splitter.end()) yield this.#row(line)
  }

  *#lines(chunk: Uint8Array): Generator<Row, void> {
    this.#expect('bytes')
    for (const line of this.#splitter.push(chunk)) yield this.#row(line)
  }

  #record(value: unknown): Row {
    this.#expect('records')
    this.#records += 1
    const line = this.#records
    return { line, bytes: 0, file: this.#file, text: undefined, value, fault: undefined }
  }

  #expect(kind: 'bytes' | 'records'): void {
    this.#kind ??= kind
    if (kind !== this.#kind) throw new TypeError('An import source mixes bytes and records')
  }

  #row({ number, bytes, text, fault }: Line): Row {
    return { line: number, bytes, file: this.#file, text, value: undefined, fault }
  }
}

function pathsOf(source: ImportSource): readonly string[] | undefined {
  if (typeof source === 'string') return [source]
  const isList = Array.isArray(source) && source.length > 0
  return isList && source.every((one) => typeof one === 'string') ? source : undefined
}

function checkItems(source: ImportSource): Exclude<ImportSource, string> {
  const isObject = typeof source === 'object' && source !== null
  // Bytes are iterable too, but byte by byte, which nobody means.
  const isItems = isObject && (Symbol.asyncIterator in source || Symbol.iterator in source)
  if (isItems && !(source instanceof Uint8Array)) return source
  throw new TypeError('An import source must be a path, paths, or an iterable of records or bytes')
}
