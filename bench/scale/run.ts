/** Does the store hold and serve a great many concepts, and does it stay as fast as it began? */
import { join } from 'node:path'
import type { Durability } from 'sutra-storage'
import type { Latency } from '../harness.ts'
import { BARE_OPTIONS, diskBytes } from '../support.ts'
import { type Mark, type Memory, runChild } from './child-process.ts'

export interface ScaleOptions {
  /** An empty one. What is made in it is left to the caller to remove. */
  readonly directory: string
  readonly concepts: number
  /** Associations of each concept. */
  readonly each: number
  readonly durability: Durability
  readonly seed: number
  /** Concepts that are read back and compared. */
  readonly samples: number
  /** Rounds of so many timed reads, in turns with the bare engine. */
  readonly rounds: number
  readonly reads: number
  readonly onMark?: (side: Side, mark: Mark) => void
  readonly signal?: AbortSignal
}

export type Side = 'store' | 'classic-level'

export interface ScaleResult {
  readonly concepts: number
  readonly each: number
  readonly durability: Durability
  readonly store: Imported & { readonly marks: readonly Mark[]; readonly diskBytes: number }
  readonly bare: WrittenBare & { readonly marks: readonly Mark[]; readonly diskBytes: number }
  /** By the last and the first step of the concepts, and the whole. */
  readonly rates: Rates
  readonly read: Read
  /** From the start of a fresh process to the first concept, Node's own start included. */
  readonly processToAnswerMs: number
}

export interface Rates {
  readonly first: number
  readonly last: number
  readonly lastToFirst: number
  readonly whole: number
  /** As a multiple of the bare engine's, which ran behind the store and not beside it. */
  readonly toBare: number
}

/** Times in milliseconds. */
interface Imported {
  readonly rejected: number
  readonly counts: { readonly concepts: number; readonly associations: number }
  readonly acknowledgedMs: number
  readonly upToDateMs: number
  readonly closeMs: number
  readonly backPressureMs: number
  readonly delayP99Ms: number
  readonly delayMaxMs: number
  readonly cpuSeconds: number
  readonly peak: Memory
  readonly idTableBytes: number
}

interface WrittenBare {
  readonly ms: number
  readonly closeMs: number
  readonly peak: Memory
}

interface Read {
  readonly openMs: number
  /** Until the ids were in memory; waited for before reads are timed. */
  readonly filledMs: number
  readonly samples: number
  readonly differences: { readonly count: number; readonly found: readonly string[] }
  /** Of ids drawn from all, of 64 that are read again and again, of ids that are not there. */
  readonly latency: { readonly [which in 'random' | 'hot' | 'missing']: Compared }
  readonly peak: Memory
}

interface Compared {
  readonly bare: Latency
  readonly store: Latency
}

const STEPS = 10
const MILLION = 1_000_000

/**
 * Imports in one process, writes the same rows to the bare engine in the next, and reads both in
 * a third: so the memory of each is its own.
 *
 * @throws Error when counts or samples are not what was imported.
 */
export async function runScale(options: ScaleOptions): Promise<ScaleResult> {
  const { concepts, each, durability, seed, samples, reads, rounds, signal } = options
  const directory = join(options.directory, 'store')
  const bareDirectory = join(options.directory, 'classic-level')
  const step = stepOf(concepts)
  const marks: Record<Side, Mark[]> = { store: [], 'classic-level': [] }
  const watching = (side: Side): { onMark: (mark: Mark) => void; signal: typeof signal } => ({
    onMark: (mark) => {
      marks[side].push(mark)
      options.onMark?.(side, mark)
    },
    signal
  })

  const data = { concepts, each, seed, step }
  const imported = await runChild<Imported>(
    'import-child.mjs',
    { ...data, directory, durability },
    watching('store')
  )
  checkCounts(imported.result, concepts, concepts * each)
  const bare = await runChild<WrittenBare>(
    'bare-child.mjs',
    { ...data, directory: bareDirectory, tuning: BARE_OPTIONS },
    watching('classic-level')
  )
  const read = await runChild<Read>(
    'read-child.mjs',
    { ...data, directory, bareDirectory, samples, reads, rounds, tuning: BARE_OPTIONS },
    { signal }
  )
  checkSamples(read.result)
  return {
    concepts,
    each,
    durability,
    store: {
      ...imported.result,
      marks: marks.store,
      diskBytes: await diskBytes(directory)
    },
    bare: {
      ...bare.result,
      marks: marks['classic-level'],
      diskBytes: await diskBytes(bareDirectory)
    },
    rates: ratesOf(marks.store, imported.result, bare.result, concepts * (1 + each)),
    read: read.result,
    processToAnswerMs: read.answeredMs ?? Number.NaN
  }
}

/** A million at a time where that makes enough points, else a tenth of all. */
export function stepOf(concepts: number): number {
  return concepts >= STEPS * MILLION ? MILLION : Math.ceil(concepts / STEPS)
}

function ratesOf(
  marks: readonly Mark[],
  { upToDateMs }: Imported,
  bare: WrittenBare,
  records: number
): Rates {
  const concepts = marks.filter(({ phase }) => phase === 'concepts')
  const [first = Number.NaN, last = Number.NaN] = [concepts.at(0)?.rate, concepts.at(-1)?.rate]
  const whole = records / (upToDateMs / 1000)
  return { first, last, lastToFirst: last / first, whole, toBare: bare.ms / upToDateMs }
}

function checkCounts({ counts, rejected }: Imported, concepts: number, associations: number): void {
  const right = counts.concepts === concepts && counts.associations === associations
  if (right && rejected === 0) return
  throw new Error(
    `The store counts ${counts.concepts} concepts and ${counts.associations} associations ` +
      `with ${rejected} rejected, instead of ${concepts} and ${associations}`
  )
}

function checkSamples({ samples, differences }: Read): void {
  if (differences.count === 0) return
  const some = differences.found.join('; ')
  throw new Error(`${differences.count} of ${samples} samples are not what was imported: ${some}`)
}
