import { aborted, isStoreError } from '../errors.ts'
import { onAbort } from '../on-abort.ts'
import { WorkerLink } from '../storage/worker-link.ts'
import { recordOf } from './column-record.ts'
import { type Piece, rowOf } from './columns.ts'
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
 * Reads a file of columns in a thread of its own: unpacking a row group takes tens of milliseconds
 * in one go, and a damaged file may make it take more memory than there is. Here come rows.
 */
export function columnarReader(format: ColumnarFormat): Reader {
  return (input) => readColumnar(input, format)
}

async function* readColumnar(
  input: Input,
  format: ColumnarFormat
): AsyncGenerator<Iterable<Row>, void> {
  const { path, options } = input
  const { signal } = options
  if (path === undefined) {
    throw unsupported(
      `import of ${format} that is compressed or comes in a stream`,
      'its parts are read where they stand in a file'
    )
  }
  const script = new URL('./columnar-worker.js', import.meta.url)
  const heap = { maxOldGenerationSizeMb: HEAP_MIB[format] }
  const link = new WorkerLink(
    script,
    { path, format },
    () => {},
    () => {},
    heap
  )
  const stop = onAbort(signal, () => void link.terminate())
  try {
    let next = ask(link)
    for (;;) {
      const piece = await next
      if (signal?.aborted) throw aborted(signal, 'import')
      if (piece === undefined) return
      // Unpacked while the rows of this one are taken in.
      next = ask(link)
      input.told(piece.readTo)
      yield rowsOf(piece, input)
    }
  } catch (error) {
    if (signal?.aborted) throw aborted(signal, 'import')
    throw isStoreError(error) ? error : sourceInvalid(input.file ?? path, error)
  } finally {
    stop()
    await link.terminate()
  }
}

function ask(link: WorkerLink): Promise<Piece | undefined> {
  // What the other end answers with, and nothing else: see columnar-worker.ts.
  const asked = link.request(undefined) as Promise<Piece | undefined>
  // Whoever waits for it hears of a failure; nobody does when the import ends before.
  asked.catch(() => undefined)
  return asked
}

function* rowsOf(piece: Piece, { file, options }: Input): Generator<Row, void> {
  const bytes = Math.ceil(piece.bytes / piece.rows)
  for (let i = 0; i < piece.rows; i++) {
    const row = rowOf(piece, i)
    const at = { line: piece.first + i, bytes, file, text: undefined }
    let value: unknown = row
    let fault: string | undefined
    if (options.map === undefined) {
      try {
        value = recordOf(row, piece.isOurs)
      } catch (error) {
        fault = error instanceof Error ? error.message : String(error)
      }
    }
    yield { ...at, value, fault }
  }
}
