import { expect, test } from 'vitest'
import { NONE, ReachedConcepts } from '#sutra/query/paths-reached.js'
import { Random } from '../support/random.ts'

const CONCEPTS = 150_000

test.each([true, false])(
  'what a search has reached is found again (in turns: %s)',
  async (inTurns) => {
    const random = new Random()
    const reached = ReachedConcepts.take()
    const first = new Map<number, number>()
    let rests = 0
    let wrong = 0
    let crowded = 0
    for (let i = 0; i < CONCEPTS; i++) {
      const ordinal = random.below(2 ** 31)
      const twin = reached.find(ordinal)
      if (twin !== (first.get(ordinal) ?? NONE)) wrong += 1
      // Each side reaches a concept once.
      if ((reached.twins[twin] ?? NONE) !== NONE) continue
      const at = reached.add(ordinal, i % 2 === 0, i % 300, twin)
      reached.confidences[at] = 1 / at
      if (twin === NONE) first.set(ordinal, at)
      if (!reached.isCrowded) continue
      crowded += 1
      if (inTurns) {
        await reached.makeRoom(async () => {
          rests += 1
        })
        expect(reached.isCrowded).toBe(false)
      }
    }
    for (const [ordinal, at] of first) {
      const isKnown = reached.find(ordinal) === at && reached.ordinals[at] === ordinal
      if (!isKnown || reached.confidences[at] !== 1 / at) wrong += 1
    }
    expect(wrong, `seed ${random.seed}`).toBe(0)
    if (inTurns) {
      expect(crowded).toBe(3)
      // Some thousand concepts in each.
      expect(rests).toBeGreaterThan(CONCEPTS / 16_384)
    }
  }
)
