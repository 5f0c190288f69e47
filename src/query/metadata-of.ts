import { decodeMetadata } from '../checks/metadata.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'

/** Read once: most are never read again, and keep nothing. */
const ONCE = Object.freeze({})
/** Has members of its own members, so that each caller needs a copy of all of them. */
const NESTED = Object.freeze({})

/**
 * The metadata of a state, an object of the caller's own. A state that is read again and again, from a
 * cache, keeps it decoded: copying a few members costs a tenth of decoding them.
 */
export function metadataOf(state: ConceptState | AssociationState): Record<string, unknown> {
  const { metadata, members } = state
  if (members !== undefined && members !== ONCE && members !== NESTED) return { ...members }
  const decoded = decodeMetadata(metadata)
  if (metadata === undefined || members === NESTED) return decoded
  if (members === undefined) {
    state.members = ONCE
    return decoded
  }
  const isNested = Object.values(decoded).some((one) => typeof one === 'object' && one !== null)
  state.members = isNested ? NESTED : decoded
  return isNested ? decoded : { ...decoded }
}
