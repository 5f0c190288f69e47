/** Compares what a reader says with what the model says: every question, every answer. */
import { deepStrictEqual as same } from 'node:assert'
import type { Association, Concept, ConceptId, Direction, Reader, Store } from 'sutra-storage'
import type { Model, ModelAssociation, ModelConcept } from './model.ts'

export interface CompareOptions {
  /** `false` where the model does not know the positions, as that of one writer among several. */
  positions?: boolean
  /** `false` asks for no pages, types and cursors: enough after a step. */
  pages?: boolean
  /** Asked for besides some of those that exist: forgotten ones, ones that never were. */
  ids?: readonly ConceptId[]
}

/** Of the many leaves of a hub, so many are asked for themselves. */
const SAMPLE = 20

export async function compareAll(
  reader: Reader,
  model: Model,
  options: CompareOptions = {}
): Promise<void> {
  if (options.positions !== false) same(reader.position, model.head)
  await compareCounts(reader, model)
  await compareLists(reader, model, options)
  const all = [...model.concepts.keys()]
  const sample = all.filter((_, i) => i % Math.ceil(all.length / SAMPLE) === 0)
  await compareConcepts(reader, model, [...(options.ids ?? []), ...sample], options)
}

async function compareCounts(reader: Reader, model: Model): Promise<void> {
  const concepts = [...model.concepts.values()]
  const types: Record<string, number> = {}
  for (const { type } of concepts) if (type !== undefined) types[type] = (types[type] ?? 0) + 1
  same(await reader.counts(), {
    concepts: concepts.length,
    associations: model.associations.size,
    vectors: concepts.filter(({ vector }) => vector !== undefined).length,
    types
  })
}

/** `concepts()` whole, by type, and in pages. */
async function compareLists(reader: Reader, model: Model, options: CompareOptions): Promise<void> {
  const all = [...model.concepts.values()]
  const found = await collect(reader.concepts({ include: ['vector'] }))
  same(
    found.map((one) => toModelConcept(one, options)),
    all.map((one) => expected(one, options))
  )
  const types = new Set(all.map(({ type }) => type).filter((type) => type !== undefined))
  for (const type of types) {
    const ofType = await collect(reader.concepts({ type }))
    same(idsOf(ofType), idsOf(all.filter((one) => one.type === type)))
  }
  const limit = Math.max(1, Math.ceil(all.length / 3))
  const paged: ConceptId[] = []
  for (let page = await pageOf(reader, limit); page.length > 0; ) {
    paged.push(...page)
    page = await pageOf(reader, limit, page.at(-1))
  }
  same(paged, idsOf(all))
}

async function pageOf(reader: Reader, limit: number, after?: string): Promise<ConceptId[]> {
  const page = { limit, ...(after === undefined ? {} : { after }) }
  return idsOf(await collect(reader.concepts(page)))
}

/** Some concepts with all that hangs on them; those that the model lacks must be absent. */
export async function compareConcepts(
  reader: Reader,
  model: Model,
  ids: readonly ConceptId[],
  options: CompareOptions = {}
): Promise<void> {
  const found = await reader.getMany(ids, { include: ['vector'] })
  for (const [i, id] of ids.entries()) {
    const concept = model.concepts.get(id)
    const wanted = concept === undefined ? undefined : expected(concept, options)
    same(await reader.has(id), wanted !== undefined)
    for (const one of [found[i], await reader.get(id, { include: ['vector'] })]) {
      same(one === undefined ? undefined : toModelConcept(one, options), wanted)
    }
    same(await reader.vector(id), concept?.vector)
    for (const direction of ['out', 'in', 'both'] as const) {
      await compareNeighbors(reader, model, id, direction, options)
    }
  }
}

async function compareNeighbors(
  reader: Reader,
  model: Model,
  id: ConceptId,
  direction: Direction,
  options: CompareOptions
): Promise<void> {
  const wanted = model.neighbors(id, direction)
  const found = await reader.neighbors(id, { direction })
  same(
    found.map((one) => toModelAssociation(one, options)),
    wanted.map((one) => expected(one, options))
  )
  for (const { source, target, other } of found) {
    same(other.id, direction === 'in' || (direction === 'both' && source !== id) ? source : target)
    same(other.key, model.concepts.get(other.id)?.key)
  }
  if (found.length === 0 || options.pages === false) return

  const limit = Math.ceil(found.length / 2.5)
  const paged: Association[] = []
  for (let page = await reader.neighbors(id, { direction, limit }); page.length > 0; ) {
    paged.push(...page)
    const after = page.at(-1)?.cursor ?? ''
    page = await reader.neighbors(id, { direction, limit, after })
  }
  same(paged, found)
  same(await collect(reader.associations(id, { direction })), found)

  const types = [found[0]?.type ?? '']
  const minStrength = 0.5
  same(
    await reader.neighbors(id, { direction, types, minStrength }),
    found.filter(({ type, strength }) => types.includes(type) && strength >= minStrength)
  )
  const one = found[found.length >> 1]
  if (one === undefined || direction !== 'out') return
  const { source, target, type, key } = one
  const ref = { source, target, type, ...(key === undefined ? {} : { key }) }
  same(await reader.association(ref), one)
  same(await reader.association({ ...ref, key: 'never used' }), undefined)
}

/** The log against the model's events from `base` on, and every time against the event it is of. */
export async function compareEvents(store: Store, model: Model, base: number): Promise<void> {
  const events = await collect(store.events({ from: base + 1 }))
  same(
    events.map(({ position, type, commit, data }, i) => {
      const names = Object.keys(model.events[i]?.data ?? {})
      const told = Object.fromEntries(names.map((name) => [name, data[name]]))
      return { position, type, commit, data: told }
    }),
    model.events
  )
  const times = new Map(events.map(({ position, time }) => [position, time]))
  for await (const concept of store.concepts()) {
    const { createdPosition, position } = model.concepts.get(concept.id) ?? {}
    same(concept.createdAt, times.get(createdPosition ?? 0))
    same(concept.updatedAt, times.get(position ?? 0))
  }
  const [id] = model.concepts.keys()
  if (id === undefined) return
  const about = await collect(store.events({ from: base + 1, concept: id }))
  same(
    about.map(({ position }) => position),
    model.events
      .filter(({ data }) => [data['id'], data['source'], data['target']].includes(id))
      .map(({ position }) => position)
  )
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

function idsOf(concepts: readonly { id: ConceptId }[]): ConceptId[] {
  return concepts.map(({ id }) => id)
}

function toModelConcept(concept: Concept, options: CompareOptions): unknown {
  const { id, key, type, content, data, strength, confidence, metadata, version } = concept
  const { vector, position } = concept
  same(concept.hasVector, vector !== undefined)
  const fields = { id, key, type, content, data, vector, strength, confidence, metadata, version }
  return options.positions === false ? fields : { ...fields, position }
}

function toModelAssociation(association: Association, options: CompareOptions): unknown {
  const { source, target, type, key, strength, confidence, metadata, version } = association
  const fields = { source, target, type, key, strength, confidence, metadata, version }
  return options.positions === false ? fields : { ...fields, position: association.position }
}

function expected(state: ModelConcept | ModelAssociation, options: CompareOptions): unknown {
  const { createdPosition: _, position, ...fields } = state
  return options.positions === false ? fields : { ...fields, position }
}
