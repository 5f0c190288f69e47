/**
 * The overlay: acknowledged events that the tables do not hold yet, folded, by position.
 *
 * It is a short list of segments in log order. Each keeps every version of what its events
 * changed, newest first, so that a view pins a state by holding the list of segments and a
 * position, which costs nothing. When the tables have caught up with a segment, the overlay lets
 * it go; views that still hold it keep it alive.
 *
 * The writer stages events here before their frame is written, with the positions they will get.
 * Readers never look beyond the head, so they do not see what is staged.
 */
import type { ConceptId } from '../ids.ts'
import {
  type AssociationChain,
  type CountDelta,
  type NotedCommit,
  OverlaySegment,
  type Tombstone
} from './overlay-segment.ts'
import type { AssociationState, ConceptState } from './state.ts'

/**
 * Events after which the next commit begins a new segment: few, so that what the tables hold is let
 * go while it is young; more when the tables are behind, so that reads look into few segments.
 */
const SEGMENT_EVENTS = 512
const LARGE_SEGMENT_EVENTS = 4096
const SMALL_SEGMENTS = 8

type Undo = () => void

export class Overlay {
  /** Replaced, never changed, when a segment comes or goes: whoever holds the list keeps it. */
  #segments: readonly OverlaySegment[]
  #current: OverlaySegment
  /** Concepts forgotten whose associations may still be stored, by ordinal: when they died. */
  #dead: Map<number, number>
  /** Those of them whose associations the tables have erased. */
  readonly #swept: Set<number> = new Set()
  #undo: Undo[] | undefined
  #isStaging = false

  constructor(checkpoint: number, dead: Map<number, number>) {
    this.#current = new OverlaySegment(checkpoint + 1)
    this.#segments = [this.#current]
    this.#dead = dead
  }

  get segments(): readonly OverlaySegment[] {
    return this.#segments
  }

  get dead(): ReadonlyMap<number, number> {
    return this.#dead
  }

  get events(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.events, 0)
  }

  /** Begins a commit. Until `keep`, `rollback` takes every change back if that was asked for. */
  begin(mayRollBack: boolean): void {
    const isBehind = this.#segments.length > SMALL_SEGMENTS
    if (this.#current.events >= (isBehind ? LARGE_SEGMENT_EVENTS : SEGMENT_EVENTS)) {
      this.#current = new OverlaySegment(this.#current.last + 1)
      this.#segments = [...this.#segments, this.#current]
    }
    this.#undo = mayRollBack ? [] : undefined
    this.#isStaging = true
  }

  keep(): void {
    this.#undo = undefined
    this.#isStaging = false
  }

  rollback(): void {
    const undo = this.#undo ?? []
    this.#undo = undefined
    this.#isStaging = false
    for (let i = undo.length - 1; i >= 0; i--) undo[i]?.()
  }

  /** Lets go of what the tables hold at this checkpoint. Views keep the segments they pinned. */
  trim(checkpoint: number): void {
    const current = this.#current
    // The newest segment goes too once it is projected whole, or reads would look there forever.
    if (current.events > 0 && current.last <= checkpoint && !this.#isStaging) {
      this.#current = new OverlaySegment(current.last + 1)
      this.#segments = [this.#current]
      this.#bury()
      return
    }
    const projected = this.#segments.filter(
      (segment) => segment !== current && segment.last <= checkpoint
    )
    if (projected.length === 0) return
    this.#segments = this.#segments.slice(projected.length)
    this.#bury()
  }

  /** Counts one more event of the commit being staged. */
  addEvent(position: number, bytes: number): void {
    const segment = this.#current
    const { last } = segment
    segment.last = position
    segment.events += 1
    segment.bytes += bytes
    this.#undo?.push(() => {
      segment.last = last
      segment.events -= 1
      segment.bytes -= bytes
    })
  }

  putConcept(state: ConceptState): void {
    this.#putVersion(state.ordinal, state.position, state)
  }

  /**
   * Notes where an id leads from a position on. The id table knows the newest ordinal alone; a
   * view from before the id was learned again finds the older one here.
   */
  putId(id: ConceptId, ordinal: number): void {
    const { ids } = this.#current
    const previous = ids.get(id)
    ids.set(id, previous === undefined ? ordinal : { ordinal, previous })
    this.#undo?.push(() => restore(ids, id, previous))
  }

  /** Notes that an older concept got its key only now. */
  addLateKey(): void {
    const segment = this.#current
    segment.lateKeys += 1
    this.#undo?.push(() => {
      segment.lateKeys -= 1
    })
  }

  forgetConcept(ordinal: number, tombstone: Tombstone): void {
    const segment = this.#current
    const dead = this.#dead
    this.#putVersion(ordinal, tombstone.position, undefined)
    segment.tombstones.set(ordinal, tombstone)
    dead.set(ordinal, tombstone.position)
    this.#undo?.push(() => {
      segment.tombstones.delete(ordinal)
      dead.delete(ordinal)
    })
  }

  putAssociation(
    ref: Pick<AssociationChain, 'source' | 'target' | 'name' | 'key'>,
    position: number,
    state: AssociationState | undefined
  ): void {
    const segment = this.#current
    const { source, target, name, key } = ref
    const chain = segment.association(source.ordinal, target.ordinal, name, key)
    if (chain !== undefined) {
      const before = { position: chain.position, state: chain.state, previous: chain.previous }
      Object.assign(chain, { position, state, previous: before })
      this.#undo?.push(() => Object.assign(chain, before))
      return
    }
    const created: AssociationChain = {
      source,
      target,
      name,
      key,
      position,
      state,
      previous: undefined,
      next: undefined
    }
    segment.addAssociation(created)
    this.#undo?.push(() => segment.removeAssociation(created))
  }

  addDelta(delta: CountDelta): void {
    const { deltas } = this.#current
    deltas.push(delta)
    this.#undo?.push(() => deltas.pop())
  }

  /** Counts one more concept. Lists of numbers cost a long import less than an object each. */
  addLearned(position: number, type: string | undefined, hasVector: boolean): void {
    const { learned, learnedTypes, learnedVectors } = this.#current
    learned.push(position)
    learnedTypes.push(type)
    learnedVectors.push(hasVector)
    this.#undo?.push(() => {
      learned.pop()
      learnedTypes.pop()
      learnedVectors.pop()
    })
  }

  /** Counts one more association. */
  addCreated(position: number): void {
    const { created } = this.#current
    created.push(position)
    this.#undo?.push(() => created.pop())
  }

  noteCommit(key: string, commit: NotedCommit): void {
    const { commits } = this.#current
    commits.set(key, commit)
    this.#undo?.push(() => commits.delete(key))
  }

  /** Adds the dead of a new generation of the tables, which has not erased them yet. */
  addDead(dead: ReadonlyMap<number, number>): void {
    for (const ordinal of dead.keys()) this.#swept.delete(ordinal)
    this.#dead = new Map([...this.#dead, ...dead])
  }

  /** Notes that the tables have erased a dead concept's associations. */
  swept(ordinal: number): void {
    this.#swept.add(ordinal)
    this.#bury()
  }

  /**
   * Forgets the dead that neither the tables nor a segment name any more: a segment stays for
   * events behind those that the tables hold. Views may still meet the dead in what they pinned,
   * so they keep the map they have.
   */
  #bury(): void {
    const oldest = this.#segments[0]?.first ?? 0
    const buried = [...this.#swept].filter((ordinal) => (this.#dead.get(ordinal) ?? 0) < oldest)
    if (buried.length === 0) return
    const dead = new Map(this.#dead)
    for (const ordinal of buried) {
      dead.delete(ordinal)
      this.#swept.delete(ordinal)
    }
    this.#dead = dead
  }

  #putVersion(ordinal: number, position: number, state: ConceptState | undefined): void {
    const { concepts } = this.#current
    const previous = concepts.get(ordinal)
    concepts.set(ordinal, { position, state, previous })
    this.#undo?.push(() => restore(concepts, ordinal, previous))
  }
}

function restore<K, V>(map: Map<K, V>, key: K, previous: V | undefined): void {
  if (previous === undefined) map.delete(key)
  else map.set(key, previous)
}
