/** A commit that is taken back leaves no trace in the overlay, whatever it did. */
import { expect, test } from 'vitest'
import { ConceptId } from '#sutra/ids.js'
import type { AssociationEnd } from '#sutra/log/event.js'
import { Overlay } from '#sutra/projections/overlay.js'
import type { AssociationState, ConceptState } from '#sutra/projections/state.js'
import { Random } from '../support/random.ts'

const KEYS = 12
const COMMITS = 400
const FAR = Number.MAX_SAFE_INTEGER

test('what is taken back is as it was', () => {
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
    for (let i = random.below(6); i >= 0; i--) world.change()
    if (random.below(3) === 0) dump(overlay)
    if (isKept) {
      overlay.keep()
      continue
    }
    overlay.rollback()
    world.recall(memory)
    expect(dump(overlay), `seed ${random.seed}, commit ${n}`).toEqual(before)
  }
  // Otherwise nothing of the above was looked at.
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

  change(): void {
    const position = ++this.#position
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
    this.#overlay.addConcept(conceptOf(idOf(number), this.#ordinal, position, 1))
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
    const place = `${source.ordinal} ${target.ordinal} ${key}`
    const isThere = this.#associations.has(place)
    const isRemoved = isThere && this.#random.below(3) === 0
    if (isRemoved) this.#associations.delete(place)
    else this.#associations.add(place)
    const state = isRemoved ? undefined : associationOf(source, target, key, position)
    this.#overlay.putAssociation({ source, target, name: 'knows', key }, position, state)
    if (!isThere) this.#overlay.addCreated(position)
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
      const concepts = [...segment.concepts].sort(([a], [b]) => a - b)
      const ordinals = concepts.map(([ordinal]) => ordinal)
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
        out: ordinals.map((ordinal) => segment.adjacency(ordinal, 'out')),
        in: ordinals.map((ordinal) => segment.adjacency(ordinal, 'in'))
      })
    })
  }
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

function associationOf(
  source: AssociationEnd,
  target: AssociationEnd,
  key: string,
  position: number
): AssociationState {
  const at = { createdAt: 1, updatedAt: position, position, version: position }
  const values = { strength: 1, confidence: 1, metadata: undefined }
  return { source, target, name: 'knows', key, ...values, ...at }
}
