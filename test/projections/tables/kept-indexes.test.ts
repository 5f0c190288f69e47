/** What is indexed outlives a backup, a repair and a migration, though no log knows of it. */
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { migrate, open, repair, restore, type Store, type StoreOptions } from 'sutra-storage'
import { describe, expect, test, vi } from 'vitest'
import { agreeOnIndexes } from '#sutra/projections/tables/declared-indexes.js'
import { faultEnv, shim } from '../../faults/shim.ts'
import { run } from '../../support/child.ts'
import { deleteRows, flipFile, logOf, rowsOf } from '../../support/raw.ts'
import { temporaryPath } from '../../support/temp.ts'

const INDEXES = { year: 'number', lang: 'string' } as const
const FIXTURE = 'test/fixtures/format-1'
const PATIENCE = { timeout: 30_000, interval: 20 }
const noShim = 'missing' in shim ? shim.missing : undefined
const CONCEPTS = 400

describe('restore', () => {
  test('gives a store that indexes what the backed up one did', async () => {
    const backup = await temporaryPath()
    await using store = await filled(await temporaryPath(), INDEXES)
    await store.backup(backup)
    const restored = await temporaryPath()
    await restore(backup, restored)

    await expectIndexed(restored)
  })

  test('to an earlier position indexes what is left', async () => {
    const backup = await temporaryPath()
    await using store = await filled(await temporaryPath(), INDEXES)
    await store.backup(backup)
    const restored = await temporaryPath()
    await restore(backup, restored, { toPosition: 210 })

    await expectIndexed(restored)
  })

  test('takes the declaration of the newest backup, also where that is none', async () => {
    const directory = await temporaryPath()
    const backup = await temporaryPath()
    const first = await filled(directory, INDEXES)
    await first.backup(backup)
    await first.close()
    await using store = await open(directory, { indexes: {} })
    await store.backup(backup)
    const restored = await temporaryPath()
    await restore(backup, restored)

    await using opened = await open(restored)
    expect(opened.stats().indexes).toEqual({})
    await expectRight(opened)
  })

  test('of a store that is open read-only keeps it as well', async () => {
    const directory = await temporaryPath()
    await (await filled(directory, INDEXES)).close()
    const backup = await temporaryPath()
    await using store = await open(directory, { readOnly: true })
    await store.backup(backup)
    const restored = await temporaryPath()
    await restore(backup, restored)

    await expectIndexed(restored)
  })
})

describe('repair', () => {
  test('keeps the declaration, and its indexes hold what is left', async () => {
    const directory = await damaged()

    const { changed, aside } = await repair(directory)

    expect(changed).toBe(true)
    expect(await readdir(join(aside ?? '', 'tables'))).toContain('CURRENT')
    await expectIndexed(directory)
  })

  test('asks the tables where the file of the declaration is damaged', async () => {
    const directory = await damaged()
    await flipFile(join(directory, 'tables', 'INDEXES'), 12)

    await repair(directory)

    await expectIndexed(directory)
  })

  test('puts a declaration that nobody can read aside', async () => {
    const directory = await damaged()
    await flipFile(join(directory, 'tables', 'INDEXES'), 12)
    await writeFile(join(directory, 'tables', 'CURRENT'), 'none')

    const { aside } = await repair(directory)

    expect(existsSync(join(aside ?? '', 'tables', 'INDEXES'))).toBe(true)
    await using store = await open(directory)
    expect(store.stats().indexes).toEqual({})
    await expectRight(store)
  })

  test.skipIf(noShim !== undefined)(
    `killed at any call still keeps it after the next one ${noShim ?? ''}`,
    { timeout: 180_000 },
    async () => {
      const directory = await damaged()
      let killed = 0
      for (let at = 40; at < 140; at += 11) {
        const copy = await temporaryPath()
        await cp(directory, copy, { recursive: true })
        const env = faultEnv({ op: 'any', at, kill: true, path: copy })
        const ended = await run('damage/repairer.mjs', [copy], env)
        if (ended.signal === 'SIGKILL') killed += 1

        await repair(copy)

        await expectIndexed(copy)
        await rm(copy, { recursive: true })
      }
      expect(killed).toBeGreaterThan(4)
    }
  )
})

describe('migrate', () => {
  test('keeps the declaration, in its backup too', async () => {
    const directory = await temporaryPath()
    await cp(join(FIXTURE, 'store'), directory, { recursive: true })
    await agreeOnIndexes(directory, INDEXES, false)
    const backup = `${directory}-backup`

    await migrate(directory, { backup })

    expect(await readdir(join(directory, 'tables'))).toEqual(['INDEXES'])
    for (const one of [directory, backup]) {
      await using store = await open(one)
      await expectBuilt(store)
      await store.learn({ content: 'a', metadata: { year: 1999 } })
      expect(await keysOf(store, { year: 1999 })).toHaveLength(1)
      expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
    }
  })

  test('goes on with a switch that died while tables were removed', async () => {
    const directory = await temporaryPath()
    await cp(join(FIXTURE, 'store'), directory, { recursive: true })
    await agreeOnIndexes(directory, INDEXES, false)
    const next = `${directory}-next`
    await cp(directory, next, { recursive: true })
    await migrate(next, { backup: false })
    await cp(join(next, 'log'), join(directory, 'log.next'), { recursive: true })
    await cp(join(next, 'HEAD'), join(directory, 'HEAD.next'))
    const format: unknown = JSON.parse(await readFile(join(directory, 'FORMAT'), 'utf8'))
    const migration = { to: 2, phase: 'switch' }
    await writeFile(join(directory, 'FORMAT'), JSON.stringify({ ...(format as object), migration }))
    await rm(join(directory, 'tables'), { recursive: true })
    await mkdir(join(directory, 'tables'))
    await cp(join(next, 'tables', 'INDEXES'), join(directory, 'tables', 'INDEXES'))

    await migrate(directory, { backup: false })

    await using store = await open(directory)
    await expectBuilt(store)
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })
})

async function filled(directory: string, indexes: StoreOptions['indexes']): Promise<Store> {
  const store = await open(directory, { durability: 'os', ...(indexes && { indexes }) })
  for (let at = 0; at < CONCEPTS; at += 50) {
    await store.commit(
      Array.from({ length: 50 }, (_, i) => ({
        do: 'learn' as const,
        id: { key: `k${at + i}` },
        content: `concept ${at + i}`,
        metadata: { year: 1980 + ((at + i) % 20), lang: (at + i) % 3 === 0 ? 'de' : 'en' }
      }))
    )
  }
  await store.caughtUp()
  await expectBuilt(store, indexes)
  return store
}

/** A store with declared indexes and a frame lost from the middle of its log. */
async function damaged(): Promise<string> {
  const directory = await temporaryPath()
  await (await filled(directory, INDEXES)).close()
  const [, , lost] = await rowsOf(logOf(directory))
  if (lost === undefined) throw new Error('The log has no third frame')
  await deleteRows(logOf(directory), [lost[0]])
  return directory
}

/** Opened without naming any index. */
async function expectIndexed(directory: string): Promise<void> {
  await using store = await open(directory)
  // Right from the start, and once they are built.
  await expectRight(store)
  await expectBuilt(store)
  await expectRight(store)
  await store.learn({ id: { key: 'later' }, content: 'later', metadata: { year: 1985 } })
  await expectRight(store)
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}

async function expectBuilt(
  store: Store,
  indexes: StoreOptions['indexes'] = INDEXES
): Promise<void> {
  await vi.waitFor(() => {
    const found = Object.entries(store.stats().indexes)
    expect(Object.fromEntries(found.map(([field, { type }]) => [field, type]))).toEqual(indexes)
    expect(found.map(([, { built }]) => built)).not.toContain(false)
  }, PATIENCE)
}

async function expectRight(store: Store): Promise<void> {
  const all: { key: string; year: unknown; lang: unknown }[] = []
  for await (const { key = '', metadata } of store.concepts()) {
    const { year, lang } = metadata as Record<string, unknown>
    all.push({ key, year, lang })
  }
  expect(all.length).toBeGreaterThan(100)
  for (const year of [1980, 1985, 3000]) {
    const expected = all.filter((one) => one.year === year).map(({ key }) => key)
    expect(await keysOf(store, { year })).toEqual(expected.sort())
  }
  const german = all.filter(({ lang }) => lang === 'de').map(({ key }) => key)
  expect(await keysOf(store, { lang: 'de' })).toEqual(german.sort())
}

async function keysOf(store: Store, where: Record<string, string | number>): Promise<string[]> {
  const keys: string[] = []
  for await (const { key = '' } of store.concepts({ where })) keys.push(key)
  return keys.sort()
}
