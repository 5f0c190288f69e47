import { floatText } from './float-text.ts'
import type { AssociationRow, ConceptRow, TextWriter } from './writer.ts'

/** In the order in which the values of a row stand below. */
const COLUMNS: readonly string[] = [
  'kind',
  'id',
  'key',
  'type',
  'content',
  'data',
  'strength',
  'confidence',
  'metadata',
  'embedding',
  'stub',
  'source',
  'sourceKey',
  'target',
  'targetKey'
]

/**
 * One table of concepts and associations, with the columns that an import takes. What is the
 * default is left empty.
 */
export function csvWriter(): TextWriter {
  return {
    head: () => `${COLUMNS.join(',')}\n`,
    concept: conceptLine,
    association: associationLine,
    tail: () => ''
  }
}

function conceptLine(row: ConceptRow): string {
  const { key, data } = row
  const id = key === undefined ? row.id : ''
  const named = `concept,${id},${quoted(key)},${quoted(row.type)},${quoted(row.content)}`
  // Data of no bytes would be an empty field, which is none.
  const bytes = data === undefined ? '' : toBuffer(data).toString('base64') || 'base64:'
  const stub = row.stub ? 'true' : ''
  return `${named},${bytes},${common(row)},${numbers(row.embedding)},${stub},,,,\n`
}

function associationLine(row: AssociationRow): string {
  const { source, target } = row
  const named = `association,,${quoted(row.key)},${quoted(row.type)},,,${common(row)},,`
  const [from, to] = [source, target].map(({ id, key }) =>
    key === undefined ? `${id},` : `,${quoted(key)}`
  )
  return `${named},${from},${to}\n`
}

function common({ strength, confidence, metadata }: ConceptRow | AssociationRow): string {
  const json = metadata === undefined ? '' : quoted(JSON.stringify(metadata))
  return `${strength === 1 ? '' : strength},${confidence === 1 ? '' : confidence},${json}`
}

function numbers(embedding: Float32Array | null | undefined): string {
  if (embedding === undefined) return ''
  return embedding === null ? 'null' : Array.from(embedding, floatText).join(' ')
}

/** Text that a reader of CSV gives back as it was. */
function quoted(text: string | undefined): string {
  if (text === undefined) return ''
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
