import { cp, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { copyStore, filesOf, flipFile } from '../support/raw.ts'
import { look, makeSample, sampleStore, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

const damages: [string, (vectors: string) => Promise<void>][] = [
  ['all of it deleted', async (vectors) => rm(vectors, { recursive: true })],
  ['the manifest deleted', async (vectors) => rm(join(vectors, 'MANIFEST'))],
  ['the manifest flipped', async (vectors) => flipFile(join(vectors, 'MANIFEST'), 40)],
  ['the manifest empty', async (vectors) => writeFile(join(vectors, 'MANIFEST'), '')],
  ['a graph flipped', async (vectors) => flipFile(await only(vectors, '.usearch'), 100)],
  ['a graph cut short', async (vectors) => truncate(await only(vectors, '.usearch'), 64)],
  ['the exact vectors flipped', async (vectors) => flipFile(await only(vectors, '.f32'), 5)],
  ['the exact vectors deleted', async (vectors) => rm(await only(vectors, '.f32'))],
  ['the ids flipped', async (vectors) => flipFile(await only(vectors, '.ids'), 3)]
]

test.each(damages)('vectors with %s are built again from the log', async (_, damage) => {
  const { directory, before } = await sampleStore()
  await damage(join(directory, 'vectors'))

  const store = await open(directory)

  expect(await store.vector({ key: 'k9' })).toEqual(vectorOf(9))
  const [best] = await store.search(vectorOf(9), { k: 1 })
  expect(best?.key).toBe('k9')
  expect(await look(store)).toEqual(before)
  await store.caughtUp()
  await store.close()
  expect(await readdir(join(directory, 'vectors'))).toHaveLength(4)
  await using again = await open(directory)
  expect(damagesOf(again)).toEqual([])
  expect(await look(again)).toEqual(before)
})

test('the index of another store is not taken for its own', async () => {
  const { directory, before } = await sampleStore()
  const other = await temporaryPath('other')
  await makeSample(other)
  await rm(join(directory, 'vectors'), { recursive: true })
  const copy = await copyStore(other, 'copy')
  await rename(join(copy, 'vectors'), join(directory, 'vectors'))

  await using store = await open(directory)

  expect(await look(store)).toEqual(before)
})

test('an index ahead of the log is refused', async () => {
  const { directory } = await sampleStore()
  const copy = await copyStore(directory, 'copy')
  const store = await open(directory)
  await store.learn({ id: { key: 'later' }, content: 'Later', embedding: vectorOf(1) })
  await store.checkpoint()
  await store.close()
  await rm(join(copy, 'vectors'), { recursive: true })
  await cp(join(directory, 'vectors'), join(copy, 'vectors'), { recursive: true })

  const opening = open(copy)

  const details = { projection: 'vectors', checkpoint: store.head, head: store.head - 1 }
  await expect(opening).rejects.toMatchObject({ code: 'LOG_BEHIND_CHECKPOINT', details })
})

async function only(directory: string, end: string): Promise<string> {
  const [file] = await filesOf(directory, end)
  if (file === undefined) throw new Error(`There is no file that ends with ${end}`)
  return file
}

function damagesOf(store: Store): unknown[] {
  const found: unknown[] = []
  store.telemetry$
    .subscribe((event) => {
      if (event.type === 'damage-found') found.push(event)
    })
    .unsubscribe()
  return found
}
