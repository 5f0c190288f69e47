import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isStoreError, open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { PREFIX } from '#sutra/projections/tables/keys.js'
import {
  changeRow,
  deleteRows,
  filesOf,
  flipFile,
  flipped,
  rowsOf,
  tablesOf
} from '../support/raw.ts'
import { look, sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

describe('tables that cannot be trusted are built again from the log', () => {
  const damages: [string, (directory: string) => Promise<void>][] = [
    ['all of them deleted', async (directory) => rm(join(directory, 'tables'), RECURSIVE)],
    ['the live generation deleted', async (directory) => rm(await tablesOf(directory), RECURSIVE)],
    ['CURRENT deleted', async (directory) => rm(join(directory, 'tables', 'CURRENT'))],
    ['CURRENT flipped', async (directory) => flipFile(join(directory, 'tables', 'CURRENT'), 0)],
    ['CURRENT empty', async (directory) => writeFile(join(directory, 'tables', 'CURRENT'), '')],
    [
      "LevelDB's CURRENT deleted",
      async (directory) => rm(join(await tablesOf(directory), 'CURRENT'))
    ],
    ['a table file deleted', deleteTableFile],
    ['those of another store, shorter', async (directory) => takeTables(directory, 2)],
    ['those of another store, longer', async (directory) => takeTables(directory, 99)],
    ['a continuity record removed', async (directory) => removeRecord(directory, 1)],
    ['the newest continuity record removed', async (directory) => removeRecord(directory, -1)],
    ['the checkpoint flipped', async (directory) => flipRow(directory, 'mcheckpoint')],
    ['the counts flipped', async (directory) => flipRow(directory, 'mcounts')]
  ]

  test.each(damages)('%s', async (_, damage) => {
    const { directory, before } = await sampleStore()
    await damage(directory)

    const store = await open(directory)

    expect(await look(store)).toEqual(before)
    await store.learn({ id: { key: 'later' }, content: 'Later' })
    await store.close()
    // What was damaged is gone, and what was built in its place is whole.
    expect(await readdir(join(directory, 'tables'))).toHaveLength(2)
    await using again = await open(directory)
    expect(findingsOf(again)).toEqual([])
    expect(await again.counts()).toMatchObject({ concepts: before.counts.concepts + 1 })
  })

  test('the damage and the rebuild are told to every subscriber', async () => {
    const { directory } = await sampleStore()
    await removeRecord(directory, 1)

    await using store = await open(directory)

    expect(findingsOf(store)).toMatchObject([
      { type: 'damage-found', part: 'tables', reason: expect.stringContaining('batch') },
      { type: 'rebuild-started', projection: 'tables' }
    ])
  })

  test('a read-only store cannot build them again, and says so', async () => {
    const { directory } = await sampleStore()
    await flipRow(directory, 'mcheckpoint')

    const opening = open(directory, { readOnly: true })

    const details = { key: expect.any(String), reason: expect.any(String) }
    await expect(opening).rejects.toMatchObject({ code: 'TABLES_DAMAGED', details })
  })
})

/** Puts the tables of another store in the place of ours: each of their rows is whole. */
async function takeTables(directory: string, events: number): Promise<void> {
  const other = await temporaryPath()
  const store = await open(other)
  for (let n = 0; n < events; n++)
    await store.learn({ content: `Other ${n}` }, { durability: 'os' })
  await store.close()
  await rm(join(directory, 'tables'), RECURSIVE)
  await cp(join(other, 'tables'), join(directory, 'tables'), { recursive: true })
}

describe('a damaged row', () => {
  test('is never read as if it were whole, and a rebuild heals it', async () => {
    for (const prefix of [PREFIX.concept, PREFIX.outgoing, PREFIX.id, PREFIX.typeMember]) {
      const { directory, before } = await sampleStore()
      const rows = await rowsOf(await tablesOf(directory), prefix)
      for (const [key, value] of rows) {
        await changeRow(await tablesOf(directory), key, flipped(value, value.length - 1))
      }

      await using store = await open(directory)

      await expectDamaged(store, before.stateHash)
      await store.rebuild({ projections: ['tables'] })
      expect(await look(store)).toEqual(before)
      expect((await store.verify()).ok).toBe(true)
    }
  })

  test('is met when two rows have changed places', async () => {
    const { directory, before } = await sampleStore()
    const tables = await tablesOf(directory)
    const [a, b] = await rowsOf(tables, PREFIX.concept)
    if (a === undefined || b === undefined) throw new Error('The tables are short')
    await changeRow(tables, a[0], b[1])
    await changeRow(tables, b[0], a[1])

    await using store = await open(directory)

    const details = { key: a[0].toString('hex'), reason: expect.any(String) }
    const reading = store.get({ key: 'early1' })
    await expect(reading).rejects.toMatchObject({ code: 'TABLES_DAMAGED', details })
    await expectDamaged(store, before.stateHash)
  })
})

const RECURSIVE = { recursive: true }

async function removeRecord(directory: string, index: number): Promise<void> {
  const tables = await tablesOf(directory)
  const row = (await rowsOf(tables, PREFIX.record)).at(index)
  if (row === undefined) throw new Error('There are too few continuity records')
  await deleteRows(tables, [row[0]])
}

async function flipRow(directory: string, name: string): Promise<void> {
  const tables = await tablesOf(directory)
  const row = (await rowsOf(tables)).find(([key]) => key.toString('latin1') === name)
  if (row === undefined) throw new Error(`There is no row '${name}'`)
  await changeRow(tables, row[0], flipped(row[1], 2))
}

async function deleteTableFile(directory: string): Promise<void> {
  const [file] = await filesOf(await tablesOf(directory), '.ldb')
  if (file === undefined) throw new Error('There is no table file')
  await rm(file)
}

function findingsOf(store: Store): unknown[] {
  const found: unknown[] = []
  store.telemetry$
    .subscribe((event) => {
      if (event.type === 'damage-found' || event.type === 'rebuild-started') found.push(event)
    })
    .unsubscribe()
  return found
}

/** Whoever reads everything is told, one way or the other. */
async function expectDamaged(store: Store, stateHash: string): Promise<void> {
  const report = await store.verify()
  const problem = { part: 'tables', reason: expect.any(String) }
  const read = await look(store).catch((error: unknown) => error)
  if (isStoreError(read, 'TABLES_DAMAGED')) {
    expect(report).toMatchObject({ ok: false, problems: [problem] })
    return
  }
  // Rows that this way of reading does not touch may be damaged all the same.
  expect(read).toMatchObject({ stateHash })
}
