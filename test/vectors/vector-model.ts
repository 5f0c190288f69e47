/** What vectors a store must have at each position, and what a search must find there. */
import { type Command, ConceptId, type IdInput, type Match } from 'sutra-storage'
import { expect } from 'vitest'
import { type Metric, similarityOf } from './clusters.ts'

const TOLERANCE = 1e-5

/** Concepts by key; `undefined`: it has no vector. */
export type Concepts = ReadonlyMap<string, Float32Array | undefined>

interface Committed {
  last: number
  commands: readonly Command[]
}

export class VectorModel {
  readonly #commits: Committed[] = []
  #base: { last: number; concepts: Concepts } = { last: 0, concepts: new Map() }

  /** Commits are told in the order of their positions. */
  committed(commands: readonly Command[], last: number): void {
    const before = this.#commits.at(-1)?.last ?? this.#base.last
    expect(last, 'commits take their positions in the order of their calls').toBeGreaterThan(before)
    this.#commits.push({ last, commands })
  }

  /** @param position Not before one that was forgotten. */
  at(position: number): Concepts {
    const concepts = new Map(this.#base.concepts)
    for (const { last, commands } of this.#commits) {
      if (last > position) break
      for (const command of commands) applyTo(concepts, command)
    }
    return concepts
  }

  /** No view reads what was before this position any more. */
  forget(position: number): void {
    const concepts = this.at(position)
    const later = this.#commits.findIndex(({ last }) => last > position)
    this.#commits.splice(0, later === -1 ? this.#commits.length : later)
    this.#base = { last: position, concepts }
  }
}

export function applyTo(concepts: Map<string, Float32Array | undefined>, command: Command): void {
  switch (command.do) {
    case 'learn':
    case 'revise': {
      const { embedding } = command
      const key = keyOf(command.do === 'learn' ? command.id : command.target)
      if (embedding === undefined) concepts.set(key, concepts.get(key))
      else concepts.set(key, embedding === null ? undefined : Float32Array.from(embedding))
      return
    }
    case 'forget':
      concepts.delete(keyOf(command.id))
      return
    case 'associate':
    case 'dissociate':
    case 'reinforce':
      return
  }
}

export interface Asked {
  query: Float32Array
  k: number
  metric: Metric
}

/** The matches of an exact search: those of brute force, but for the order of equals. */
export function expectExact(matches: readonly Match[], concepts: Concepts, asked: Asked): void {
  const best = bestOf(concepts, asked)
  expect(matches.length, 'as many as there are').toBe(best.length)
  expectLive(matches, concepts, asked)
  for (const [at, { similarity = Number.NaN }] of matches.entries()) {
    expect(Math.abs(similarity - (best[at]?.similarity ?? Number.NaN))).toBeLessThan(TOLERANCE)
  }
}

/** What was found is there, with the vector it has at that position. Returns the recall. */
export function recallOf(matches: readonly Match[], concepts: Concepts, asked: Asked): number {
  const best = bestOf(concepts, asked)
  expect(matches.length, 'as many as there are').toBe(best.length)
  expectLive(matches, concepts, asked)
  const least = (best.at(-1)?.similarity ?? 0) - TOLERANCE
  return matches.filter(({ similarity = 0 }) => similarity >= least).length / (best.length || 1)
}

function expectLive(matches: readonly Match[], concepts: Concepts, { query, metric }: Asked): void {
  expect(new Set(matches.map(({ id }) => id)).size, 'each once').toBe(matches.length)
  let before = Number.POSITIVE_INFINITY
  for (const { id, key = '', similarity = Number.NaN } of matches) {
    const vector = concepts.get(key)
    if (vector === undefined) throw new Error(`'${key}' was found and has no vector`)
    expect(id).toBe(ConceptId.fromKey(key))
    const expected = similarityOf(query, vector, metric)
    expect(Math.abs(similarity - expected), `similarity of ${key}`).toBeLessThan(TOLERANCE)
    expect(similarity, 'best first').toBeLessThanOrEqual(before)
    before = similarity
  }
}

function bestOf(
  concepts: Concepts,
  { query, k, metric }: Asked
): { key: string; similarity: number }[] {
  const all: { key: string; similarity: number }[] = []
  for (const [key, vector] of concepts) {
    if (vector !== undefined) all.push({ key, similarity: similarityOf(query, vector, metric) })
  }
  return all.sort((a, b) => b.similarity - a.similarity).slice(0, k)
}

function keyOf(id: IdInput | undefined | object): string {
  if (typeof id === 'object' && 'key' in id && typeof id.key === 'string') return id.key
  throw new Error('The commands of these tests name keys')
}
