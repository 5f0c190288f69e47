/**
 * What events mean behind a gap of the log.
 *
 * A whole log is consistent: nothing changes that is not there, nothing is created twice. Behind a
 * gap that no longer holds, as what was created, forgotten or removed may be lost with the gap. The
 * rules here turn each event into events that are consistent with the state. They are pure
 * (invariant 6), and the tables and the overlay both go through them:
 *
 * - what changes, forgets or removes something that is not there is left out;
 * - so is an association one of whose ends is not there;
 * - where something is created that is there already, its end was lost, and is made up for.
 *
 * In a log without gaps each of these is an assertion of the projection instead.
 */
import type { ConceptId } from '../ids.ts'
import type {
  AssociationChanged,
  AssociationRemoved,
  ConceptChanged,
  LogEvent
} from '../log/event.ts'

/** What the rules ask of a state, just before the event. */
export interface KnownState {
  isAlive(ordinal: number): boolean
  /** The ordinal of the living concept with this id. */
  livingOrdinal(id: ConceptId): number | undefined
  hasAssociation(event: AssociationChanged | AssociationRemoved): boolean
}

/** The events to fold in the place of one that stands behind a gap; none to leave it out. */
export function consistentEvents(event: LogEvent, known: KnownState): LogEvent[] {
  switch (event.type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised':
      return consistentChange(event, known)
    case 'concept-forgotten':
      return known.isAlive(event.ordinal) ? [event] : []
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised':
    case 'association-removed': {
      const { source, target } = event
      if (!known.isAlive(source.ordinal) || !known.isAlive(target.ordinal)) return []
      const isCreated = event.type !== 'association-removed' && event.created
      const isThere = known.hasAssociation(event)
      if (isCreated) return isThere ? [removalBefore(event), event] : [event]
      return isThere ? [event] : []
    }
    case 'vectors-declared':
    case 'commit-noted':
    case 'event-quarantined':
    case 'event-released':
      return [event]
  }
}

/**
 * The highest ordinal and revision that an event names. They count as given even if the event is
 * left out: a number that is in the log is never given again.
 */
export function numbersOf(event: LogEvent): { ordinal: number; revision: number } {
  switch (event.type) {
    case 'concept-learned':
    case 'concept-reinforced':
    case 'concept-revised':
      return { ordinal: event.ordinal, revision: event.fields.vector?.revision ?? 0 }
    case 'concept-forgotten':
      return { ordinal: event.ordinal, revision: 0 }
    case 'association-created':
    case 'association-reinforced':
    case 'association-revised':
    case 'association-removed':
      return { ordinal: Math.max(event.source.ordinal, event.target.ordinal), revision: 0 }
    case 'vectors-declared':
    case 'commit-noted':
    case 'event-quarantined':
    case 'event-released':
      return { ordinal: 0, revision: 0 }
  }
}

function consistentChange(event: ConceptChanged, known: KnownState): LogEvent[] {
  if (!event.created) return known.isAlive(event.ordinal) ? [event] : []
  const older = known.livingOrdinal(event.id)
  if (older === undefined) return [event]
  // An id is learned again only once it was forgotten.
  const version = event.version - 1
  const end = { type: 'concept-forgotten' as const, ordinal: older, id: event.id, version }
  return [{ ...end, key: undefined }, event]
}

function removalBefore(event: AssociationChanged): AssociationRemoved {
  const { source, target, name, key } = event
  return { type: 'association-removed', source, target, name, key, version: event.version - 1 }
}
