import type { ImportOptions, ImportSource } from '../types.ts'
import { abortable } from './abortable.ts'
import { noFile } from './columnar.ts'
import { behind, describeFile, readFile, type SourceFile, STANDARD_INPUT } from './files.ts'
import { isJoint, readerOf } from './formats.ts'
import type { Input, Row } from './reader.ts'
import { BEGIN, type Mark } from './resume-place.ts'

type Items = Exclude<ImportSource, string>

/** The rows of an import's source, whatever it is, read as they are asked for. */
export class Rows {
  readonly files: readonly SourceFile[]
  /** Known when every source is a file. */
  readonly bytesTotal: number | undefined
  readonly #items: Items | undefined
  readonly #options: ImportOptions
  #areRecords = false
  #bytesBefore = 0
  #bytes = 0
  #fileIndex = 0

  private constructor(
    files: readonly SourceFile[],
    items: Items | undefined,
    options: ImportOptions
  ) {
    this.files = files
    this.#items = items
    this.#options = options
    const sizes = files.map(({ bytes }) => bytes)
    const known = sizes.filter((bytes) => bytes !== undefined)
    const complete = items === undefined && known.length === sizes.length
    this.bytesTotal = complete ? known.reduce((sum, bytes) => sum + bytes, 0) : undefined
  }

  /** @throws TypeError, StoreError `IMPORT_SOURCE_INVALID` or `UNSUPPORTED`. Opens nothing yet. */
  static async of(source: ImportSource, options: ImportOptions): Promise<Rows> {
    const paths = pathsOf(source)
    if (paths === undefined) {
      readerOf(options.format ?? 'jsonl')
      return new Rows([], checkItems(source), options)
    }
    const files: SourceFile[] = []
    for (const path of paths) {
      const file = await describeFile(path, options.format)
      const { format } = file
      readerOf(format)
      const isColumnar = format === 'parquet' || format === 'arrow'
      if (isColumnar && placeOf(file) === undefined) throw noFile(format)
      files.push(file)
    }
    return new Rows(files, undefined, options)
  }

  /** Bytes read so far: of a compressed file, those on disk. Records count none. */
  get bytes(): number {
    return this.#bytesBefore + Math.floor(this.#bytes)
  }

  /** Whether a program hands over records, and not bytes: known once there is a group. */
  get areRecords(): boolean {
    return this.#areRecords
  }

  /** Which of the files the present group is from. */
  get fileIndex(): number {
    return this.#fileIndex
  }

  /**
   * Yields the rows group by group, so that only a group costs a promise. Take each group whole.
   *
   * @param mark Where to begin, as a row of an earlier run said; the records of a program, which
   *   know no place, come from the first on.
   */
  async *groups(mark: Mark = BEGIN): AsyncGenerator<Iterable<Row>, void, undefined> {
    if (this.#items !== undefined) {
      yield* this.#groupsOfItems(this.#items, mark)
      return
    }
    for (let at = 0; at < this.files.length; ) {
      const files = this.#together(at)
      this.#fileIndex = at
      if (at >= mark.file) {
        const from = at === mark.file ? mark : BEGIN
        const inputs = files.map((file) => this.#inputOf(file, from))
        yield* readerOf(files[0]?.format ?? 'jsonl')(inputs)
      }
      // The size is what progress goes by; of a pipe, what came out of it.
      const sizes = files.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)
      this.#bytesBefore += Math.max(sizes, this.#bytes)
      this.#bytes = 0
      at += files.length
    }
  }

  /** The file at this index, and those behind it that are read as one with it. */
  #together(at: number): readonly SourceFile[] {
    const rest = this.files.slice(at)
    const other = rest.findIndex((file) => file.format !== rest[0]?.format)
    const alike = other === -1 ? rest : rest.slice(0, other)
    return isJoint(rest[0]?.format) ? alike : rest.slice(0, 1)
  }

  #inputOf(file: SourceFile, from: Mark): Input {
    const { signal } = this.#options
    const name = file.path === STANDARD_INPUT ? 'standard input' : file.path
    let before = 0
    const told = (bytes: number) => {
      this.#bytes += bytes - before
      before = bytes
    }
    return {
      name,
      file: this.files.length > 1 ? name : undefined,
      path: placeOf(file),
      from: from.offset > 0 ? from : undefined,
      bytes: file.bytes,
      chunks: (share = 1) => {
        const onRead = (bytes: number) => told(bytes * share)
        return readFile(file, { signal, offset: from.offset, onRead })
      },
      told,
      options: this.#options
    }
  }

  /** What comes first tells whether a program hands over bytes or records. */
  async *#groupsOfItems(items: Items, mark: Mark): AsyncGenerator<Iterable<Row>, void, undefined> {
    const { signal } = this.#options
    if (Symbol.asyncIterator in items) {
      const iterator = abortable<unknown>(items, signal, 'import')
      try {
        const first = await iterator.next()
        if (first.done === true) return
        if (first.value instanceof Uint8Array) {
          yield* this.#rowsOfBytes(first.value, iterator, mark)
        } else {
          this.#areRecords = true
          const records = new Records()
          yield [records.row(first.value)]
          for await (const item of iterator) yield [records.row(item)]
        }
      } finally {
        await iterator.return()
      }
      return
    }
    yield* this.#groupsOfList(items, mark)
  }

  async *#groupsOfList(
    items: Iterable<unknown>,
    mark: Mark
  ): AsyncGenerator<Iterable<Row>, void, undefined> {
    const iterator = iterableOf(items)
    try {
      const first = iterator.next()
      if (first.done === true) return
      if (first.value instanceof Uint8Array) {
        yield* this.#rowsOfBytes(first.value, asyncOf(iterator), mark)
      } else {
        this.#areRecords = true
        yield new Records().rows(first.value, iterator)
      }
    } finally {
      iterator.return()
    }
  }

  async *#rowsOfBytes(
    first: Uint8Array,
    rest: AsyncIterable<unknown>,
    mark: Mark
  ): AsyncGenerator<Iterable<Row>, void, undefined> {
    const count = (chunk: Uint8Array) => {
      this.#bytes += chunk.byteLength
      return chunk
    }
    const chunks = async function* () {
      yield count(first)
      for await (const item of rest) {
        if (!(item instanceof Uint8Array)) throw mixed()
        yield count(item)
      }
    }
    const input: Input = {
      name: 'the bytes given',
      file: undefined,
      path: undefined,
      from: mark.offset > 0 ? mark : undefined,
      bytes: undefined,
      chunks: () => behind(mark.offset, chunks()),
      told: () => undefined,
      options: this.#options
    }
    yield* readerOf(this.#options.format ?? 'jsonl')([input])
  }
}

/** Numbers the records that a program hands over. */
class Records {
  #count = 0

  row(value: unknown): Row {
    if (value instanceof Uint8Array) throw mixed()
    this.#count += 1
    const line = this.#count
    return { line, bytes: 0, file: undefined, text: undefined, value, fault: undefined }
  }

  /** Pulls the records one by one, as the rows are asked for. */
  *rows(first: unknown, rest: Iterable<unknown>): Generator<Row, void> {
    yield this.row(first)
    for (const value of rest) yield this.row(value)
  }
}

/** A generator can be left and taken up again, which not every iterable can. */
function* iterableOf(items: Iterable<unknown>): Generator<unknown, void> {
  yield* items
}

async function* asyncOf(items: Iterable<unknown>): AsyncGenerator<unknown, void> {
  yield* items
}

/** Where its bytes stand just as they are read, if anywhere. */
function placeOf({ path, bytes, unpack }: SourceFile): string | undefined {
  return bytes === undefined || unpack !== undefined ? undefined : path
}

function mixed(): TypeError {
  return new TypeError('An import source mixes bytes and records')
}

function pathsOf(source: ImportSource): readonly string[] | undefined {
  if (typeof source === 'string') return [source]
  const isList = Array.isArray(source) && source.length > 0
  return isList && source.every((one) => typeof one === 'string') ? source : undefined
}

function checkItems(source: ImportSource): Items {
  const isObject = typeof source === 'object' && source !== null
  // Bytes are iterable too, but byte by byte, which nobody means.
  const isItems = isObject && (Symbol.asyncIterator in source || Symbol.iterator in source)
  if (isItems && !(source instanceof Uint8Array)) return source
  throw new TypeError('An import source must be a path, paths, or an iterable of records or bytes')
}
