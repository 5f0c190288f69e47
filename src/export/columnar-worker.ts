/** The thread that packs columns into a file, for columnar.ts, which starts it. */
import { workerData } from 'node:worker_threads'
import { runInBackground, serve } from '../storage/worker-link.ts'
import { ArrowColumns } from './arrow.ts'
import type { ColumnarJob } from './columnar.ts'
import type { Columns } from './columns.ts'
import { ParquetColumns } from './parquet.ts'

/** Takes columns in and gives out the bytes of a file as they are complete. */
export interface ColumnarWriter {
  write(columns: Columns): Promise<Uint8Array[]>
  end(): Promise<Uint8Array[]>
}

runInBackground()
// Given by columnar.ts.
const { format, dimensions } = workerData as ColumnarJob
let writer: Promise<ColumnarWriter> | undefined

serve(async (body) => {
  writer ??= format === 'parquet' ? ParquetColumns.open(dimensions) : ArrowColumns.open(dimensions)
  const opened = await writer
  if (body === undefined) return []
  // Sent by columnar.ts, of this version.
  return body === 'end' ? opened.end() : opened.write(body as Columns)
})
