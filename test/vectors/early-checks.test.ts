/** Graphs that are compared with their checksums before anybody has asked for them. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { beforeEach, describe, expect, test } from 'vitest'
import { EarlyChecks } from '#sutra/projections/vectors/early-checks.js'
import { type FileSeal, IndexDamage } from '#sutra/projections/vectors/index-files.js'
import { VectorPool } from '#sutra/projections/vectors/pool.js'
import { flipFile } from '../support/raw.ts'
import { damagesOf, expectRightAnswers, type GraphSample, graphSample } from './graph-sample.ts'

let sample: GraphSample
let directory = ''
let path = ''
let seal: FileSeal

beforeEach(async () => {
  sample = await graphSample()
  directory = join(sample.directory, 'vectors')
  const [json = ''] = (await readFile(join(directory, 'MANIFEST'), 'utf8')).split('\n')
  const { segments } = JSON.parse(json) as {
    segments: { graph: { name: string; file: FileSeal } }[]
  }
  const graph = segments.at(0)?.graph
  expect(graph).toBeDefined()
  path = join(directory, `${graph?.name}.usearch`)
  seal = graph?.file as FileSeal
})

async function withChecks(work: (early: EarlyChecks) => Promise<void>): Promise<void> {
  const pool = new VectorPool().hold()
  const early = new EarlyChecks(pool, directory)
  try {
    await work(early)
  } finally {
    await early.stop()
    await pool.release()
  }
}

describe('a graph that was checked early', () => {
  test('is vouched for once, by the seal that it was compared with', async () => {
    await withChecks(async (early) => {
      expect(await early.has(path, { ...seal, bytes: seal.bytes - 1 })).toBe(false)
      expect(await early.has(`${path}.other`, seal)).toBe(false)
      expect(await early.has(path, seal)).toBe(true)
      expect(await early.has(path, seal)).toBe(false)
    })
  })

  test('is not, if a byte of it has changed', async () => {
    await flipFile(path, 5000)
    await withChecks(async (early) => {
      await expect(early.has(path, seal)).rejects.toBeInstanceOf(IndexDamage)
    })
  })

  test.each([
    ['there is none', async () => rm(join(directory, 'MANIFEST'))],
    ['it is damaged', async () => flipFile(join(directory, 'MANIFEST'), 40)],
    ['it is empty', async () => writeFile(join(directory, 'MANIFEST'), '')]
  ])('is none that a manifest does not name: %s', async (_, change) => {
    await change()
    await withChecks(async (early) => {
      expect(await early.has(path, seal)).toBe(false)
    })
  })

  test('is told of to whoever subscribes behind the opening', async () => {
    await using store = await open(sample.directory)
    const types: string[] = []
    store.telemetry$.subscribe(({ type }) => types.push(type))
    expect(types.filter((type) => type === 'index-loaded')).toHaveLength(1)
  })

  test('is mapped by nobody who opens the store, if a byte of it has changed', async () => {
    await flipFile(path, 5000)
    await using store = await open(sample.directory)
    const damages = damagesOf(store)
    await expectRightAnswers(store, sample.vectors)
    expect(damages).toMatchObject([{ part: 'vectors' }])
  })
})
