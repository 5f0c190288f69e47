/**
 * Resolves one checked command against the newest state, staged commits included, into the event
 * it makes. Everything that a projection would have to look up is looked up here, once. Long since
 * a command is one function here: cut in two, no reader would find its other half.
 */
import { assert } from '../assert.ts'
import { mergeMetadata } from '../checks/metadata.ts'
import { commandOf, type NamedId, type Scope, type ValidRef } from '../checks/values.ts'
import { StoreError } from '../errors.ts'
import type { AssociationEnd, AssociationFields, ConceptFields, LogEvent } from '../log/event.ts'
import type { IdTable } from '../projections/id-table.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import type { Change, CommandResult, IfExists } from '../types.ts'
import type { ValidChanges, ValidCommand, ValidFields } from './valid-command.ts'

/** The newest state, and the numbers that the writer gives out. */
export interface ResolveContext {
  state: Pinned
  ids: IdTable
  /** As `state.association`, but often knows without looking that there is none. */
  newestAssociation(
    source: AssociationEnd,
    target: AssociationEnd,
    name: string,
    key: string
  ): AssociationState | undefined
  /** Whether anybody hears what became of each command. */
  readonly wantsResults: boolean
  nextOrdinal(): number
  nextRevision(): number
}

/** In the place of a result that nobody hears of. */
const UNHEARD: CommandResult = { version: 0, created: true }

export interface Resolved {
  /** `undefined` when the command changes nothing (`ifExists: 'keep'`). */
  event: LogEvent | undefined
  result: CommandResult
}

/**
 * @throws StoreError `CONCEPT_NOT_FOUND`, `CONCEPT_EXISTS`, `ASSOCIATION_NOT_FOUND`,
 *   `ASSOCIATION_EXISTS`, `LIMIT_EXCEEDED` when merged metadata grows too large.
 */
export function resolveCommand(
  context: ResolveContext,
  scope: Scope,
  command: ValidCommand
): Resolved {
  switch (command.do) {
    case 'learn':
      return learn(context, scope, command)
    case 'associate':
      return associate(context, scope, command)
    case 'reinforce':
      return 'concept' in command.target
        ? reinforceConcept(context, scope, command.target.concept, command.changes)
        : reinforceAssociation(context, scope, command.target.association, command.changes)
    case 'revise':
      return 'concept' in command.target
        ? reviseConcept(context, scope, command.target.concept, command.fields)
        : reviseAssociation(context, scope, command.target.association, command.fields)
    case 'forget':
      return forget(context, scope, command.concept)
    case 'dissociate':
      return dissociate(context, scope, command.ref)
    case 'note':
      return { event: command.event, result: UNHEARD }
  }
}

function learn(
  context: ResolveContext,
  scope: Scope,
  command: ValidCommand & { do: 'learn' }
): Resolved {
  const { concept, fields, stub } = command
  const existing = context.state.conceptById(concept.id)
  if (existing === undefined) return create(context, concept, fields, stub)

  const mode = learnMode(existing, command)
  if (mode === 'fail') throw conceptExists(scope, existing)
  const key = concept.key ?? existing.key
  if (mode === 'keep') {
    return { event: undefined, result: conceptResult(existing, existing.version, false, key) }
  }
  const changed =
    mode === 'replace'
      ? replacedFields(context, fields)
      : patchedFields(context, scope, existing, fields)
  if (existing.stub && !stub) changed.stub = false
  if (concept.key !== undefined && existing.key === undefined) changed.key = concept.key
  return change('concept-learned', existing, changed, key)
}

function learnMode(
  existing: ConceptState,
  { stub, ifExists }: ValidCommand & { do: 'learn' }
): IfExists {
  if (existing.stub === stub) return ifExists
  // A stub stands in for a concept that was never learned: learning it overwrites it whole, and
  // what was learned needs nobody to stand in for it.
  if (existing.stub) return 'replace'
  return ifExists === 'fail' ? 'fail' : 'keep'
}

function create(
  context: ResolveContext,
  concept: NamedId,
  fields: ValidFields,
  stub: boolean
): Resolved {
  const { id, key } = concept
  // Versions go on after a forgetting, so that an old expectation never fits a new concept.
  const version = context.state.deadVersion(id) + 1
  const { vector, metadata, data, type, content, strength, confidence } = fields
  const given: ConceptFields = {}
  if (key !== undefined) given.key = key
  if (type != null) given.type = type
  if (content !== undefined) given.content = content
  if (data != null) given.data = data
  if (strength !== undefined) given.strength = strength
  if (confidence !== undefined) given.confidence = confidence
  if (metadata != null) given.metadata = metadata
  if (vector != null) given.vector = eventVector(context, vector)
  if (stub) given.stub = true
  const ordinal = context.nextOrdinal()
  return {
    event: { type: 'concept-learned', ordinal, id, version, created: true, fields: given },
    result: context.wantsResults ? conceptResult(concept, version, true, key) : UNHEARD
  }
}

function reinforceConcept(
  context: ResolveContext,
  scope: Scope,
  name: NamedId,
  changes: ValidChanges
): Resolved {
  const existing = existingConcept(context, scope, name)
  return change('concept-reinforced', existing, applyChanges(existing, changes), existing.key)
}

function reviseConcept(
  context: ResolveContext,
  scope: Scope,
  name: NamedId,
  fields: ValidFields
): Resolved {
  const existing = existingConcept(context, scope, name)
  const changed = patchedFields(context, scope, existing, fields)
  return change('concept-revised', existing, changed, existing.key)
}

function forget(context: ResolveContext, scope: Scope, name: NamedId): Resolved {
  const { ordinal, id, key, version } = existingConcept(context, scope, name)
  const event: LogEvent = { type: 'concept-forgotten', ordinal, id, version: version + 1, key }
  return { event, result: conceptResult({ id }, version + 1, false, key) }
}

function associate(
  context: ResolveContext,
  scope: Scope,
  command: ValidCommand & { do: 'associate' }
): Resolved {
  const { ref, fields } = command
  const source = endOf(context, scope, ref.source)
  const target = endOf(context, scope, ref.target)
  const existing = context.newestAssociation(source, target, ref.name, ref.key ?? '')
  if (existing === undefined) {
    const { metadata, strength, confidence } = fields
    const given: AssociationFields = {}
    if (strength !== undefined) given.strength = strength
    if (confidence !== undefined) given.confidence = confidence
    if (metadata != null) given.metadata = metadata
    const event: LogEvent = {
      type: 'association-created',
      source,
      target,
      name: ref.name,
      key: ref.key,
      version: 1,
      created: true,
      fields: given
    }
    return { event, result: context.wantsResults ? associationResult(ref, 1, true) : UNHEARD }
  }
  if (command.ifExists === 'fail') throw associationExists(scope, ref, existing.version)
  if (command.ifExists === 'keep') {
    return { event: undefined, result: associationResult(ref, existing.version, false) }
  }
  const changed =
    command.ifExists === 'replace'
      ? {
          strength: fields.strength ?? 1,
          confidence: fields.confidence ?? 1,
          metadata: fields.metadata ?? null
        }
      : patchedAssociation(scope, existing, fields)
  return changeAssociation('association-created', ref, existing, changed)
}

function reinforceAssociation(
  context: ResolveContext,
  scope: Scope,
  ref: ValidRef,
  changes: ValidChanges
): Resolved {
  const existing = existingAssociation(context, scope, ref)
  const changed = applyChanges(existing, changes)
  return changeAssociation('association-reinforced', ref, existing, changed)
}

function reviseAssociation(
  context: ResolveContext,
  scope: Scope,
  ref: ValidRef,
  fields: ValidFields
): Resolved {
  const existing = existingAssociation(context, scope, ref)
  const changed = patchedAssociation(scope, existing, fields)
  return changeAssociation('association-revised', ref, existing, changed)
}

function dissociate(context: ResolveContext, scope: Scope, ref: ValidRef): Resolved {
  const { source, target, name, key, version } = existingAssociation(context, scope, ref)
  const event: LogEvent = {
    type: 'association-removed',
    source,
    target,
    name,
    key,
    version: version + 1
  }
  return { event, result: associationResult(ref, version + 1, false) }
}

function change(
  type: 'concept-learned' | 'concept-reinforced' | 'concept-revised',
  existing: ConceptState,
  fields: ConceptFields,
  key: string | undefined
): Resolved {
  const { ordinal, id } = existing
  const version = existing.version + 1
  return {
    event: { type, ordinal, id, version, created: false, fields },
    result: conceptResult(existing, version, false, key)
  }
}

function changeAssociation(
  type: 'association-created' | 'association-reinforced' | 'association-revised',
  ref: ValidRef,
  existing: AssociationState,
  fields: Pick<ConceptFields, 'strength' | 'confidence' | 'metadata'>
): Resolved {
  const { source, target, name, key } = existing
  const version = existing.version + 1
  return {
    event: { type, source, target, name, key, version, created: false, fields },
    result: associationResult(ref, version, false)
  }
}

/** Absent keeps, `null` clears, metadata is merged. Values are the resulting ones. */
function patchedFields(
  context: ResolveContext,
  scope: Scope,
  existing: ConceptState,
  fields: ValidFields
): ConceptFields {
  const { vector, metadata, ...rest } = fields
  const changed: ConceptFields = rest
  if (vector !== undefined) {
    changed.vector = vector === null ? null : eventVector(context, vector)
  }
  if (metadata !== undefined) changed.metadata = patched(scope, existing.metadata, metadata)
  return changed
}

function replacedFields(context: ResolveContext, fields: ValidFields): ConceptFields {
  return {
    content: fields.content ?? '',
    type: fields.type ?? null,
    data: fields.data ?? null,
    strength: fields.strength ?? 1,
    confidence: fields.confidence ?? 1,
    metadata: fields.metadata ?? null,
    vector: fields.vector == null ? null : eventVector(context, fields.vector)
  }
}

function patchedAssociation(
  scope: Scope,
  existing: AssociationState,
  fields: ValidFields
): Pick<ConceptFields, 'strength' | 'confidence' | 'metadata'> {
  const { strength, confidence, metadata } = fields
  return {
    ...(strength === undefined ? {} : { strength }),
    ...(confidence === undefined ? {} : { confidence }),
    ...(metadata === undefined ? {} : { metadata: patched(scope, existing.metadata, metadata) })
  }
}

function patched(
  scope: Scope,
  existing: Uint8Array | undefined,
  patch: Buffer | null
): Uint8Array | null {
  return patch === null ? null : mergeMetadata(scope, existing, patch)
}

function applyChanges(
  existing: { strength: number; confidence: number },
  changes: ValidChanges
): { strength?: number; confidence?: number } {
  const { strength, confidence } = changes
  return {
    ...(strength === undefined ? {} : { strength: applyChange(existing.strength, strength) }),
    ...(confidence === undefined
      ? {}
      : { confidence: applyChange(existing.confidence, confidence) })
  }
}

function applyChange(value: number, by: Change): number {
  return typeof by === 'number' ? by : Math.min(1, Math.max(0, value + by.by))
}

function eventVector(
  context: ResolveContext,
  vector: Float32Array
): NonNullable<ConceptFields['vector']> {
  const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
  return { space: 'default', revision: context.nextRevision(), bytes }
}

/** The end of an association, from the id table alone where that is enough. */
function endOf(context: ResolveContext, scope: Scope, name: NamedId): AssociationEnd {
  const known = context.ids.find(name.id)
  if (known?.isAlive === true && (!known.hasKey || name.key !== undefined)) {
    return { ordinal: known.ordinal, id: name.id, key: known.hasKey ? name.key : undefined }
  }
  const { ordinal, id, key } = existingConcept(context, scope, name)
  return { ordinal, id, key }
}

function existingConcept(context: ResolveContext, scope: Scope, name: NamedId): ConceptState {
  const existing = context.state.conceptById(name.id)
  if (existing === undefined) throw conceptNotFound(scope, name)
  return existing
}

/** @throws StoreError `ASSOCIATION_NOT_FOUND`, also when an end of it is missing. */
function existingAssociation(
  context: ResolveContext,
  scope: Scope,
  ref: ValidRef
): AssociationState {
  const existing = findAssociation(context.state, ref)
  if (existing === undefined) throw associationNotFound(scope, ref)
  assert(existing.name === ref.name, 'the association that was asked for')
  return existing
}

export function findAssociation(state: Pinned, ref: ValidRef): AssociationState | undefined {
  const source = state.conceptById(ref.source.id)
  const target = state.conceptById(ref.target.id)
  if (source === undefined || target === undefined) return undefined
  return state.association(source, target, ref.name, ref.key ?? '')
}

function conceptResult(
  { id }: { id: ConceptState['id'] },
  version: number,
  created: boolean,
  key: string | undefined
): CommandResult {
  return key === undefined ? { id, version, created } : { id, key, version, created }
}

function associationResult({ key }: ValidRef, version: number, created: boolean): CommandResult {
  return key === undefined ? { version, created } : { key, version, created }
}

function conceptNotFound(scope: Scope, name: NamedId): StoreError<'CONCEPT_NOT_FOUND'> {
  const shown = name.key === undefined ? name.id : `${name.id} (key '${name.key}')`
  return new StoreError('CONCEPT_NOT_FOUND', `There is no concept ${shown}`, {
    ...commandOf(scope),
    id: name.id,
    ...(name.key === undefined ? {} : { key: name.key })
  })
}

function conceptExists(scope: Scope, existing: ConceptState): StoreError<'CONCEPT_EXISTS'> {
  const { id, version } = existing
  const message = `The concept ${id} exists, at version ${version}`
  return new StoreError('CONCEPT_EXISTS', message, { ...commandOf(scope), id, version })
}

function associationNotFound(scope: Scope, ref: ValidRef): StoreError<'ASSOCIATION_NOT_FOUND'> {
  const details = refDetails(scope, ref)
  const message = `There is no association '${ref.name}' from ${details.source} to ${details.target}`
  return new StoreError('ASSOCIATION_NOT_FOUND', message, details)
}

function associationExists(
  scope: Scope,
  ref: ValidRef,
  version: number
): StoreError<'ASSOCIATION_EXISTS'> {
  const details = { ...refDetails(scope, ref), version }
  const message = `The association '${ref.name}' from ${details.source} to ${details.target} exists`
  return new StoreError('ASSOCIATION_EXISTS', message, details)
}

interface RefDetails {
  command?: number
  source: string
  target: string
  type: string
  key?: string
}

function refDetails(scope: Scope, ref: ValidRef): RefDetails {
  return {
    ...commandOf(scope),
    source: ref.source.id,
    target: ref.target.id,
    type: ref.name,
    ...(ref.key === undefined ? {} : { key: ref.key })
  }
}
