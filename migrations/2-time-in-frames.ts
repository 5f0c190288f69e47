/**
 * Format 2: the header of a frame tells the time of its last commit, so that going back to a time
 * needs no body. Bodies stay byte for byte what they were; headers and the chain are made anew.
 */
import { bodyOf, sealFrame, sealGap } from '#sutra/log/frame.js'
import type { MigrationStep } from '#sutra/store/migration-step.js'

export const timeInFrames: MigrationStep = {
  from: 1,
  to: 2,
  what: 'the time of the last commit stands in the header of its frame',
  rewrite: ({ first, count, time, gap }, value, lastTime, { previous, storeId }) => {
    // A gap of format 1 has no time of its own.
    const header = { format: 2, first, count, time: time ?? lastTime, previous, storeId } as const
    if (gap === undefined) return sealFrame(bodyOf(value), header)
    // The frame behind it is sealed anew as well, and names the gap itself.
    return sealGap({ ...header, next: undefined, reason: gap.reason })
  }
}
