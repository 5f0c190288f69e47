import type { ImportOptions } from '../types.ts'
import { columnarReader } from './columnar.ts'
import { readCsv } from './csv.ts'
import { readJsonLines } from './jsonl.ts'
import { readTriples } from './ntriples.ts'
import { unsupported } from './options.ts'
import type { Input, JointReader, Reader } from './reader.ts'

export type ImportFormat = NonNullable<ImportOptions['format']>

/** @throws StoreError `UNSUPPORTED` */
export function readerOf(format: ImportFormat): JointReader {
  const reader = JOINT_READERS[format] ?? each(READERS[format])
  if (reader !== undefined) return reader
  throw unsupported(`import of ${format}`, 'this version cannot read it')
}

/** Whether files of this format that follow each other are read as one. */
export function isJoint(format: ImportFormat | undefined): boolean {
  return format !== undefined && JOINT_READERS[format] !== undefined
}

const READERS: Readonly<Partial<Record<ImportFormat, Reader>>> = {
  jsonl: readJsonLines,
  csv: readCsv,
  parquet: columnarReader('parquet'),
  arrow: columnarReader('arrow')
}

const JOINT_READERS: Readonly<Partial<Record<ImportFormat, JointReader>>> = {
  ntriples: readTriples
}

/** Reads one file after the other. */
function each(read: Reader | undefined): JointReader | undefined {
  return (
    read &&
    async function* (inputs: readonly Input[]): ReturnType<JointReader> {
      for (const input of inputs) yield* read(input)
    }
  )
}
