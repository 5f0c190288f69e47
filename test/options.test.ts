import { isStoreError } from 'sutra-storage'
import { expect, test } from 'vitest'
import { NUMBER_RULES, resolveOptions } from '#sutra/options.js'

/** The options of one name, `a.b.c`, with the dimensions that vectors never go without. */
function withOption(name: string, value: number): object {
  const path = name.split('.')
  const nested = path.reduceRight<unknown>((inner, part) => ({ [part]: inner }), value) as object
  if (path[0] !== 'vectors') return nested
  const { vectors } = nested as { vectors: object }
  return { vectors: { dimensions: 8, ...vectors } }
}

// An option with a rule that nobody can set has been forgotten in the list of names.
test.each(Object.entries(NUMBER_RULES))(
  'the option %s is taken within its bounds',
  (name, rule) => {
    const { value, min, max } = rule
    // Bounds that depend on each other: the default of the others lies between.
    const within = name.startsWith('pipeline.intervalMs.') ? value : Math.max(value, min)

    expect(() => resolveOptions(withOption(name, within))).not.toThrow()
    for (const beyond of [min - 1, max + 1, Number.NaN]) {
      let refused: unknown
      try {
        resolveOptions(withOption(name, beyond))
      } catch (error) {
        refused = error
      }
      expect(isStoreError(refused, 'OPTION_INVALID'), `${name}: ${beyond}`).toBe(true)
    }
  }
)
