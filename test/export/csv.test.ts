import { writeFile } from 'node:fs/promises'
import { ConceptId } from 'sutra-storage'
import { expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'
import { checkRoundTrip, exported } from './round-trip.ts'

test('what is exported imports to the same', async () => {
  await checkRoundTrip('csv', 15)
}, 60_000)

test('a table names its columns and leaves empty what is the default', async () => {
  await using first = await openTemporaryStore({ check: false })
  await first.store.commit([
    { do: 'learn', id: { key: 'a' }, content: 'one, "two"\nthree', strength: 0.5 },
    {
      do: 'learn',
      id: ConceptId.fromContent('b'),
      content: 'b',
      type: 'letter',
      metadata: { n: 1 }
    },
    { do: 'associate', source: { key: 'a' }, target: ConceptId.fromContent('b'), type: 'next' }
  ])
  const id = ConceptId.fromContent('b')

  const text = (await exported(first.store, { format: 'csv' })).toString()

  expect(text).toBe(
    'kind,id,key,type,content,data,strength,confidence,metadata,embedding,stub,' +
      'source,sourceKey,target,targetKey\n' +
      'concept,,a,,"one, ""two""\nthree",,0.5,,,,,,,,\n' +
      `concept,${id},,letter,b,,,,"{""n"":1}",,,,,,\n` +
      `association,,,next,,,,,,,,,a,${id},\n`
  )
})

test('data of no bytes is told from no data', async () => {
  await using first = await openTemporaryStore({ check: false })
  await first.store.learn({ id: { key: 'a' }, content: 'a', data: new Uint8Array() })
  const file = await temporaryPath('export.csv')
  await writeFile(file, await exported(first.store, { format: 'csv' }))
  await using second = await openTemporaryStore({ check: false })

  await second.store.import(file)

  expect((await second.store.get({ key: 'a' }))?.data).toEqual(new Uint8Array())
})
