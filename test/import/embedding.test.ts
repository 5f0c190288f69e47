/** Texts cost their embedding once, however often a batch is tried before it is committed. */
import { type Embed, type ImportRecord, open, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { temporaryPath } from '../support/temp.ts'

const VECTORS = { dimensions: 2 }
const COUNT = 250

test('a strict import embeds every text once', async () => {
  const model = new Model()
  await using store = await model.open()

  const report = await store.import(records(COUNT), { strict: true })

  expect(report).toMatchObject({ concepts: COUNT, rejectedCount: 0 })
  expect(model.texts).toEqual(Array.from({ length: COUNT }, (_, i) => `text ${i}`))
  await expectVectors(store, COUNT)
})

test('what stands before a bad line is committed with the vectors of the trial', async () => {
  const model = new Model()
  await using store = await model.open()
  const lines = [...records(40), { kind: 'concept', content: 7 }, ...records(90, 40)]

  const importing = store.import(lines as ImportRecord[], { strict: true })

  await expect(importing).rejects.toMatchObject({ code: 'IMPORT_LINE_INVALID' })
  expect(model.texts.length).toBeGreaterThan(39)
  expect(new Set(model.texts).size).toBe(model.texts.length)
  await expectVectors(store, 40)
})

test('a text that the model cannot do stops a strict import there, and is not tried again', async () => {
  const model = new Model('text 30')
  await using store = await model.open()

  const importing = store.import(records(60), { strict: true })

  await expect(importing).rejects.toMatchObject({
    code: 'IMPORT_LINE_INVALID',
    details: { line: 31, reason: expect.stringMatching(/VECTOR_INVALID/) }
  })
  expect(new Set(model.texts).size).toBe(model.texts.length)
  await expectVectors(store, 30)
})

test('a concept that comes twice is embedded with each of its texts', async () => {
  const model = new Model()
  await using store = await model.open()
  const twice = [...records(1), { ...records(1)[0], content: 'text 9' }] as ImportRecord[]

  await store.import(twice, { strict: true, ifExists: 'replace' })

  expect(model.texts).toEqual(['text 0', 'text 9'])
  expect(await store.get({ key: 'k0' }, { include: ['vector'] })).toMatchObject({
    content: 'text 9',
    vector: Float32Array.of(10, 1)
  })
})

test('a dry run embeds what the source holds, and nothing of its own', async () => {
  const model = new Model()
  await using store = await model.open()
  const associations = Array.from({ length: COUNT - 1 }, (_, i): ImportRecord => {
    return { kind: 'association', sourceKey: `k${i}`, targetKey: `k${i + 1}`, type: 'next' }
  })

  const report = await store.import([...records(COUNT), ...associations], { dryRun: true })

  expect(report).toMatchObject({ concepts: COUNT, associations: COUNT - 1, rejectedCount: 0 })
  expect(model.texts).toHaveLength(COUNT)
  expect(new Set(model.texts).size).toBe(COUNT)
  expect(store.head).toBe(1)
})

/** Gives `text 7` the vector [8, 1], one array for all texts, and remembers what it was asked. */
class Model {
  readonly texts: string[] = []
  readonly #bad: string | undefined

  /** @param bad A text that it gives no vector of numbers for. */
  constructor(bad?: string) {
    this.#bad = bad
  }

  async open(): Promise<Store> {
    const embed: Embed = async (texts) => {
      this.texts.push(...texts)
      return texts.map((text) => this.#vectorOf(text))
    }
    return open(await temporaryPath(), { vectors: VECTORS, embed })
  }

  #vectorOf(text: string): Float32Array {
    const first = text === this.#bad ? Number.NaN : Number(text.slice('text '.length)) + 1
    return Float32Array.of(first, 1)
  }
}

function records(count: number, from = 0): ImportRecord[] {
  return Array.from({ length: count }, (_, i): ImportRecord => {
    return { kind: 'concept', key: `k${from + i}`, content: `text ${from + i}` }
  })
}

async function expectVectors(store: Store, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, i) => ({ key: `k${i}` }))
  const found = await store.getMany(ids, { include: ['vector'] })
  expect(found.map((one) => [...(one?.vector ?? [])])).toEqual(
    Array.from({ length: count }, (_, i) => [i + 1, 1])
  )
}
