/** What a search must answer: every living vector is compared, ranked and sorted, in plain code. */
import type { Match, NewConcept, ScoreWeights, Store } from 'sutra-storage'
import type { Random } from '../support/random.ts'

export const DIMENSIONS = 4
export const LANGS = ['de', 'en', 'fr', 'sa'] as const
const TYPES = ['thing', 'person'] as const
const HALF_LIFE_MS = 30 * 86_400_000

export interface Known {
  key: string
  vector: readonly number[] | null
  /** Order in which vectors were given: equal distances go by it. */
  revision: number
  type: string
  lang: string
  n: number
  strength: number
  confidence: number
  updatedAt: number
}

export interface OracleQuery {
  vector: readonly number[]
  k: number
  accept?: (known: Known) => boolean
  minSimilarity?: number
  score?: ScoreWeights
  except?: string
}

export interface Expected {
  key: string
  distance: number
  score: number
}

/** A store with what it should hold beside it. */
export class SearchOracle {
  /** Replaced by a copy before each round of changes: a view keeps the one of its time. */
  known = new Map<string, Known>()
  readonly #store: Store
  readonly #random: Random
  #revision = 0
  #next = 1

  constructor(store: Store, random: Random) {
    this.#store = store
    this.#random = random
  }

  /** Small whole numbers: sums of squares are exact, and many are equal. */
  randomVector(): number[] {
    return Array.from({ length: DIMENSIONS }, () => this.#random.below(7) - 3)
  }

  async learn(count: number): Promise<void> {
    const batch: Known[] = []
    for (let i = 0; i < count; i++) batch.push(this.#invent(`c${this.#next++}`))
    for (let at = 0; at < batch.length; at += 100) await this.#put(batch.slice(at, at + 100))
  }

  /** Learns again, revises, reinforces and forgets some of what is there. */
  async change(count: number): Promise<void> {
    this.known = new Map(this.known)
    for (let i = 0; i < count; i++) {
      const one = this.known.get(this.#random.pick([...this.known.keys()]))
      if (one !== undefined) await this.#changeOne(one)
    }
  }

  /** The `k` best of what lives, as an exact search gives them. */
  answer(query: OracleQuery, now: number, known: ReadonlyMap<string, Known>): Expected[] {
    const { vector, k, accept, minSimilarity = Number.NEGATIVE_INFINITY, score, except } = query
    return [...known.values()]
      .filter((one) => one.vector !== null && one.key !== except && accept?.(one) !== false)
      .map((one) => {
        const distance = squared(vector, one.vector ?? [])
        const similarity = 1 / (1 + distance)
        return { one, distance, similarity, score: scoreOf(score, similarity, one, now) }
      })
      .filter(({ similarity }) => similarity >= minSimilarity)
      .sort(
        (a, b) => b.score - a.score || a.distance - b.distance || a.one.revision - b.one.revision
      )
      .slice(0, k)
      .map(({ one, distance, score: ranked }) => ({ key: one.key, distance, score: ranked }))
  }

  #invent(key: string): Known {
    const random = this.#random
    return {
      key,
      vector: random.below(8) === 0 ? null : this.randomVector(),
      revision: 0,
      type: random.pick(TYPES),
      lang: random.pick(LANGS),
      n: random.below(1000),
      strength: random.below(5) / 4,
      confidence: random.below(5) / 4,
      updatedAt: 0
    }
  }

  async #put(batch: readonly Known[]): Promise<void> {
    const commands = batch.map((one) => ({ do: 'learn' as const, ...conceptOf(one) }))
    await this.#store.commit(commands, { durability: 'os' })
    for (const one of batch) await this.#note(one)
  }

  async #changeOne(one: Known): Promise<void> {
    const random = this.#random
    const id = { key: one.key }
    const os = { durability: 'os' } as const
    switch (random.below(5)) {
      case 0:
        await this.#store.forget(id, os)
        this.known.delete(one.key)
        return
      case 1: {
        const vector = random.below(4) === 0 ? null : this.randomVector()
        await this.#store.revise(id, { embedding: vector }, os)
        await this.#note({ ...one, vector, revision: 0 })
        return
      }
      case 2: {
        const lang = random.pick(LANGS)
        await this.#store.revise(id, { metadata: { lang } }, os)
        await this.#note({ ...one, lang })
        return
      }
      case 3: {
        const strength = random.below(5) / 4
        await this.#store.reinforce(id, { strength }, os)
        await this.#note({ ...one, strength })
        return
      }
      default:
        // Forgotten and learned again in the same breath: another ordinal, another vector.
        await this.#store.forget(id, os)
        await this.#put([this.#invent(one.key)])
    }
  }

  async #note(one: Known): Promise<void> {
    const concept = await this.#store.get({ key: one.key })
    const isNew = one.vector !== null && one.revision === 0
    const revision = isNew ? ++this.#revision : one.revision
    this.known.set(one.key, { ...one, revision, updatedAt: concept?.updatedAt ?? 0 })
  }
}

export function shown(matches: readonly Match[]): Expected[] {
  return matches.map(({ key = '', distance = -1, score }) => ({ key, distance, score }))
}

function conceptOf({ key, vector, type, lang, n, strength, confidence }: Known): NewConcept {
  const content = `Concept ${key}`
  const metadata = { lang, n }
  return { id: { key }, type, content, metadata, embedding: vector, strength, confidence }
}

function scoreOf(
  weights: ScoreWeights | undefined,
  similarity: number,
  { strength, confidence, updatedAt }: Known,
  now: number
): number {
  if (weights === undefined) return similarity
  const { recency = 0 } = weights
  const [weight, halfLife] =
    typeof recency === 'number'
      ? [recency, HALF_LIFE_MS]
      : [recency.weight, recency.halfLifeMs ?? HALF_LIFE_MS]
  const parts = [
    [weights.similarity ?? 0, similarity],
    [weights.strength ?? 0, strength],
    [weights.confidence ?? 0, confidence],
    [weight, 0.5 ** ((now - updatedAt) / halfLife)]
  ] as const
  const total = parts.reduce((sum, [part]) => sum + part, 0)
  return parts.reduce((sum, [part, value]) => sum + part * value, 0) / total
}

function squared(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0)
}
