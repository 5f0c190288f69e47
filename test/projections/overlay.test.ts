/**
 * A commit that is taken back leaves no trace in the overlay, whatever it did, and one that was
 * written reads the same once the overlay keeps it as bytes.
 */
import { expect, test } from 'vitest'
import { ConceptId } from '#sutra/ids.js'
import type {
  AssociationChanged,
  AssociationEnd,
  ConceptChanged,
  LogEvent
} from '#sutra/log/event.js'
import { encodeFrame, type LogCommit } from '#sutra/log/frame.js'
import type { WrittenFrame } from '#sutra/log/log.js'
import type { AssociationName } from '#sutra/projections/association-versions.js'
import type { ChangedConcept } from '#sutra/projections/concept-versions.js'
import { Overlay } from '#sutra/projections/overlay.js'
import type { OverlaySegment } from '#sutra/projections/overlay-segment.js'
import {
  type AssociationState,
  type ConceptState,
  foldAssociation,
  foldConcept
} from '#sutra/projections/state.js'
import { Random } from '../support/random.ts'

const KEYS = 12
const COMMITS = 400
const FAR = Number.MAX_SAFE_INTEGER
/** Concepts that a look met as bytes. */
let writtenSeen = 0

test('what is taken back is as it was, and what is kept as bytes reads as it did', () => {
  const random = new Random()
  const overlay = new Overlay(0, new Map())
  const world = new World(random, overlay)

  for (let n = 0; n < COMMITS; n++) {
    const isKept = random.below(2) === 0
    // What the tables hold is let go: what changes then is changed for the first time in a segment.
    if (random.below(6) === 0) overlay.trim(world.position)
    // A look makes what is made only when asked for, which must not outlive what is taken back.
    const before = isKept && random.below(4) > 0 ? undefined : dump(overlay)
    const memory = world.remember()
    overlay.begin(true)
    world.begin()
    for (let i = random.below(6); i >= 0; i--) world.change()
    const looked = random.below(3) === 0 ? dump(overlay) : undefined
    if (isKept) {
      overlay.keep()
      world.write()
      // Two commits in a frame, now and then.
      if (random.below(2) === 0) continue
      overlay.pack(...world.frame())
      if (looked !== undefined) expect(dump(overlay), `seed ${random.seed}`).toEqual(looked)
      continue
    }
    overlay.rollback()
    world.recall(memory)
    expect(dump(overlay), `seed ${random.seed}, commit ${n}`).toEqual(before)
  }
  // Otherwise nothing of the above was looked at.
  expect(world.packed).toBeGreaterThan(10)
  expect(writtenSeen).toBeGreaterThan(10)
  expect(world.packedAssociations).toBeGreaterThan(10)
  expect(world.deaths).toBeGreaterThan(10)
  expect(world.relearned).toBeGreaterThan(10)
})

test('an id leads to the ordinal that it had at a position', () => {
  const overlay = new Overlay(0, new Map())
  const id = idOf(1)
  overlay.begin(false)
  overlay.addConcept(conceptOf(id, 1, 1, 1))
  overlay.forgetConcept(1, { position: 5, version: 2 })
  overlay.addConcept(conceptOf(id, 2, 9, 3))
  overlay.keep()
  const [segment] = overlay.segments

  expect([0, 1, 4, 5, 8, 9, FAR].map((at) => segment?.ordinalAt(id, at))).toEqual([
    undefined,
    1,
    1,
    1,
    1,
    2,
    2
  ])
})

/** Changes the overlay as the writer would, and knows which changes make sense. */
class World {
  deaths = 0
  relearned = 0
  packed = 0
  packedAssociations = 0
  /** Of the commit being made, and those that are kept and in no frame yet. */
  #events: LogEvent[] = []
  #commits: LogCommit[] = []
  #time = 0
  readonly #random: Random
  readonly #overlay: Overlay
  #position = 0
  #ordinal = 0
  #living = new Map<number, number>()
  #ever = new Set<number>()
  #associations = new Set<string>()

  constructor(random: Random, overlay: Overlay) {
    this.#random = random
    this.#overlay = overlay
  }

  get position(): number {
    return this.#position
  }

  remember(): () => void {
    const [position, ordinal] = [this.#position, this.#ordinal]
    const living = new Map(this.#living)
    const [ever, associations] = [new Set(this.#ever), new Set(this.#associations)]
    return () => {
      this.#position = position
      this.#ordinal = ordinal
      this.#living = living
      this.#ever = ever
      this.#associations = associations
    }
  }

  recall(memory: () => void): void {
    memory()
  }

  begin(): void {
    this.#events = []
    this.#time = this.#position + 1
  }

  /** Keeps the commit for the next frame. */
  write(): void {
    const first = this.#position + 1 - this.#events.length
    this.#commits.push({ first, time: this.#time, meta: undefined, events: this.#events })
  }

  /** What was kept since the frame before, written. */
  frame(): [LogCommit[], WrittenFrame] {
    const commits = this.#commits
    this.#commits = []
    const [{ first }] = commits as [LogCommit]
    const events = commits.flatMap((commit) => commit.events)
    this.packed += events.filter(({ type }) => type === 'concept-learned').length
    this.packedAssociations += events.filter(({ type }) => type === 'association-created').length
    const count = events.length
    const header = { format: 2, first, count, time: this.#time, previous: 0 } as const
    const starts = new Uint32Array(count)
    const { value } = encodeFrame(commits, { ...header, storeId: Buffer.alloc(16) }, starts)
    return [commits, { value, first, starts, commits }]
  }

  change(): void {
    const position = ++this.#position
    this.#events.push({ type: 'commit-noted' })
    this.#overlay.addEvent(position, this.#random.below(100) / 7)
    const number = this.#random.below(KEYS)
    const ordinal = this.#living.get(number)
    if (ordinal === undefined) this.#learn(number, position)
    else
      this.#random.pick([this.#revise, this.#forget, this.#associate]).call(this, number, position)
  }

  #learn(number: number, position: number): void {
    // Now and then ordinals are missing, as behind a gap in the log.
    this.#ordinal += this.#random.below(10) === 0 ? 5 : 1
    if (this.#ever.has(number)) this.relearned += 1
    this.#ever.add(number)
    this.#living.set(number, this.#ordinal)
    const event = learnedOf(idOf(number), this.#ordinal, position)
    this.#events[this.#events.length - 1] = event
    this.#overlay.addConcept(foldConcept(undefined, event, { position, time: this.#time }))
  }

  #revise(number: number, position: number): void {
    const ordinal = this.#living.get(number) ?? 0
    this.#overlay.changeConcept(conceptOf(idOf(number), ordinal, position, position))
    this.#overlay.addLateKey()
    this.#overlay.noteCommit(`commit ${position}`, {
      first: position,
      last: position,
      digest: Buffer.alloc(1),
      results: []
    })
  }

  #forget(number: number, position: number): void {
    const ordinal = this.#living.get(number) ?? 0
    this.deaths += 1
    this.#living.delete(number)
    const none = { vectors: 0, typeFrom: undefined, typeTo: undefined, forgotten: ordinal }
    this.#overlay.addDelta({ position, concepts: -1, associations: undefined, ...none })
    this.#overlay.forgetConcept(ordinal, { position, version: position })
  }

  #associate(number: number, position: number): void {
    const [other = number] = this.#random.shuffle([...this.#living.keys()])
    const [source, target] = [this.#end(number), this.#end(other)]
    const key = this.#random.pick(['', 'k'])
    const name = this.#random.pick(['knows', 'sees'])
    const place = `${source.ordinal} ${target.ordinal} ${name} ${key}`
    const isThere = this.#associations.has(place)
    const isRemoved = isThere && this.#random.below(3) === 0
    if (isRemoved) this.#associations.delete(place)
    else this.#associations.add(place)
    const ref = { source, target, name, key }
    if (!isThere) {
      const event = createdOf(ref)
      this.#events[this.#events.length - 1] = event
      const state = foldAssociation(undefined, event, { position, time: this.#time })
      this.#overlay.putAssociation(ref, position, state)
      this.#overlay.addCreated(position)
      return
    }
    const state = isRemoved ? undefined : associationOf(ref, position)
    this.#overlay.putAssociation(ref, position, state)
  }

  #end(number: number): AssociationEnd {
    return { ordinal: this.#living.get(number) ?? 0, id: idOf(number), key: undefined }
  }
}

/** All that can be read from the overlay. That a commit began a new segment is nothing to read. */
function dump(overlay: Overlay): unknown {
  const segments = overlay.segments.filter(({ events }, i) => i === 0 || events > 0)
  return {
    events: overlay.events,
    dead: [...overlay.dead].sort(),
    segments: segments.map((segment) => {
      const { last, events, bytes, lateKeys, deltas, created, learned } = segment
      const concepts = [...segment.concepts.changed()].sort((a, b) => a.ordinal - b.ordinal)
      const ordinals = concepts.map(({ ordinal }) => ordinal)
      for (const concept of concepts) writtenSeen += checkParts(segment, concept)
      // Ends of associations may have been learned in an earlier segment.
      const everyone = Array.from({ length: (ordinals.at(-1) ?? 0) + KEYS }, (_, i) => i + 1)
      return structuredClone({
        ...{ last, events, bytes, lateKeys, deltas, created, learned, concepts },
        size: segment.concepts.size,
        found: ordinals.map((ordinal) => segment.concepts.get(ordinal)),
        types: segment.learnedTypes,
        vectors: segment.learnedVectors,
        tombstones: [...segment.tombstones],
        commits: [...segment.commits.keys()],
        ids: Array.from({ length: KEYS }, (_, n) =>
          [0, last - 3, FAR].map((at) => segment.ordinalAt(idOf(n), at))
        ),
        out: everyone.map((ordinal) => segment.associations.of(ordinal, 'out')),
        in: everyone.map((ordinal) => segment.associations.of(ordinal, 'in')),
        touched: everyone.map((ordinal) => segment.associations.touches(ordinal, 'in')),
        each: everyone.flatMap((ordinal) => eachOf(segment, ordinal))
      })
    })
  }
}

/** What leads out of a concept, looked up one by one. */
function eachOf({ associations }: OverlaySegment, ordinal: number): unknown[] {
  return associations
    .of(ordinal, 'out')
    .map(({ target, name, key }) => associations.find(ordinal, target.ordinal, name, key))
}

/** What is told of a concept without making it is what it is. Asked first: making it keeps it. */
function checkParts({ concepts }: OverlaySegment, { ordinal, first }: ChangedConcept): number {
  const key = concepts.writtenKey(ordinal, FAR)
  const [then, before] = [first, first - 1].map((at) => concepts.writtenKey(ordinal, at))
  const id = key === undefined ? undefined : concepts.idOf(ordinal)
  const state = concepts.get(ordinal)?.state
  if (key === undefined) return 0
  expect({ id, ...key }).toEqual({ id: state?.id, key: state?.key })
  expect(then).toEqual(key)
  expect(before).toBe(undefined)
  return 1
}

function idOf(number: number): ConceptId {
  return ConceptId.fromKey(`${number}`)
}

function conceptOf(
  id: ConceptId,
  ordinal: number,
  position: number,
  version: number
): ConceptState {
  return {
    ...{ id, ordinal, position, version, key: undefined, type: `t${ordinal % 3}` },
    ...{ content: `${position}`, data: undefined, metadata: undefined },
    ...{ strength: 1, confidence: 1, revision: ordinal % 2, vectorPosition: 0 },
    ...{ createdAt: 1, updatedAt: position, stub: false }
  }
}

function learnedOf(id: ConceptId, ordinal: number, position: number): ConceptChanged {
  const vector = { space: 'default', revision: position, bytes: Buffer.alloc(4) }
  const fields: ConceptChanged['fields'] = { type: `t${ordinal % 3}`, content: `${position}` }
  if (ordinal % 2 === 0) fields.vector = vector
  if (ordinal % 3 === 0) fields.key = `key ${ordinal}`
  return { type: 'concept-learned', ordinal, id, version: 1, created: true, fields }
}

function createdOf({ source, target, name, key }: AssociationName): AssociationChanged {
  const fields = source.ordinal % 2 === 0 ? {} : { strength: 0.5, confidence: 0.25 }
  const named = { source, target, name, key: key === '' ? undefined : key }
  return { type: 'association-created', ...named, version: 1, created: true, fields }
}

function associationOf(ref: AssociationName, position: number): AssociationState {
  const at = { createdAt: 1, updatedAt: position, position, version: position }
  return { ...ref, strength: 1, confidence: 1, metadata: undefined, ...at }
}
