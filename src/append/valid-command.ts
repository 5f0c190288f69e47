/** Turns what a caller asked for into checked commands that share no memory with it. */

import { encodeMetadata } from '../checks/metadata.ts'
import {
  checkBytes,
  checkFields,
  checkId,
  checkName,
  checkRef,
  checkText,
  checkUnit,
  invalid,
  limitExceeded,
  type NamedId,
  type Scope,
  type ValidRef,
  wrongType
} from '../checks/values.ts'
import { checkVector, type VectorShape } from '../checks/vector.ts'
import { ConceptId } from '../ids.ts'
import type { EventQuarantined, EventReleased } from '../log/event.ts'
import type { Limits } from '../options.ts'
import type { AssociationRef, Change, Command, IfExists } from '../types.ts'

/** Absent keeps, `null` clears. */
export interface ValidFields {
  type?: string | null
  content?: string
  data?: Buffer | null
  metadata?: Buffer | null
  vector?: Float32Array | null
  strength?: number
  confidence?: number
}

export type ValidTarget = { concept: NamedId } | { association: ValidRef }

export interface ValidChanges {
  strength?: Change
  confidence?: Change
}

export type ValidCommand =
  | { do: 'learn'; concept: NamedId; fields: ValidFields; ifExists: IfExists; stub: boolean }
  | { do: 'associate'; ref: ValidRef; fields: ValidFields; ifExists: IfExists }
  | { do: 'reinforce'; target: ValidTarget; changes: ValidChanges }
  | { do: 'revise'; target: ValidTarget; fields: ValidFields }
  | { do: 'forget'; concept: NamedId }
  | { do: 'dissociate'; ref: ValidRef }
  // Of the store itself: what becomes of an event that a subscription could not handle.
  | { do: 'note'; event: NotedEvent }

export type NotedEvent = EventQuarantined | EventReleased

export interface Checked {
  command: ValidCommand
  /** What it takes, with those before it. */
  bytes: number
}

export interface CheckContext {
  limits: Readonly<Limits>
  vectors: VectorShape | undefined
}

const IF_EXISTS: readonly unknown[] = ['merge', 'replace', 'keep', 'fail']
const REF_FIELDS = ['source', 'target', 'type', 'key']
const CONCEPT_FIELDS = ['type', 'content', 'data', 'metadata', 'embedding']
const UNIT_FIELDS = ['strength', 'confidence']
const LEARN_FIELDS: readonly string[] = [
  'do',
  'id',
  'ifExists',
  'stub',
  ...CONCEPT_FIELDS,
  ...UNIT_FIELDS
]
const ASSOCIATE_FIELDS = ['do', 'metadata', 'ifExists', ...REF_FIELDS, ...UNIT_FIELDS]

/**
 * Checks one command.
 *
 * @throws StoreError `COMMAND_INVALID`, `LIMIT_EXCEEDED`, `ID_INVALID`, `METADATA_INVALID`,
 *   `VECTOR_INVALID`, `VECTOR_DIMENSION_MISMATCH`, `VECTORS_NOT_DECLARED`; TypeError.
 */
function checkCommand(context: CheckContext, scope: Scope, value: Command): ValidCommand {
  if (typeof value !== 'object' || value === null) throw wrongType('command', 'an object', value)
  switch (value.do) {
    case 'learn': {
      checkFields(scope, value, LEARN_FIELDS)
      const stub = checkStub(value.stub)
      // Only what stands in for something unknown may have nothing to say; it is not embedded.
      const isEmpty = stub && value.content === ''
      const given = isEmpty ? { ...value, content: undefined } : value
      const fields = checkConceptFields(scope, given, context.vectors)
      const content = isEmpty && value.id !== undefined ? '' : fields.content
      if (content === undefined) throw wrongType('content', 'a string', value.content)
      const concept =
        value.id === undefined
          ? { id: ConceptId.fromContent(content), key: undefined }
          : checkId(scope, value.id)
      const ifExists = checkIfExists(scope, value.ifExists)
      return { do: 'learn', concept, fields, ifExists, stub }
    }
    case 'associate': {
      checkFields(scope, value, ASSOCIATE_FIELDS)
      const ifExists = checkIfExists(scope, value.ifExists)
      const fields = checkCommonFields(scope, value)
      return { do: 'associate', ref: checkRef(scope, value), fields, ifExists }
    }
    case 'reinforce': {
      checkFields(scope, value, ['do', 'target', ...UNIT_FIELDS])
      const target = checkTarget(scope, value.target)
      return { do: 'reinforce', target, changes: checkChanges(scope, value) }
    }
    case 'revise': {
      checkFields(scope, value, ['do', 'target', ...CONCEPT_FIELDS])
      const target = checkTarget(scope, value.target)
      if ('association' in target) checkFields(scope, value, ['do', 'target', 'metadata'])
      const fields = checkConceptFields(scope, value, context.vectors)
      if (Object.keys(fields).length === 0) throw invalid(scope, 'patch', {}, 'not empty')
      return { do: 'revise', target, fields }
    }
    case 'forget':
      checkFields(scope, value, ['do', 'id'])
      return { do: 'forget', concept: checkId(scope, value.id) }
    case 'dissociate':
      checkFields(scope, value, ['do', ...REF_FIELDS])
      return { do: 'dissociate', ref: checkRef(scope, value) }
    default: {
      const unknown: { do?: unknown } = value
      throw invalid(scope, 'do', unknown.do, 'the name of a command')
    }
  }
}

/** About what a command takes in the log. A lower bound is enough: frames are bounded again. */
export function commandBytes(command: ValidCommand): number {
  const fixed = 64
  switch (command.do) {
    case 'learn':
      return fixed + nameBytes(command.concept) + fieldBytes(command.fields)
    case 'associate':
      return 2 * fixed + refBytes(command.ref) + fieldBytes(command.fields)
    case 'revise':
      return fixed + fieldBytes(command.fields)
    case 'reinforce':
    case 'forget':
    case 'dissociate':
      return 2 * fixed
    case 'note':
      return 2 * fixed + ('error' in command.event ? Buffer.byteLength(command.event.error) : 0)
  }
}

function nameBytes(name: NamedId): number {
  return name.key === undefined ? 0 : Buffer.byteLength(name.key)
}

function refBytes({ source, target, name, key }: ValidRef): number {
  return nameBytes(source) + nameBytes(target) + name.length + (key?.length ?? 0)
}

function fieldBytes(fields: ValidFields): number {
  const content = fields.content === undefined ? 0 : Buffer.byteLength(fields.content)
  const blobs = (fields.data?.length ?? 0) + (fields.metadata?.length ?? 0)
  return content + blobs + (fields.vector?.byteLength ?? 0) + (fields.type?.length ?? 0)
}

function checkConceptFields(
  scope: Scope,
  value: {
    type?: unknown
    content?: unknown
    data?: unknown
    metadata?: unknown
    embedding?: unknown
    strength?: unknown
    confidence?: unknown
  },
  vectors: VectorShape | undefined
): ValidFields {
  const { contentBytes } = scope.limits
  const fields = checkCommonFields(scope, value)
  if (value.type !== undefined) {
    fields.type = value.type === null ? null : checkName(scope, 'type', value.type)
  }
  if (value.content !== undefined) {
    fields.content = checkText(scope, 'content', value.content, contentBytes, 'contentBytes')
    if (fields.content === '') throw invalid(scope, 'content', '', 'not empty')
  }
  if (value.data !== undefined) {
    fields.data = value.data === null ? null : checkBytes(scope, 'data', value.data, contentBytes)
  }
  if (value.embedding !== undefined) {
    fields.vector = value.embedding === null ? null : checkVector(scope, value.embedding, vectors)
  }
  return fields
}

/** What concepts and associations have in common. */
function checkCommonFields(
  scope: Scope,
  value: { strength?: unknown; confidence?: unknown; metadata?: unknown }
): ValidFields {
  const { strength, confidence, metadata } = value
  const fields: ValidFields = {}
  if (strength !== undefined) fields.strength = checkUnit(scope, 'strength', strength)
  if (confidence !== undefined) fields.confidence = checkUnit(scope, 'confidence', confidence)
  if (metadata !== undefined) {
    fields.metadata = metadata === null ? null : encodeMetadata(scope, metadata)
  }
  return fields
}

function checkStub(value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true
  throw wrongType('stub', 'true or false', value)
}

function checkTarget(scope: Scope, value: unknown): ValidTarget {
  if (typeof value === 'object' && value !== null && 'source' in value) {
    checkFields(scope, value, REF_FIELDS)
    return { association: checkRef(scope, value as AssociationRef) }
  }
  // `checkId` refuses whatever is neither an id nor a key.
  return { concept: checkId(scope, value as ConceptId) }
}

function checkChanges(
  scope: Scope,
  value: { strength?: unknown; confidence?: unknown }
): ValidChanges {
  const changes: ValidChanges = {}
  if (value.strength !== undefined) {
    changes.strength = checkChange(scope, 'strength', value.strength)
  }
  if (value.confidence !== undefined) {
    changes.confidence = checkChange(scope, 'confidence', value.confidence)
  }
  if (Object.keys(changes).length === 0) {
    throw invalid(scope, 'strength', undefined, 'given, or confidence')
  }
  return changes
}

function checkChange(scope: Scope, field: string, value: unknown): Change {
  if (typeof value !== 'object' || value === null) return checkUnit(scope, field, value)
  checkFields(scope, value, ['by'])
  const { by } = value as { by?: unknown }
  if (typeof by !== 'number') throw wrongType(`${field}.by`, 'a number', by)
  if (!Number.isFinite(by)) throw invalid(scope, `${field}.by`, by, 'a finite number')
  return { by }
}

function checkIfExists(scope: Scope, value: unknown): IfExists {
  if (value === undefined) return 'merge'
  // The list is the proof that the value has the narrower type.
  if (IF_EXISTS.includes(value)) return value as IfExists
  throw invalid(scope, 'ifExists', value, IF_EXISTS.join(', '))
}

/** @throws StoreError `LIMIT_EXCEEDED` for too many commands or bytes. */
export function checkCommit(
  context: CheckContext,
  values: readonly Command[],
  extraBytes = 0
): { commands: ValidCommand[]; bytes: number } {
  const scope: Scope = { command: undefined, limits: context.limits }
  if (!Array.isArray(values)) throw wrongType('commands', 'an array', values)
  const { commitCommands, commitBytes } = context.limits
  if (values.length === 0) throw invalid(scope, 'commands', 0, 'at least one')
  if (values.length > commitCommands) {
    throw limitExceeded(scope, 'commitCommands', values.length, commitCommands)
  }
  let bytes = extraBytes
  const commands: ValidCommand[] = []
  for (const [index, value] of values.entries()) {
    const command = checkNumbered(context, value as Command, index, values.length)
    bytes += commandBytes(command)
    // Checked after each command: nothing is held beyond the limit and one command.
    if (bytes > commitBytes) throw limitExceeded(scope, 'commitBytes', bytes, commitBytes)
    commands.push(command)
  }
  return { commands, bytes }
}

/** Says which command it was also where its types are wrong. */
function checkNumbered(
  context: CheckContext,
  value: Command,
  index: number,
  of: number
): ValidCommand {
  try {
    return checkCommand(context, { command: index, limits: context.limits }, value)
  } catch (error) {
    if (!(error instanceof TypeError) || of === 1) throw error
    throw new TypeError(`Command ${index}: ${error.message}`, { cause: error })
  }
}

/**
 * Checks one command of a commit of which bad ones are left out, as if it stood there alone.
 *
 * @param bytes What those before it take.
 * @throws What `checkCommit` throws.
 */
export function checkAlone(context: CheckContext, value: Command, bytes: number): Checked {
  const command = checkCommand(context, { command: 0, limits: context.limits }, value)
  const total = bytes + commandBytes(command)
  const { commitBytes } = context.limits
  if (total > commitBytes) {
    const scope: Scope = { command: undefined, limits: context.limits }
    throw limitExceeded(scope, 'commitBytes', total, commitBytes)
  }
  return { command, bytes: total }
}
