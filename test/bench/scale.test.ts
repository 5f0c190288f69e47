import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { runChild } from '../../bench/scale/child-process.ts'
import { runScale, type ScaleOptions, stepOf } from '../../bench/scale/run.ts'
import { BARE_OPTIONS } from '../../bench/support.ts'
import { temporaryPath } from '../support/temp.ts'

const seed = Number(process.env['SUTRA_TEST_SEED'] ?? Math.floor(Math.random() * 1_000_000))

describe(`a scale run with small sizes and seed ${seed}`, () => {
  test('imports all concepts, reads samples back, and tells each step', async () => {
    const directory = await emptyDirectory()
    const seen: string[] = []

    const result = await runScale({
      ...small(directory),
      concepts: 20_000,
      each: 0,
      onMark: (side, { phase, done }) => seen.push(`${side} ${phase} ${done}`)
    })

    expect(result.store.counts).toEqual({ concepts: 20_000, associations: 0 })
    expect(result.read).toMatchObject({ samples: 500, differences: { count: 0, found: [] } })
    for (const side of ['store', 'classic-level']) {
      const steps = Array.from({ length: 10 }, (_, i) => `${side} concepts ${(i + 1) * 2000}`)
      expect(seen.filter((line) => line.startsWith(side))).toEqual(steps)
    }
    expect(result.store.marks.every(({ rate, rss }) => rate > 0 && rss > 0)).toBe(true)
    expect(result.rates.lastToFirst).toBeGreaterThan(0)
    expect(result.store.diskBytes).toBeGreaterThan(20_000 * 16)
    expect(result.processToAnswerMs).toBeGreaterThan(result.read.openMs)
  })

  test('finds samples that are not what was imported', async () => {
    const directory = await emptyDirectory()
    const options = { ...small(directory), concepts: 500, each: 2 }
    await runScale(options)

    // Read back as if other associations had been drawn.
    const { result } = await runChild<{ differences: { count: number; found: string[] } }>(
      'read-child.mjs',
      {
        ...options,
        seed: seed + 1,
        directory: join(directory, 'store'),
        bareDirectory: join(directory, 'classic-level'),
        tuning: BARE_OPTIONS
      }
    )

    expect(result.differences.count).toBeGreaterThan(0)
    expect(result.differences.found[0]).toMatch(/^concept-\d+: associations$/)
  })

  test('takes a million at a time only where that makes ten points', () => {
    expect(stepOf(10_000_000)).toBe(1_000_000)
    expect(stepOf(25_000_000)).toBe(1_000_000)
    expect(stepOf(2_000_000)).toBe(200_000)
    expect(stepOf(5)).toBe(1)
  })
})

describe('the command bench:scale', () => {
  test('leaves results and a plot, and nothing of what it imported', async () => {
    const [out, dir] = [await temporaryPath('out'), await emptyDirectory()]

    const args = ['--concepts', '2000', '--out', out, '--dir', dir, '--max-rss', '1']
    const { stdout } = await run(process.execPath, ['--import', 'tsx', MAIN, ...args])

    expect(stdout).toMatch(/^memory BEYOND the 1 MB of --max-rss$/m)
    expect(await readdir(dir)).toEqual([])
    const file: unknown = JSON.parse(await readFile(join(out, 'scale-2000-0.json'), 'utf8'))
    expect(file).toMatchObject({
      name: 'scale-2000-0',
      machine: { system: expect.stringContaining(process.version) as unknown },
      scale: { concepts: 2000, store: { counts: { concepts: 2000 } } }
    })
    const svg = await readFile(join(out, 'scale.svg'), 'utf8')
    expect(svg).toContain('bare classic-level')
  })

  test('refuses what is no number before anything is made', async () => {
    const refused = run(process.execPath, ['--import', 'tsx', MAIN, '--concepts', 'many'])

    await expect(refused).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("'many' is invalid. Expected a whole number") as unknown
    })
  })
})

const MAIN = fileURLToPath(new URL('../../bench/scale/main.ts', import.meta.url))
const run = promisify(execFile)

async function emptyDirectory(): Promise<string> {
  const directory = await temporaryPath('scale')
  await mkdir(directory)
  return directory
}

function small(directory: string): Omit<ScaleOptions, 'concepts' | 'each'> {
  return { directory, durability: 'os', seed, samples: 500, reads: 50, rounds: 2 }
}
