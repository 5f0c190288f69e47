/** What a commit expects of the state that it meets; checked before any of its commands. */
import { StoreError } from '../errors.ts'
import type { Pinned } from '../projections/pinned.ts'
import { findAssociation } from './resolve.ts'
import type { ValidExpectation } from './staged-commit.ts'

/**
 * @param head The position of the last event staged.
 * @throws StoreError `EXPECTATION_FAILED`
 */
export function checkExpectation(expectation: ValidExpectation, state: Pinned, head: number): void {
  if ('head' in expectation) {
    check('head', expectation.head, head)
  } else if ('concept' in expectation) {
    const { concept, version } = expectation
    check(`concept ${concept.id}`, version, state.conceptById(concept.id)?.version ?? 0)
  } else {
    const { association, version } = expectation
    const { source, target, name } = association
    const subject = `association '${name}' from ${source.id} to ${target.id}`
    check(subject, version, findAssociation(state, association)?.version ?? 0)
  }
}

function check(subject: string, expected: number, actual: number): void {
  if (expected === actual) return
  const message = `The ${subject} is at ${actual}, expected ${expected}`
  throw new StoreError('EXPECTATION_FAILED', message, { subject, expected, actual })
}
