/**
 * What a store means, without any of its machinery: maps that commits change. Written from the
 * documented API alone, so that it and the store can only agree by both being right.
 */
import {
  type AssociationRef,
  type Change,
  type Command,
  type CommandResult,
  type CommitOptions,
  ConceptId,
  type Direction,
  type Expectation,
  type IdInput,
  type StoreErrorCode
} from 'sutra-storage'

interface Facts {
  strength: number
  confidence: number
  metadata: object
  version: number
  /** Of the event that made it, and of the one that made this version. */
  createdPosition: number
  position: number
}

export interface ModelConcept extends Facts {
  id: ConceptId
  key: string | undefined
  type: string | undefined
  content: string
  data: Uint8Array | undefined
  vector: Float32Array | undefined
}

export interface ModelAssociation extends Facts {
  source: ConceptId
  target: ConceptId
  type: string
  key: string | undefined
}

export interface ModelEvent {
  position: number
  type: string
  commit: { first: number; last: number }
  data: Record<string, unknown>
}

export interface ModelReceipt {
  outcome: 'appended' | 'duplicate'
  first: number
  last: number
  results: CommandResult[]
}

/** A refusal, by the code that the store must refuse with too. */
export class Refused extends Error {
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode) {
    super(code)
    this.code = code
  }
}

type Given = Partial<Pick<Facts, 'strength' | 'confidence'>> & { metadata?: object | null }

export class Model {
  head: number
  /** In the order in which they were learned. States are replaced, never changed. */
  concepts: Map<ConceptId, ModelConcept> = new Map()
  associations: Map<string, ModelAssociation> = new Map()
  readonly events: ModelEvent[] = []
  readonly #dimensions: number | undefined
  #deadVersions: Map<ConceptId, number> = new Map()
  #keyed: Map<string, { commands: string; receipt: ModelReceipt }> = new Map()

  constructor(head = 0, dimensions?: number) {
    this.head = head
    this.#dimensions = dimensions
  }

  /** The state as it is now; whatever is committed later does not reach it. */
  clone(): Model {
    const copy = new Model(this.head, this.#dimensions)
    copy.concepts = new Map(this.concepts)
    copy.associations = new Map(this.associations)
    copy.#deadVersions = new Map(this.#deadVersions)
    copy.#keyed = new Map(this.#keyed)
    copy.events.push(...this.events)
    return copy
  }

  /**
   * All of the commands or, when it throws, none.
   *
   * @throws Refused
   */
  commit(commands: readonly Command[], options: CommitOptions = {}): ModelReceipt {
    for (const command of commands) this.#validate(command)
    const { idempotencyKey, expect = [] } = options
    const text = JSON.stringify(commands)
    const earlier = idempotencyKey === undefined ? undefined : this.#keyed.get(idempotencyKey)
    if (earlier !== undefined) {
      if (earlier.commands !== text) throw new Refused('IDEMPOTENCY_CONFLICT')
      return { ...earlier.receipt, outcome: 'duplicate' }
    }
    for (const one of expect) {
      if (this.versionOf(one) !== wanted(one)) throw new Refused('EXPECTATION_FAILED')
    }
    const before = this.clone()
    const first = this.head + 1
    try {
      const results = commands.map((command) => this.#apply(command))
      // A key is remembered even if nothing changed, by an event of its own.
      if (this.head < first && idempotencyKey !== undefined) this.#emit('commit-noted', {})
      const last = this.head
      for (const event of this.events) if (event.position >= first) event.commit = { first, last }
      const receipt: ModelReceipt = { outcome: 'appended', first, last, results }
      if (idempotencyKey !== undefined) {
        this.#keyed.set(idempotencyKey, { commands: text, receipt })
      }
      return receipt
    } catch (error) {
      this.head = before.head
      this.concepts = before.concepts
      this.associations = before.associations
      this.#deadVersions = before.#deadVersions
      this.events.length = before.events.length
      throw error
    }
  }

  /** What an expectation is compared with: 0 for what is not there. */
  versionOf(one: Expectation): number {
    if ('head' in one) return this.head
    if ('concept' in one) return this.concepts.get(idOf(one.concept))?.version ?? 0
    return this.associations.get(refKey(one.association))?.version ?? 0
  }

  /** In order: type, other end's id, key; of the same, the leaving one first. A loop once. */
  neighbors(id: ConceptId, direction: Direction): ModelAssociation[] {
    const found: { order: Buffer; one: ModelAssociation }[] = []
    for (const one of this.associations.values()) {
      const { source, target, type, key = '' } = one
      const leaves = source === id && direction !== 'in'
      const enters = target === id && direction !== 'out'
      if (!leaves && !enters) continue
      // Types and keys hold no NUL, so their bytes in a row sort as they do one by one.
      const parts = [type, leaves ? target : source, key, leaves ? '1' : '2']
      found.push({ order: Buffer.from(parts.join('\0')), one })
    }
    return found.sort((a, b) => Buffer.compare(a.order, b.order)).map(({ one }) => one)
  }

  #validate(command: Command): void {
    const numbers = command as { strength?: Change; confidence?: Change }
    for (const value of [numbers.strength, numbers.confidence]) {
      if (typeof value === 'number' && (value < 0 || value > 1))
        throw new Refused('COMMAND_INVALID')
    }
    const { embedding } = command as { embedding?: Float32Array | null }
    if (embedding == null) return
    if (this.#dimensions === undefined) throw new Refused('VECTORS_NOT_DECLARED')
    if (embedding.length !== this.#dimensions) throw new Refused('VECTOR_DIMENSION_MISMATCH')
  }

  #apply(command: Command): CommandResult {
    switch (command.do) {
      case 'learn':
        return this.#learn(command)
      case 'associate':
        return this.#associate(command)
      case 'forget': {
        const { id, key, version } = this.#concept(command.id)
        this.concepts.delete(id)
        this.#deadVersions.set(id, version + 1)
        for (const [at, { source, target }] of this.associations) {
          if (source === id || target === id) this.associations.delete(at)
        }
        this.#emit('concept-forgotten', { id, version: version + 1, ...keyed(key) })
        return { id, ...keyed(key), version: version + 1, created: false }
      }
      case 'dissociate': {
        const { source, target, type, key, version } = this.#association(command)
        this.associations.delete(refKey(command))
        const ref = { source, target, type, ...keyed(key), version: version + 1 }
        this.#emit('association-removed', ref)
        return { ...keyed(key), version: version + 1, created: false }
      }
      case 'reinforce': {
        const { strength, confidence } = command
        const change = <T extends Facts>(old: T): T => ({
          ...old,
          strength: changed(old.strength, strength),
          confidence: changed(old.confidence, confidence)
        })
        if (isRef(command.target)) {
          const old = this.#association(command.target)
          return this.#putAssociation('association-reinforced', change(old), false)
        }
        return this.#putConcept('concept-reinforced', change(this.#concept(command.target)), false)
      }
      case 'revise': {
        const { target, do: _, ...patch } = command
        if (isRef(target)) {
          const old = this.#association(target)
          return this.#putAssociation('association-revised', merged(old, patch), false)
        }
        const old = this.#concept(target)
        return this.#putConcept('concept-revised', mergedConcept(old, patch), false)
      }
    }
  }

  #learn(command: Command & { do: 'learn' }): CommandResult {
    const { id: given, ifExists = 'merge', do: _, ...fields } = command
    const id = given === undefined ? ConceptId.fromContent(fields.content) : idOf(given)
    const key = typeof given === 'object' ? given.key : undefined
    const old = this.concepts.get(id)
    const blank: ModelConcept = {
      ...{ id, key: old?.key ?? key, type: undefined, content: '', data: undefined },
      ...{ vector: undefined, strength: 1, confidence: 1, metadata: {} },
      version: old?.version ?? this.#deadVersions.get(id) ?? 0,
      createdPosition: old?.createdPosition ?? this.head + 1,
      position: 0
    }
    if (old !== undefined && ifExists === 'fail') throw new Refused('CONCEPT_EXISTS')
    if (old !== undefined && ifExists === 'keep') {
      return { id, ...keyed(blank.key), version: old.version, created: false }
    }
    const isMerge = old !== undefined && ifExists === 'merge'
    const next = isMerge
      ? mergedConcept({ ...old, key: blank.key }, fields)
      : // Nothing to merge with: metadata is taken as it was given.
        { ...mergedConcept(blank, fields), metadata: fields.metadata ?? {} }
    return this.#putConcept('concept-learned', next, old === undefined)
  }

  #associate(command: Command & { do: 'associate' }): CommandResult {
    const { ifExists = 'merge', do: _, ...given } = command
    const source = this.#concept(given.source).id
    const target = this.#concept(given.target).id
    const { type, key } = given
    const old = this.associations.get(refKey(given))
    const blank: ModelAssociation = {
      ...{ source, target, type, key, strength: 1, confidence: 1, metadata: {} },
      version: old?.version ?? 0,
      createdPosition: old?.createdPosition ?? this.head + 1,
      position: 0
    }
    if (old !== undefined && ifExists === 'fail') throw new Refused('ASSOCIATION_EXISTS')
    if (old !== undefined && ifExists === 'keep') {
      return { ...keyed(key), version: old.version, created: false }
    }
    const isMerge = old !== undefined && ifExists === 'merge'
    const next = isMerge
      ? merged(old, given)
      : { ...merged(blank, given), metadata: given.metadata ?? {} }
    return this.#putAssociation('association-created', next, old === undefined)
  }

  #putConcept(type: string, given: ModelConcept, created: boolean): CommandResult {
    const { id, key } = given
    const version = given.version + 1
    const position = this.#emit(type, { id, version, created })
    this.concepts.set(id, { ...given, version, position })
    return { id, ...keyed(key), version, created }
  }

  #putAssociation(name: string, given: ModelAssociation, created: boolean): CommandResult {
    const { source, target, type, key } = given
    const version = given.version + 1
    const position = this.#emit(name, { source, target, type, ...keyed(key), version, created })
    this.associations.set(refKey(given), { ...given, version, position })
    return { ...keyed(key), version, created }
  }

  #emit(type: string, data: Record<string, unknown>): number {
    this.head += 1
    this.events.push({ position: this.head, type, commit: { first: 0, last: 0 }, data })
    return this.head
  }

  #concept(id: IdInput): ModelConcept {
    const found = this.concepts.get(idOf(id))
    if (found === undefined) throw new Refused('CONCEPT_NOT_FOUND')
    return found
  }

  #association(ref: AssociationRef): ModelAssociation {
    const found = this.associations.get(refKey(ref))
    if (found === undefined) throw new Refused('ASSOCIATION_NOT_FOUND')
    return found
  }
}

export function idOf(id: IdInput): ConceptId {
  return typeof id === 'string' ? id : ConceptId.fromKey(id.key)
}

/** The concepts that a command names. */
export function idsIn(command: Command): ConceptId[] {
  switch (command.do) {
    case 'learn':
      return [command.id === undefined ? ConceptId.fromContent(command.content) : idOf(command.id)]
    case 'forget':
      return [idOf(command.id)]
    case 'associate':
    case 'dissociate':
      return [idOf(command.source), idOf(command.target)]
    case 'reinforce':
    case 'revise': {
      const { target } = command
      if (typeof target === 'string' || !('source' in target)) return [idOf(target)]
      return [idOf(target.source), idOf(target.target)]
    }
  }
}

type Ends = Pick<AssociationRef, 'source' | 'target' | 'type'> & { key?: string | undefined }

function refKey({ source, target, type, key }: Ends): string {
  return JSON.stringify([idOf(source), idOf(target), type, key ?? null])
}

function isRef(target: IdInput | AssociationRef): target is AssociationRef {
  return typeof target === 'object' && 'source' in target
}

function wanted(one: Expectation): number {
  return 'head' in one ? one.head : one.version
}

function keyed(key: string | undefined): { key?: string } {
  return key === undefined ? {} : { key }
}

function changed(value: number, change: Change | undefined): number {
  if (change === undefined) return value
  return typeof change === 'number' ? change : Math.min(1, Math.max(0, value + change.by))
}

/** Absent keeps, `null` clears, metadata is a JSON merge patch. */
function merged<T extends Facts>(old: T, given: Given): T {
  return {
    ...old,
    strength: given.strength ?? old.strength,
    confidence: given.confidence ?? old.confidence,
    metadata: given.metadata === null ? {} : mergePatch(old.metadata, given.metadata ?? {})
  }
}

function mergedConcept(
  old: ModelConcept,
  given: Given & {
    type?: string | null
    content?: string
    data?: Uint8Array | null
    embedding?: Float32Array | readonly number[] | null
  }
): ModelConcept {
  const { type, content, data, embedding } = given
  const vector = embedding == null ? undefined : Float32Array.from(embedding)
  return {
    ...merged(old, given),
    type: type === undefined ? old.type : (type ?? undefined),
    content: content ?? old.content,
    data: data === undefined ? old.data : (data ?? undefined),
    vector: embedding === undefined ? old.vector : vector
  }
}

/** RFC 7396. */
function mergePatch(target: unknown, patch: object): object {
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target)
  const result: Record<string, unknown> = isObject ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else if (typeof value === 'object' && !Array.isArray(value)) {
      result[name] = mergePatch(result[name], value)
    } else result[name] = value
  }
  return result
}
