/**
 * Arbitrary and mutated bytes into every decoder: it reads them or refuses them with an error of
 * its kind, soon, and without taking much memory. `SUTRA_FUZZ` sets the number of inputs.
 */
import { describe, expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { allDecoders, type Decoder, withScratch } from './decoders.ts'
import { mutated } from './mutate.ts'

const INPUTS = Number(process.env['SUTRA_FUZZ'] ?? 20_000)
/** Of one input, on a busy machine; what is of the wrong order takes seconds or never ends. */
const MS_MAX = 1500
const GROWTH_MAX = 512 * 2 ** 20

const { seed } = new Random()

describe('bytes that nobody wrote', () => {
  test(`are read or refused by every decoder, seed: ${seed}`, { timeout: 3_600_000 }, async () => {
    await withScratch(async (directory) => {
      const random = new Random(seed)
      const decoders = await allDecoders(directory)
      const shares = decoders.reduce((sum, { share }) => sum + share, 0)
      const before = process.memoryUsage.rss()
      const findings: string[] = []
      const tally = { inputs: 0, read: 0, refused: 0, slowestMs: 0 }
      for (const decoder of decoders) {
        await expectReads(decoder)
        const inputs = Math.ceil((INPUTS * decoder.share) / shares)
        findings.push(...(await feed(decoder, inputs, random, tally)))
      }
      const growth = process.memoryUsage.rss() - before

      console.log(`      ${JSON.stringify({ ...tally, growthMiB: Math.round(growth / 2 ** 20) })}`)
      expect(findings).toEqual([])
      expect(tally.inputs).toBeGreaterThanOrEqual(INPUTS)
      // Mutations that are all refused, or all read, would say little about the decoders.
      expect(tally.read).toBeGreaterThan(INPUTS / 50)
      expect(tally.refused).toBeGreaterThan(INPUTS / 50)
      expect(growth).toBeLessThan(GROWTH_MAX)
    })
  })
})

/** Samples are what it once wrote: refused, they would be no place to begin from. */
async function expectReads({ name, samples, decode }: Decoder): Promise<void> {
  let reads = 0
  for (const sample of samples) {
    try {
      await decode(sample, new Random(1))
      reads += 1
    } catch {
      // Some need more of a store than there is.
    }
  }
  expect(reads, name).toBeGreaterThan(0)
}

interface Tally {
  inputs: number
  read: number
  refused: number
  slowestMs: number
}

/** What went wrong, each kind once, with its first input. */
async function feed(
  decoder: Decoder,
  inputs: number,
  random: Random,
  tally: Tally
): Promise<string[]> {
  const findings = new Map<string, string>()
  for (let n = 0; n < inputs; n++) {
    const bytes = mutated(random, decoder.samples)
    const hex = bytes.toString('hex')
    const started = performance.now()
    try {
      await decoder.decode(bytes, random)
      tally.read += 1
    } catch (error) {
      tally.refused += 1
      if (!decoder.isTyped(error)) {
        const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
        const kind = `${decoder.name}: ${what.replaceAll(/\d+/g, 'N').slice(0, 40)}`
        if (!findings.has(kind)) findings.set(kind, `${kind} (${hex.slice(0, 400)})`)
      }
    }
    const ms = performance.now() - started
    tally.inputs += 1
    tally.slowestMs = Math.max(tally.slowestMs, ms)
    if (ms > MS_MAX)
      findings.set(`slow ${n}`, `${decoder.name} took ${ms} ms (${hex.slice(0, 400)})`)
  }
  return [...findings.values()]
}
