/** The thread that unpacks a file of columns, piece by piece as it is asked. */
import { workerData } from 'node:worker_threads'
import { runInBackground, serve } from '../storage/worker-link.ts'
import { readArrow } from './arrow.ts'
import type { ColumnarFormat } from './columnar.ts'
import type { Piece } from './columns.ts'
import { readParquet } from './parquet.ts'

runInBackground()
keepMarks()
// Given by columnar.ts, which starts this thread.
const { path, format, isExact } = workerData as {
  path: string
  format: ColumnarFormat
  isExact: boolean
}
const slices = format === 'parquet' ? readParquet(path, isExact) : readArrow(path)
let first = 1

serve(async (): Promise<Piece | undefined> => {
  const { value: slice } = await slices.next()
  if (slice === undefined) return undefined
  const piece = { first, ...slice }
  first += slice.rows
  return piece
})

/**
 * The packages read texts with decoders of their own, which drop a U+FEFF at the start of each as
 * a byte order mark. They make them when they are loaded, later, and nothing else runs in this thread.
 */
function keepMarks(): void {
  globalThis.TextDecoder = class extends TextDecoder {
    constructor(encoding?: string, options?: ConstructorParameters<typeof TextDecoder>[1]) {
      super(encoding, { ignoreBOM: true, ...options })
    }
  }
}
