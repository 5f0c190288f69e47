/** The declaration of vectors is lost with its frame: what was derived from it still knows it. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { open, repair, type Store, type StoreOptions } from 'sutra-storage'
import { expect, test } from 'vitest'
import { deleteRows, logOf, rowsOf } from '../support/raw.ts'
import { DIMENSIONS, makeSample, sampleStore, VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

test('it is put back from the tables, whole', async () => {
  const vectors: StoreOptions['vectors'] = {
    dimensions: DIMENSIONS,
    metric: 'l2sq',
    model: 'of a test',
    quantization: 'f32',
    connectivity: 24,
    expansionAdd: 99,
    expansionSearch: 77
  }
  const directory = await temporaryPath()
  const { position } = await makeSample(directory, { vectors })
  const before = await foundIn(directory)
  await loseFirstFrame(directory)

  const dry = await repair(directory, { dryRun: true })
  const report = await repair(directory)

  expect(report).toMatchObject({ changed: true, eventsLost: 1, declaration: 'tables' })
  expect(report.position).toBe(position + 1)
  expect(dry).toMatchObject({ declaration: 'tables', position: position + 1 })
  expect(await foundIn(directory)).toEqual(before)
  await using store = await open(directory, { vectors })
  expect(store.head).toBe(position + 1)
  expect(await eventsOf(store, 'vectors-declared')).toMatchObject([
    { position: position + 1, data: vectors }
  ])
  await expectSound(store)
  await store.close()
  const other = open(directory, { vectors: { dimensions: DIMENSIONS, model: 'another' } })
  await expect(other).rejects.toMatchObject({ code: expect.stringMatching(/CONFLICT/) })
})

test('where the tables are lost as well, it is put back from the files of the vectors', async () => {
  const { directory } = await sampleStore()
  const before = await foundIn(directory)
  await loseFirstFrame(directory)
  await rm(join(directory, 'tables'), { recursive: true })

  const report = await repair(directory)

  expect(report).toMatchObject({ changed: true, declaration: 'vectors' })
  expect(await foundIn(directory)).toEqual(before)
  await using store = await open(directory, VECTORS)
  await expectSound(store)
})

test('where nothing knows it, that is told, and it can be declared anew', async () => {
  const { directory, before } = await sampleStore()
  const found = await foundIn(directory)
  await loseFirstFrame(directory)
  for (const name of ['tables', 'vectors']) await rm(join(directory, name), { recursive: true })

  const report = await repair(directory)

  expect(report).toMatchObject({ declaration: 'lost', position: before.position })
  const undeclared = await open(directory)
  const searching = undeclared.search(vectorOf(3), { k: 3 })
  await expect(searching).rejects.toMatchObject({ code: 'VECTORS_NOT_DECLARED' })
  await undeclared.close()
  expect(await foundIn(directory, VECTORS)).toEqual(found)
  await using store = await open(directory)
  await expectSound(store)
})

test('nothing is said of it where another frame is lost, or where there never was one', async () => {
  const { directory } = await sampleStore()
  const [, , third] = await rowsOf(logOf(directory))
  if (third === undefined) throw new Error('The log has no third frame')
  await deleteRows(logOf(directory), [third[0]])
  const plain = await temporaryPath('plain')
  await using store = await open(plain)
  await store.learn({ content: 'One' })
  await store.learn({ content: 'Two' })
  await store.close()
  await loseFirstFrame(plain)

  for (const damaged of [directory, plain]) {
    const report = await repair(damaged)

    expect(report.eventsLost).toBe(1)
    expect(report.declaration).toBeUndefined()
  }
})

async function loseFirstFrame(directory: string): Promise<void> {
  const [first] = await rowsOf(logOf(directory))
  if (first === undefined) throw new Error('The log is empty')
  await deleteRows(logOf(directory), [first[0]])
}

/** What a search finds, with the vectors. */
async function foundIn(directory: string, options: StoreOptions = {}): Promise<unknown[]> {
  await using store = await open(directory, options)
  const matches = await store.search(vectorOf(3), { k: 3 })
  expect(matches).toHaveLength(3)
  return await Promise.all(matches.map(async (match) => [match, await store.vector(match.id)]))
}

async function eventsOf(store: Store, type: string): Promise<unknown[]> {
  const events: unknown[] = []
  for await (const event of store.events()) if (event.type === type) events.push(event)
  return events
}

/** The running state is the one that the log gives, and the store goes on. */
async function expectSound(store: Store): Promise<void> {
  const hash = await store.stateHash()
  await store.rebuild()
  expect(await store.stateHash()).toBe(hash)
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  const embedding = vectorOf(50)
  const learned = await store.learn({ id: { key: 'later' }, content: 'Later', embedding })
  expect(learned.last).toBe(store.head)
  expect(await store.search(embedding, { k: 1 })).toMatchObject([{ key: 'later' }])
}
