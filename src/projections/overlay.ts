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
import type { LogCommit } from '../log/frame.ts'
import type { WrittenFrame } from '../log/log.ts'
import type { AssociationName } from './association-versions.ts'
import {
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

export class Overlay {
  /** Replaced, never changed, when a segment comes or goes: whoever holds the list keeps it. */
  #segments: readonly OverlaySegment[]
  #current: OverlaySegment
  /** Concepts forgotten whose associations may still be stored, by ordinal: when they died. */
  #dead: Map<number, number>
  /** Those of them whose associations the tables have erased. */
  readonly #swept: Set<number> = new Set()
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
    if (mayRollBack) this.#current.mark()
    this.#isStaging = true
  }

  keep(): void {
    this.#current.keep()
    this.#isStaging = false
  }

  rollback(): void {
    for (const ordinal of this.#current.rollback()) this.#dead.delete(ordinal)
    this.#isStaging = false
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

  /** Keeps what was just written as the bytes that the log has of it, where that is enough. */
  pack(commits: readonly LogCommit[], written: WrittenFrame): void {
    for (const commit of commits) {
      // What is staged was written just now: its segment is among the newest.
      const segment = this.#segments.findLast(({ first }) => first <= commit.first)
      segment?.pack(commit, written)
    }
  }

  /** Counts one more event of the commit being staged. */
  addEvent(position: number, bytes: number): void {
    this.#current.addEvent(position, bytes)
  }

  /** Adds a concept that was learned just now, under a new ordinal. */
  addConcept(state: ConceptState): void {
    this.#current.addConcept(state)
  }

  changeConcept(state: ConceptState): void {
    this.#current.changeConcept(state.ordinal, state.position, state)
  }

  forgetConcept(ordinal: number, tombstone: Tombstone): void {
    this.#current.bury(ordinal, tombstone)
    this.#dead.set(ordinal, tombstone.position)
  }

  /** Notes that an older concept got its key only now. */
  addLateKey(): void {
    this.#current.lateKeys += 1
  }

  putAssociation(
    ref: AssociationName,
    position: number,
    state: AssociationState | undefined
  ): void {
    this.#current.putAssociation(ref, position, state)
  }

  addDelta(delta: CountDelta): void {
    this.#current.deltas.push(delta)
  }

  /** Counts one more association. */
  addCreated(position: number): void {
    this.#current.created.push(position)
  }

  noteCommit(key: string, commit: NotedCommit): void {
    this.#current.noteCommit(key, commit)
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
}
