/** The versions of associations in a segment of the overlay, by their ends. */
import { assert } from '../assert.ts'
import type { AssociationEnd } from '../log/event.ts'
import type { WrittenFrame } from '../log/log.ts'
import { compareSortKeys, type SortKey } from './order.ts'
import { type AssociationState, foldAssociation } from './state.ts'
import type { Side } from './tables/keys.ts'
import type { Version } from './version.ts'
import { WrittenFrames } from './written-frames.ts'

/** An association, with its newest version in the same object and older ones behind it. */
export interface AssociationChain extends Version<AssociationState> {
  source: AssociationEnd
  target: AssociationEnd
  name: string
  key: string
}

export type AssociationName = Pick<AssociationChain, 'source' | 'target' | 'name' | 'key'>

const NONE = -1

/** Entries of one side: the last one of each concept, and for each entry the one before it. */
interface SideEntries {
  readonly lasts: Map<number, number>
  readonly befores: number[]
}

/**
 * A hundred thousand of them wait for the tables during an import. Once they are written they are numbers
 * in lists, and no objects, which the collector would copy twice: see `ConceptVersions`.
 */
export class AssociationVersions {
  /** The newest version, or for what was created and written the number of the event in its frame. */
  readonly #chains: (AssociationChain | number)[] = []
  readonly #sources: number[] = []
  readonly #targets: number[] = []
  /** By the hash of both ends and the key: the last entry, and for each entry the one before it. */
  readonly #lasts = new Map<number, number>()
  readonly #befores: number[] = []
  readonly #sides: Readonly<Record<Side, SideEntries>> = {
    out: { lasts: new Map(), befores: [] },
    in: { lasts: new Map(), befores: [] }
  }
  readonly #frames = new WrittenFrames()
  /** Entries before this one are packed, or have changed and stay what they are. */
  #looked = 0
  /** Made once for as long as nothing changes: a hub is not sorted again for every read. */
  readonly #sorted: Readonly<Record<Side, Map<number, readonly AssociationChain[]>>> = {
    out: new Map(),
    in: new Map()
  }

  find(source: number, target: number, name: string, key: string): AssociationChain | undefined {
    const entry = this.#entryOf(source, target, name, key)
    return entry === NONE ? undefined : this.#chainOf(entry)
  }

  /** Adds a version; `undefined`: it was removed. @returns The entry, for `takeBack`. */
  put(ref: AssociationName, position: number, state: AssociationState | undefined): number {
    const { source, target, name, key } = ref
    const known = this.#entryOf(source.ordinal, target.ordinal, name, key)
    this.#forgetSorted(source.ordinal, target.ordinal)
    if (known === NONE)
      return this.#add({ source, target, name, key, position, state, previous: undefined })
    const chain = this.#chainOf(known)
    chain.previous = { position: chain.position, state: chain.state, previous: chain.previous }
    chain.position = position
    chain.state = state
    return known
  }

  /** Takes back the newest version. What was put last goes first. */
  takeBack(entry: number): void {
    const chain = this.#chains[entry]
    assert(typeof chain === 'object', 'what is staged is no bytes yet')
    const [source, target] = [chain.source.ordinal, chain.target.ordinal]
    this.#forgetSorted(source, target)
    if (chain.previous !== undefined) {
      Object.assign(chain, chain.previous)
      return
    }
    assert(entry === this.#chains.length - 1, 'what was added last is taken back first')
    removeLast(this.#lasts, this.#befores, hashOf(source, target, chain.key))
    removeLast(this.#sides.out.lasts, this.#sides.out.befores, source)
    removeLast(this.#sides.in.lasts, this.#sides.in.befores, target)
    this.#chains.pop()
    this.#sources.pop()
    this.#targets.pop()
  }

  /** Whether there are any of a concept. */
  touches(ordinal: number, side: Side): boolean {
    return this.#sides[side].lasts.has(ordinal)
  }

  /** Those of one side, in the order of their sort keys. */
  of(ordinal: number, side: Side): readonly AssociationChain[] {
    const { lasts, befores } = this.#sides[side]
    let entry = lasts.get(ordinal) ?? NONE
    if (entry === NONE) return []
    const known = this.#sorted[side].get(ordinal)
    if (known !== undefined) return known
    const chains: AssociationChain[] = []
    for (; entry !== NONE; entry = befores[entry] ?? NONE) chains.push(this.#chainOf(entry))
    // In the order in which they came, which sorting keeps where keys are the same.
    chains.reverse()
    chains.sort((a, b) => compareSortKeys(chainSortKey(a, side), chainSortKey(b, side)))
    this.#sorted[side].set(ordinal, chains)
    return chains
  }

  /** Lets go of an association that was created at this position, unless it has changed since. */
  pack(position: number, frame: WrittenFrame): void {
    const chains = this.#chains
    for (; this.#looked < chains.length; this.#looked++) {
      const chain = chains[this.#looked]
      // Entries are in the order of the positions that they began at.
      if (typeof chain !== 'object' || chain.previous !== undefined) continue
      if (chain.position > position) return
      if (chain.position < position) continue
      chains[this.#looked] = this.#frames.add(this.#looked, position, frame)
      this.#forgetSorted(chain.source.ordinal, chain.target.ordinal)
    }
  }

  #add(chain: AssociationChain): number {
    const [source, target] = [chain.source.ordinal, chain.target.ordinal]
    const entry = this.#chains.push(chain) - 1
    this.#sources.push(source)
    this.#targets.push(target)
    append(this.#lasts, this.#befores, hashOf(source, target, chain.key), entry)
    append(this.#sides.out.lasts, this.#sides.out.befores, source, entry)
    append(this.#sides.in.lasts, this.#sides.in.befores, target, entry)
    return entry
  }

  #entryOf(source: number, target: number, name: string, key: string): number {
    let entry = this.#lasts.get(hashOf(source, target, key)) ?? NONE
    for (; entry !== NONE; entry = this.#befores[entry] ?? NONE) {
      if (this.#sources[entry] !== source || this.#targets[entry] !== target) continue
      const chain = this.#chainOf(entry)
      if (chain.name === name && chain.key === key) return entry
    }
    return NONE
  }

  /** Made of bytes at most once: what is asked for is asked for again. */
  #chainOf(entry: number): AssociationChain {
    const found = this.#chains[entry]
    assert(found !== undefined, 'an entry has a chain')
    if (typeof found === 'object') return found
    const made = this.#unpack(entry, found)
    this.#chains[entry] = made
    return made
  }

  #unpack(entry: number, found: number): AssociationChain {
    const { event, at } = this.#frames.event(entry, found)
    assert(event.type === 'association-created', 'a packed association was created')
    const { source, target, name, key = '' } = event
    const state = foldAssociation(undefined, event, at)
    return { source, target, name, key, position: at.position, state, previous: undefined }
  }

  #forgetSorted(source: number, target: number): void {
    this.#sorted.out.delete(source)
    this.#sorted.in.delete(target)
  }
}

/** The sort key of an association, seen from the end that `side` leaves. */
export function chainSortKey(chain: AssociationName, side: Side): SortKey {
  const other = side === 'out' ? chain.target : chain.source
  return { name: chain.name, otherId: other.id, key: chain.key }
}

function append(lasts: Map<number, number>, befores: number[], of: number, entry: number): void {
  befores.push(lasts.get(of) ?? NONE)
  lasts.set(of, entry)
}

function removeLast(lasts: Map<number, number>, befores: number[], of: number): void {
  const before = befores.pop() ?? NONE
  if (before === NONE) lasts.delete(of)
  else lasts.set(of, before)
}

/**
 * A small integer, which costs a map no memory beside its slot. Types are left out: parallel
 * associations are few, unless they differ in their keys.
 */
function hashOf(source: number, target: number, key: string): number {
  let hash = Math.imul(source, 0x9e3779b1) ^ Math.imul(target ^ 0x5bd1e995, 0x85ebca77)
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) >> 2
}
