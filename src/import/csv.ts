import { extname } from 'node:path'
import type { CsvImportOptions } from '../types.ts'
import { compileColumns, compileRow, HeaderError, type ToRecord } from './csv-columns.ts'
import { type CsvRecord, CsvRecords } from './csv-records.ts'
import type { Dialect } from './csv-scan.ts'
import { sourceInvalid } from './files.ts'
import type { Input, Row } from './reader.ts'
import { RecordError } from './record.ts'
import { Turns } from './turns.ts'

/**
 * Reads CSV as RFC 4180 describes it: fields may be quoted, and then hold delimiters, newlines and
 * doubled quotes. A row that holds an end of an association is one, any other is a concept.
 */
export async function* readCsv(input: Input): AsyncGenerator<Iterable<Row>, void> {
  const { csv = {} } = input.options
  const table = new Table(input, csv)
  const records = new CsvRecords(dialectOf(input.name, csv))
  const turns = new Turns()
  for await (const chunk of input.chunks()) {
    records.push(chunk)
    yield* groups(records, table, turns)
  }
  records.end()
  yield* groups(records, table, turns)
}

async function* groups(
  records: CsvRecords,
  table: Table,
  turns: Turns
): AsyncGenerator<Iterable<Row>, void> {
  while (records.hasMore) {
    yield table.rows(records.take())
    // A group may have been nothing but blank lines, of which the importer never hears.
    if (turns.step(GROUP_BYTES)) await turns.next()
  }
}

/** More than any group is worth: the clock is looked at after each. */
const GROUP_BYTES = 1024 * 1024

function dialectOf(name: string, { delimiter, quote = '"' }: CsvImportOptions): Dialect {
  const inner = /\.(gz|zst)$/i.test(name) ? name.slice(0, -extname(name).length) : name
  return { delimiter: delimiter ?? (/\.tsv$/i.test(inner) ? '\t' : ','), quote }
}

/** Turns the records of one file into rows, once the columns are known. */
class Table {
  readonly #input: Input
  readonly #options: CsvImportOptions
  #columns: Columns | undefined

  constructor(input: Input, options: CsvImportOptions) {
    this.#input = input
    this.#options = options
    const { header } = options
    if (Array.isArray(header)) this.#columns = this.#compile(header)
  }

  /** @throws StoreError `IMPORT_SOURCE_INVALID` for a header of which no record can be made. */
  *rows(records: Iterable<CsvRecord>): Generator<Row, void> {
    for (const record of records) {
      if (this.#columns === undefined) {
        const isHeader = this.#options.header !== false
        this.#columns = this.#compile(isHeader ? this.#headerOf(record) : numbered(record))
        if (isHeader) continue
      }
      yield this.#row(record, this.#columns)
    }
  }

  #row({ line, bytes, text, fields, fault }: CsvRecord, { count, toRecord }: Columns): Row {
    const { file } = this.#input
    const bad = fields === undefined ? fault : wrongCount(fields.length, count)
    if (fields === undefined || bad !== undefined) {
      return { line, bytes, file, text, value: undefined, fault: bad }
    }
    try {
      return { line, bytes, file, text, value: toRecord(fields), fault: undefined }
    } catch (error) {
      if (!(error instanceof RecordError)) throw error
      return { line, bytes, file, text, value: undefined, fault: error.message }
    }
  }

  #headerOf({ fields, fault }: CsvRecord): readonly string[] {
    if (fields !== undefined) return fields.map((name) => name.trim())
    throw sourceInvalid(this.#input.name, new Error(`the row of its column names: ${fault}`))
  }

  #compile(names: readonly string[]): Columns {
    const { map } = this.#input.options
    try {
      const toRecord = map ? compileRow(names) : compileColumns(names, this.#options)
      return { count: names.length, toRecord }
    } catch (error) {
      if (error instanceof HeaderError) throw sourceInvalid(this.#input.name, error)
      throw error
    }
  }
}

interface Columns {
  count: number
  toRecord: ToRecord
}

function wrongCount(fields: number, columns: number): string | undefined {
  return fields === columns ? undefined : `it has ${fields} fields, not ${columns}`
}

/** Columns without names are counted from 1. */
function numbered({ fields = [] }: CsvRecord): readonly string[] {
  return fields.map((_, i) => String(i + 1))
}
