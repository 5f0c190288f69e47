import type { ExportOptions } from '../types.ts'
import { ColumnarEncoder } from './columnar.ts'
import { csvWriter } from './csv.ts'
import { jsonLinesWriter } from './json-lines.ts'
import { ntriplesWriter } from './ntriples.ts'
import { TextChunks } from './text-encoder.ts'
import type { Encoder } from './writer.ts'

type ExportFormat = NonNullable<ExportOptions['format']>

/** What writes a format. Asynchronous where a package is loaded for it. */
type Open = (options: ExportOptions, dimensions: number) => Encoder | Promise<Encoder>

const WRITERS: Readonly<Record<ExportFormat, Open>> = {
  jsonl: () => new TextChunks(jsonLinesWriter()),
  csv: () => new TextChunks(csvWriter()),
  ntriples: (options) => new TextChunks(ntriplesWriter(options)),
  parquet: async (_, dimensions) => ColumnarEncoder.open({ format: 'parquet', dimensions }),
  arrow: async (_, dimensions) => ColumnarEncoder.open({ format: 'arrow', dimensions })
}

/**
 * @param dimensions Numbers of each embedding; 0 where the store has none.
 * @throws StoreError `UNSUPPORTED`
 */
export async function openEncoder(options: ExportOptions, dimensions: number): Promise<Encoder> {
  const written = options.vectors === false ? 0 : dimensions
  return WRITERS[options.format ?? 'jsonl'](options, written)
}
