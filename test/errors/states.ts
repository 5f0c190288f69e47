/** Commands that are well-formed, but not for what is stored. */
import { ConceptId } from 'sutra-storage'
import { learn, type RefusedCall, raw } from './case.ts'

const k1 = { key: 'k1' }
const k2 = { key: 'k2' }
const nowhere = { key: 'nowhere' }
const nowhereId = ConceptId.fromKey('nowhere')
const next = { source: { key: 'k3' }, target: { key: 'k4' }, type: 'next' }

export const STATES: RefusedCall[] = [
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'a target does not exist',
    act: raw({ do: 'associate', source: k1, target: nowhere, type: 'x' }),
    details: { command: 0, id: nowhereId, key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'a source does not exist',
    act: raw({ do: 'associate', source: nowhere, target: k1, type: 'x' }),
    details: { id: nowhereId }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'an end was forgotten',
    act: raw({ do: 'associate', source: { key: 'k6' }, target: k1, type: 'x' }),
    details: { key: 'k6' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'an end is forgotten in the same commit',
    act: async (store) =>
      store.commit([
        { do: 'forget', id: k2 },
        { do: 'associate', source: k1, target: k2, type: 'x' }
      ]),
    details: { command: 1, key: 'k2' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'what is forgotten does not exist',
    act: async (store) => store.forget(nowhere),
    details: { key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'what is revised does not exist',
    act: async (store) => store.revise(nowhere, { content: 'x' }),
    details: { key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'what is reinforced does not exist',
    act: async (store) => store.reinforce(nowhere, { strength: 1 }),
    details: { key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'a path begins nowhere',
    act: async (store) => store.findPath(nowhere, k1),
    details: { id: nowhereId }
  },
  {
    code: 'CONCEPT_EXISTS',
    when: 'a concept is to be new',
    act: learn({ id: k1, ifExists: 'fail' }),
    details: { command: 0, id: ConceptId.fromKey('k1'), version: 2 }
  },
  {
    code: 'ASSOCIATION_NOT_FOUND',
    when: 'what is dissociated does not exist',
    act: async (store) => store.dissociate({ ...next, key: 'x' }),
    details: { command: 0, type: 'next', key: 'x', source: ConceptId.fromKey('k3') }
  },
  {
    code: 'ASSOCIATION_NOT_FOUND',
    when: 'an end of it does not exist',
    act: async (store) => store.reinforce({ ...next, target: nowhere }, { strength: 1 }),
    details: { target: nowhereId }
  },
  {
    code: 'ASSOCIATION_NOT_FOUND',
    when: 'what is revised does not exist',
    act: async (store) => store.revise({ ...next, type: 'other' }, { metadata: {} }),
    details: { type: 'other' }
  },
  {
    code: 'ASSOCIATION_EXISTS',
    when: 'an association is to be new',
    act: raw({ do: 'associate', ...next, ifExists: 'fail' }),
    details: { command: 0, type: 'next', version: 1 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'the head is another',
    act: async (store) => store.forget(k1, { expect: [{ head: 3 }] }),
    details: { subject: 'head', expected: 3 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'the version of a concept is another',
    act: async (store) => store.forget(k1, { expect: [{ concept: k1, version: 1 }] }),
    details: { expected: 1, actual: 2 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'a concept exists',
    act: async (store) => store.forget(k1, { expect: [{ concept: k2, version: 0 }] }),
    details: { expected: 0, actual: 2 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'the version of an association is another',
    act: async (store) => store.dissociate(next, { expect: [{ association: next, version: 2 }] }),
    details: { expected: 2, actual: 1 }
  },
  {
    code: 'IDEMPOTENCY_CONFLICT',
    when: 'a key was used for other commands',
    act: async (store) => store.forget(k1, { idempotencyKey: 'a3' }),
    details: { idempotencyKey: 'a3' }
  }
]
