import { aborted, isStoreError, type StoreError } from '../errors.ts'
import { onAbort } from '../on-abort.ts'
import { WorkerLink } from '../storage/worker-link.ts'
import { recordOf } from './column-record.ts'
import { GROUP_BYTES_MAX, type Piece, rowOf } from './columns.ts'
import { sourceInvalid } from './files.ts'
import { unsupported } from './options.ts'
import type { Input, Reader, Row } from './reader.ts'

export type ColumnarFormat = 'parquet' | 'arrow'

/**
 * Heap of the thread that unpacks: a damaged file that asks for more ends the thread, and with it
 * the import, not the process. A row group of Parquet is unpacked whole; a batch of Arrow lies
 * outside of the heap and is read where it is, so little means that less time is spent in vain.
 */
const HEAP_MIB: Readonly<Record<ColumnarFormat, number>> = { parquet: 1536, arrow: 256 }

/**
 * In a damaged file a run of values may be of -8 or of billions, and counting them does not end. A part
 * that takes longer than this, and a second for each mebibyte that it may be made from, is such a one.
 */
const PATIENCE_MS = 20_000
const TICKS = 20
const MiB = 1024 * 1024

/**
 * Reads a file of columns in a thread of its own: unpacking a row group takes tens of milliseconds
 * in one go, and a damaged file may make it take more memory or time than there is. Here come rows.
 */
export function columnarReader(format: ColumnarFormat, patienceMs: number = PATIENCE_MS): Reader {
  return (input) => readColumnar(input, format, patienceMs)
}

/** What is compressed or comes in a stream has no places to read from. */
export function noFile(format: ColumnarFormat): StoreError<'UNSUPPORTED'> {
  return unsupported(
    `import of ${format} that is compressed or comes in a stream`,
    'its parts are read where they stand in a file'
  )
}

async function* readColumnar(
  input: Input,
  format: ColumnarFormat,
  patienceMs: number
): AsyncGenerator<Iterable<Row>, void> {
  const { path, options } = input
  const { signal } = options
  if (path === undefined) throw noFile(format)
  const script = new URL('./columnar-worker.js', import.meta.url)
  const heap = { maxOldGenerationSizeMb: HEAP_MIB[format] }
  const link = new WorkerLink(
    script,
    { path, format, isExact: options.map === undefined },
    () => {},
    () => {},
    heap
  )
  const stop = onAbort(signal, () => void link.terminate())
  const part = Math.min(input.bytes ?? 0, GROUP_BYTES_MAX)
  const pieces = new Pieces(link, Math.ceil(patienceMs + (1000 * part) / MiB))
  try {
    let next = pieces.next()
    for (;;) {
      const piece = await next
      if (signal?.aborted) throw aborted(signal, 'import')
      if (piece === undefined) return
      // Unpacked while the rows of this one are taken in.
      next = pieces.next()
      input.told(piece.readTo)
      yield rowsOf(piece, input)
    }
  } catch (error) {
    if (signal?.aborted) throw aborted(signal, 'import')
    const cause = pieces.late ?? error
    throw isStoreError(cause) ? cause : sourceInvalid(input.file ?? path, cause)
  } finally {
    stop()
    await link.terminate()
  }
}

/** Asks the thread, and ends it when an answer takes too long. */
class Pieces {
  readonly #link: WorkerLink
  readonly #limitMs: number
  late: Error | undefined

  constructor(link: WorkerLink, limitMs: number) {
    this.#link = link
    this.#limitMs = limitMs
  }

  next(): Promise<Piece | undefined> {
    const asked = this.#ask()
    // Whoever waits for it hears of a failure; nobody does when the import ends before.
    asked.catch(() => undefined)
    return asked
  }

  async #ask(): Promise<Piece | undefined> {
    // Ticks: a program that was stopped for long, with its thread, has waited for one of them.
    let left = TICKS
    const timer = setInterval(() => {
      left -= 1
      if (left > 0) return
      this.late = new Error(`unpacking a part of it has not ended in ${this.#limitMs} ms`)
      void this.#link.terminate()
    }, this.#limitMs / TICKS)
    try {
      // What the other end answers with, and nothing else: see columnar-worker.ts.
      return (await this.#link.request(undefined)) as Piece | undefined
    } finally {
      clearInterval(timer)
    }
  }
}

function* rowsOf(piece: Piece, { file, options }: Input): Generator<Row, void> {
  const bytes = Math.ceil(piece.bytes / piece.rows)
  for (let i = 0; i < piece.rows; i++) {
    const row = rowOf(piece, i)
    const at = { line: piece.first + i, bytes, file, text: undefined }
    let value: unknown = row
    let fault = piece.faults?.get(i)
    if (fault === undefined && options.map === undefined) {
      try {
        value = recordOf(row, piece.isOurs)
      } catch (error) {
        fault = error instanceof Error ? error.message : String(error)
      }
    }
    yield { ...at, value, fault }
  }
}
