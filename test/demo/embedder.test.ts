import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createEmbedder,
  type Model,
  parseModel,
  serializeModel,
  stemOf
} from '../../bench/demo/embed.ts'
import { writeEmbedder } from '../../bench/demo/embedder.ts'
import { trainModel } from '../../bench/demo/train.ts'

const DIMENSIONS = 64
const signal = new AbortController().signal

let model: Model
beforeAll(async () => {
  model = parseModel(serializeModel(await trainModel(each(CORPUS), DIMENSIONS)))
})

describe('the embedder of the demo', () => {
  test('ranks first the text that a sentence describes', async () => {
    const ranked = await Promise.all(
      ['someone who repairs a shoe', 'vehicles flying', 'measure the temperature'].map(nearest)
    )

    expect(ranked).toEqual([CORPUS[0], CORPUS[1], CORPUS[2]])
  })

  test('gives the same vectors for the same corpus, bit for bit', async () => {
    const again = parseModel(serializeModel(await trainModel(each(CORPUS), DIMENSIONS)))

    const vectors = await createEmbedder(model)(CORPUS, { signal })
    expect(await createEmbedder(again)(CORPUS, { signal })).toEqual(vectors)
    expect(serializeModel(again)).toBe(serializeModel(model))
  })

  test('gives a vector of length 1 for whatever text', async () => {
    const texts = ['', ' ', 'the of and', '?!', '"only quoted"', 'zyzzyva', '猫', ': ', '\ud800']

    const vectors = await createEmbedder(model)(texts, { signal })

    const lengths = vectors.map((vector) => Math.hypot(...vector))
    for (const length of lengths) expect(length).toBeCloseTo(1, 5)
  })

  test('tells texts of unknown words apart', async () => {
    const [cat = [], owl = []] = await createEmbedder(model)(['felix', 'strix'], { signal })

    expect(dot(cat, owl)).toBeLessThan(0.6)
  })

  test('stops when the signal has fired', async () => {
    const late = createEmbedder(model)(['a shoe'], { signal: AbortSignal.abort() })

    await expect(late).rejects.toThrow('aborted')
  })
})

describe('the module left for the command line', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sutra-embed-'))
  })
  afterAll(async () => {
    await rm(directory, { recursive: true })
  })

  test('runs alone in its directory and embeds as the demo does', async () => {
    await writeEmbedder(directory, model)
    const { default: embed } = await import(pathToFileURL(join(directory, 'embed.mjs')).href)

    const vectors = await embed(CORPUS, { signal })

    expect(vectors).toEqual(await createEmbedder(model)(CORPUS, { signal }))
  })
})

test('forms of one word share a stem', () => {
  expect(['measure', 'measures', 'measured', 'measuring'].map(stemOf)).toEqual(
    Array(4).fill('measur')
  )
  expect(['run', 'runs', 'running'].map(stemOf)).toEqual(Array(3).fill('run'))
  expect(['glass', 'city', 'cities'].map(stemOf)).toEqual(['glass', 'city', 'city'])
})

async function nearest(sentence: string): Promise<string | undefined> {
  const [query = [], ...vectors] = await createEmbedder(model)([sentence, ...CORPUS], { signal })
  const similarities = vectors.map((vector) => dot(vector, query))
  return CORPUS[similarities.indexOf(Math.max(...similarities))]
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, number, i) => sum + number * (b[i] ?? 0), 0)
}

async function* each(texts: readonly string[]): AsyncGenerator<string> {
  yield* texts
}

const CORPUS = [
  'cobbler, shoemaker: a person who makes or repairs shoes',
  'aircraft: a vehicle that can fly',
  'thermometer: measuring instrument for measuring temperature; "the thermometer rose"',
  'honey: a sweet yellow liquid produced by bees',
  'volcano: a mountain formed by volcanic material',
  'violin, fiddle: bowed stringed instrument that is the highest member of the family'
]
