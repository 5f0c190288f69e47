/** Associations of one side of a concept, as far as walking a graph needs them. */
import type { Side } from './keys.ts'

/** One of them; the rest of it is not read. */
export interface Link {
  /** Ordinals of its two ends. */
  readonly source: number
  readonly target: number
  /** The end that is not the concept whose associations were asked for. */
  readonly other: number
  /** Its type. */
  readonly name: string
  readonly key: string | undefined
  readonly strength: number
  readonly confidence: number
}

/** As measured on filled caches. */
const LINKS_BYTES = 100
const COLUMN_BYTES = 50
const CELL_BYTES = 9
const TEXT_BYTES = 24

/**
 * Links in columns: of a hundred that a search meets, ninety lead to where it has been. So it looks at
 * numbers, and makes an object of those alone that its paths are made of.
 */
export class Links {
  /** Whose associations they are. */
  readonly #ordinal: number
  readonly #side: Side
  /** Where they lead, in order. */
  readonly others: readonly number[]
  readonly #names: readonly string[]
  /** `undefined` for the three below: as most are, without a key and with a strength of 1. */
  readonly #keys: readonly (string | undefined)[] | undefined
  readonly #strengths: readonly number[] | undefined
  readonly #confidences: readonly number[] | undefined

  constructor(ordinal: number, side: Side, links: readonly Link[]) {
    this.#ordinal = ordinal
    this.#side = side
    this.others = links.map(({ other }) => other)
    this.#names = links.map(({ name }) => name)
    this.#keys = unlessAll(
      undefined,
      links.map(({ key }) => key)
    )
    this.#strengths = unlessAll(
      1,
      links.map(({ strength }) => strength)
    )
    this.#confidences = unlessAll(
      1,
      links.map(({ confidence }) => confidence)
    )
  }

  get count(): number {
    return this.others.length
  }

  /** What they take in memory, about. */
  get bytes(): number {
    const given = [this.#keys, this.#strengths, this.#confidences].filter(
      (one) => one !== undefined
    )
    const columns = 2 + given.length
    let bytes = LINKS_BYTES + columns * (COLUMN_BYTES + this.count * CELL_BYTES)
    for (const key of this.#keys ?? []) bytes += key === undefined ? 0 : TEXT_BYTES + key.length
    // Each page makes its names anew; those of a type stand in a row.
    for (const [i, name] of this.#names.entries()) {
      if (name !== this.#names[i - 1]) bytes += TEXT_BYTES + name.length
    }
    return bytes
  }

  nameAt(index: number): string {
    return this.#names[index] ?? ''
  }

  strengthAt(index: number): number {
    return this.#strengths === undefined ? 1 : (this.#strengths[index] ?? 1)
  }

  confidenceAt(index: number): number {
    return this.#confidences === undefined ? 1 : (this.#confidences[index] ?? 1)
  }

  at(index: number): Link {
    const other = this.others[index] ?? 0
    const isOut = this.#side === 'out'
    return {
      source: isOut ? this.#ordinal : other,
      target: isOut ? other : this.#ordinal,
      other,
      name: this.nameAt(index),
      key: this.#keys?.[index],
      strength: this.strengthAt(index),
      confidence: this.confidenceAt(index)
    }
  }

  /** Those that lead to where they may; itself where all do. */
  leadingTo(isWanted: (ordinal: number) => boolean): Links {
    if (this.others.every(isWanted)) return this
    const links = this.others.map((_, index) => this.at(index))
    const wanted = links.filter(({ other }) => isWanted(other))
    return new Links(this.#ordinal, this.#side, wanted)
  }
}

function unlessAll<T>(usual: T, column: readonly T[]): readonly T[] | undefined {
  return column.every((one) => one === usual) ? undefined : column
}
