import { ConceptId, type IdInput } from '../ids.ts'
import type { Command, IfExists, NewAssociation, NewConcept } from '../types.ts'

/**
 * Turns one record into a command. Checks its shape, so that a misspelt field is never dropped
 * silently; what the values must be beyond their JSON type, the commit checks.
 *
 * @throws RecordError with the reason, StoreError `ID_INVALID` for a malformed id.
 */
export function toCommand(record: unknown, ifExists: IfExists | undefined): Command {
  if (!isPlainObject(record)) throw new RecordError(`a record is an object, not ${kindOf(record)}`)
  switch (record['kind']) {
    case 'concept':
      return toLearn(record, ifExists)
    case 'association':
      return toAssociate(record, ifExists)
    default:
      throw new RecordError(`kind must be 'concept' or 'association', not ${show(record['kind'])}`)
  }
}

/** A record of the wrong shape. Its message is the reason that the report gives. */
export class RecordError extends Error {
  override readonly name = 'RecordError'
}

type Fields = Record<string, unknown>

function toLearn(record: Fields, ifExists: IfExists | undefined): Command {
  const concept: { do: 'learn' } & Partial<NewConcept> = { do: 'learn' }
  for (const field of Object.keys(record)) {
    const value = record[field]
    if (value === undefined) continue
    switch (field) {
      case 'kind':
        break
      case 'id':
      case 'key':
        if (concept.id !== undefined) throw new RecordError('id and key exclude each other')
        concept.id = toId(field, value)
        break
      case 'content':
        concept.content = text(field, value)
        break
      case 'type':
        concept.type = value === null ? null : text(field, value)
        break
      case 'data':
        concept.data = value === null ? null : toBytes(value)
        break
      case 'metadata':
        concept.metadata = toMetadata(value)
        break
      case 'embedding':
        concept.embedding = toEmbedding(value)
        break
      case 'strength':
      case 'confidence':
        concept[field] = number(field, value)
        break
      case 'stub':
        concept.stub = flag(field, value)
        break
      default:
        throw new RecordError(`a concept has no field '${field}'`)
    }
  }
  if (concept.stub === true) concept.content ??= ''
  if (concept.content === undefined) throw new RecordError('content is missing')
  if (ifExists !== undefined) concept.ifExists = ifExists
  // What a concept must have was just checked; a copy of each would only please the compiler.
  return concept as Command
}

function toAssociate(record: Fields, ifExists: IfExists | undefined): Command {
  const association: { do: 'associate' } & Partial<NewAssociation> = { do: 'associate' }
  for (const field of Object.keys(record)) {
    const value = record[field]
    if (value === undefined) continue
    switch (field) {
      case 'kind':
        break
      case 'source':
      case 'sourceKey':
        if (association.source) throw new RecordError('source and sourceKey exclude each other')
        association.source = toId(field, value)
        break
      case 'target':
      case 'targetKey':
        if (association.target) throw new RecordError('target and targetKey exclude each other')
        association.target = toId(field, value)
        break
      case 'type':
      case 'key':
        association[field] = text(field, value)
        break
      case 'strength':
      case 'confidence':
        association[field] = number(field, value)
        break
      case 'metadata':
        association.metadata = toMetadata(value)
        break
      default:
        throw new RecordError(`an association has no field '${field}'`)
    }
  }
  if (!association.source) throw new RecordError('source or sourceKey is missing')
  if (!association.target) throw new RecordError('target or targetKey is missing')
  if (association.type === undefined) throw new RecordError('type is missing')
  if (ifExists !== undefined) association.ifExists = ifExists
  // As above: checked just now.
  return association as Command
}

function toId(field: string, value: unknown): IdInput {
  const given = text(field, value)
  return field === 'key' || field.endsWith('Key') ? { key: given } : ConceptId.fromHex(given)
}

function text(field: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new RecordError(`${field} must be a string, not ${kindOf(value)}`)
}

function number(field: string, value: unknown): number {
  if (typeof value === 'number') return value
  throw new RecordError(`${field} must be a number, not ${kindOf(value)}`)
}

function flag(field: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new RecordError(`${field} must be true or false, not ${kindOf(value)}`)
}

function toMetadata(value: unknown): object | null {
  if (value === null || isPlainObject(value)) return value
  throw new RecordError(`metadata must be an object or null, not ${kindOf(value)}`)
}

function toEmbedding(value: unknown): Float32Array | number[] | null {
  if (value === null || value instanceof Float32Array) return value
  // The numbers themselves are checked by the commit, which copies them anyway.
  if (Array.isArray(value)) return value
  throw new RecordError(`embedding must be an array of numbers or null, not ${kindOf(value)}`)
}

function toBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  const given = text('data', value)
  const bytes = Buffer.from(given, 'base64')
  // Node skips what is not base64, so only a round trip shows that nothing was skipped.
  if (bytes.toString('base64') !== given) throw new RecordError('data is not base64')
  return bytes
}

function isPlainObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return value === undefined ? 'nothing' : `a ${typeof value}`.replace('a o', 'an o')
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 40)}'` : kindOf(value)
}
