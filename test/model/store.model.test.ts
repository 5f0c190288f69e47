import fc from 'fast-check'
import { test } from 'vitest'
import { live } from './run.ts'
import { hubLife, life, sweepLife } from './steps.ts'

/** Asked for by number, lives are as many as that; else as many as there is time for. */
const runs = process.env['SUTRA_MODEL_RUNS']
const seed = process.env['SUTRA_TEST_SEED']
const SECONDS = Number(process.env['SUTRA_MODEL_SECONDS'] ?? '6')
const RUNS = 40
const DAY = 24 * 3600 * 1000

// When it fails, the report names the seed: SUTRA_TEST_SEED lives the same lives again.
test('a store does what the model does, whatever happens to it', { timeout: DAY }, async () => {
  const end = runs === undefined ? performance.now() + SECONDS * 1000 : Number.POSITIVE_INFINITY
  const property = fc.asyncProperty(life, async (one) => {
    if (performance.now() < end) await live(one, end)
  })
  await fc.assert(property, {
    numRuns: Number(runs ?? RUNS),
    // The usual bias towards small cases would make short lives.
    unbiased: true,
    includeErrorInReport: true,
    // To make a life shorter may take hours, in which nothing is told: the seed and the path are.
    endOnFailure: runs !== undefined,
    ...(seed === undefined ? {} : { seed: Number(seed) })
  })
})

test('a hub grows and shrinks on every side', async () => live(hubLife))

test('nothing of the forgotten shows while it is erased', async () => live(sweepLife))
