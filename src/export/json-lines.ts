import { floatsText } from './float-text.ts'
import type { AssociationRow, ConceptRow, ExportEnd, TextWriter } from './writer.ts'

/** One record a line, with the fields that an import takes. What is the default is left out. */
export function jsonLinesWriter(): TextWriter {
  return {
    head: () => '',
    concept: conceptLine,
    association: associationLine,
    tail: () => ''
  }
}

/** Put together by hand: an object for each record would cost as much again. */
function conceptLine(row: ConceptRow): string {
  const { type, data, embedding } = row
  let line = '{"kind":"concept",'
  line += row.key === undefined ? `"id":"${row.id}"` : `"key":${JSON.stringify(row.key)}`
  if (type !== undefined) line += `,"type":${JSON.stringify(type)}`
  if (row.stub) line += ',"stub":true'
  line += `,"content":${JSON.stringify(row.content)}`
  if (data !== undefined) line += `,"data":"${toBuffer(data).toString('base64')}"`
  line += common(row)
  if (embedding === null) line += ',"embedding":null'
  else if (embedding !== undefined) line += `,"embedding":[${floatsText(embedding)}]`
  return `${line}}\n`
}

function associationLine(row: AssociationRow): string {
  let line = '{"kind":"association",'
  line += `${end('source', row.source)},${end('target', row.target)}`
  line += `,"type":${JSON.stringify(row.type)}`
  if (row.key !== undefined) line += `,"key":${JSON.stringify(row.key)}`
  return `${line}${common(row)}}\n`
}

function end(name: string, { id, key }: ExportEnd): string {
  return key === undefined ? `"${name}":"${id}"` : `"${name}Key":${JSON.stringify(key)}`
}

function common({ strength, confidence, metadata }: ConceptRow | AssociationRow): string {
  let text = ''
  if (strength !== 1) text += `,"strength":${strength}`
  if (confidence !== 1) text += `,"confidence":${confidence}`
  if (metadata !== undefined) text += `,"metadata":${JSON.stringify(metadata)}`
  return text
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
