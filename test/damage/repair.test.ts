/** What is left of a damaged log is kept, all of it, and what is lost is named. */
import { existsSync } from 'node:fs'
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { migrate, open, repair, type Store, type StoredEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { ENOSPC, faultEnv, shim } from '../faults/shim.ts'
import { run } from '../support/child.ts'
import { Random } from '../support/random.ts'
import {
  changeRow,
  copyStore,
  deleteRows,
  filesOf,
  flipFile,
  logOf,
  rowsOf
} from '../support/raw.ts'
import { look, sampleStore, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { ids } from './ids-projection.ts'

/** Calls between two kills of a repair. */
const STEP = process.env['SUTRA_DAMAGE'] === 'all' ? 9 : 24
const seed = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 1_000_000)
const noShim = 'missing' in shim ? shim.missing : undefined

describe('repair', () => {
  test('a whole log is not touched', async () => {
    const { directory, before } = await sampleStore()
    const rows = await rowsOf(logOf(directory))

    const report = await repair(directory)

    expect(report).toMatchObject({ changed: false, eventsLost: 0, lost: [], files: [] })
    expect(report.position).toBe(before.position)
    expect(await rowsOf(logOf(directory))).toEqual(rows)
    expect(await readdir(directory)).not.toContainEqual(expect.stringMatching(/damaged|repaired/))
    await expectSame(directory, before)
  })

  test.each(['table files', 'write-ahead files'])(
    `a bit flipped anywhere in the %s costs what the report names and nothing else, seed ${seed}`,
    async (kind) => {
      const random = new Random(seed)
      let damaged = 0
      for (let round = 0; round < 6; round++) {
        const { directory, events } = await manyCommits(kind === 'write-ahead files')
        const [file = ''] = await filesOf(
          logOf(directory),
          kind === 'table files' ? '.ldb' : '.log'
        )
        await flipFile(file, random.below((await readFile(file)).length))

        const dry = await repair(directory, { dryRun: true })
        const report = await repair(directory)

        expect(report).toMatchObject({ lost: dry.lost, eventsLost: dry.eventsLost })
        await expectKept(directory, events, report.lost)
        if (report.eventsLost > 0) damaged += 1
      }
      expect(damaged).toBeGreaterThan(4)
    }
  )

  test('a store is not opened between a repair that died and the next one', async () => {
    const { directory, before } = await sampleStore()
    // As if the damage were where opening does not look.
    await writeFile(join(directory, 'HEAD.repaired'), await readFile(join(directory, 'HEAD')))

    const refused = { code: 'STORE_DAMAGED', details: { file: 'HEAD.repaired' } }
    await expect(open(directory)).rejects.toMatchObject(refused)
    await expect(open(directory, { readOnly: true })).rejects.toMatchObject(refused)
    await expect(migrate(directory, { backup: false })).rejects.toMatchObject(refused)

    await repair(directory)
    await expectSame(directory, before)
  })

  test('a log made by a repair that died is not taken for one that has gone on since', async () => {
    const { directory, before } = await sampleStore()
    // Both logs are in their places: nothing of the switch was done.
    await cp(logOf(directory), join(directory, 'log.repaired'), { recursive: true })
    const stale = await readFile(join(directory, 'HEAD'))
    {
      await using store = await open(directory)
      await store.learn({ content: 'Since' })
    }
    await writeFile(join(directory, 'HEAD.repaired'), stale)

    const report = await repair(directory)

    expect(report).toMatchObject({ changed: false, position: before.position + 1, eventsLost: 0 })
    await using store = await open(directory)
    expect(store.head).toBe(before.position + 1)
  })

  test.skipIf(noShim !== undefined)(
    `a repair that the disk refuses before it switches leaves nothing to go on with ${noShim ?? ''}`,
    async () => {
      const { directory, events } = await manyCommits(false)
      const [file = ''] = await filesOf(logOf(directory), '.ldb')
      await flipFile(file, 3000)
      const { lost } = await repair(directory, { dryRun: true })
      const fault = { op: 'mkdir', path: `${directory}/damaged-`, at: 1, errno: ENOSPC }

      const { lines } = await run('damage/repairer.mjs', [directory], faultEnv(fault))

      expect(lines).toMatchObject([{ code: 'IO_FAILED', details: { operation: 'repair' } }])
      expect((await readdir(directory)).filter((name) => name.includes('repaired'))).toEqual([])
      await repair(directory)
      await expectKept(directory, events, lost)
    }
  )

  test('frames lost in the middle and at the end leave two gaps', async () => {
    const { directory, events } = await manyCommits(false)
    const rows = await rowsOf(logOf(directory))
    const keys = [...rows.slice(10, 13), ...rows.slice(-2)].map(([key]) => key)
    await deleteRows(logOf(directory), keys)
    const lost = keys.map((key) => Number(key.readBigUInt64BE()))
    await expect(open(directory)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })

    const report = await repair(directory)

    expect(report.lost).toHaveLength(2)
    expect(report.lost[0]?.from).toBe(lost[0])
    expect(report.lost[1]).toMatchObject({ from: lost[3], to: events.length })
    expect(report.position).toBe(events.length)
    await expectKept(directory, events, report.lost)
  })

  test('what hangs on a lost concept is left out, the same by projection and by rebuild', async () => {
    const { directory } = await sampleStore()
    const [, , third] = await rowsOf(logOf(directory))
    if (third === undefined) throw new Error('The log has no third frame')
    await deleteRows(logOf(directory), [third[0]])

    await repair(directory)

    await using store = await open(directory)
    const hash = await store.stateHash()
    await store.rebuild()
    expect(await store.stateHash()).toBe(hash)
    expect(await store.verify()).toMatchObject({ ok: true })
    await store.learn({ id: { key: 'early3' }, content: 'Learned again' })
    expect((await store.get({ key: 'early3' }))?.content).toBe('Learned again')
  })

  test.each(['HEAD', 'FORMAT', 'log/CURRENT', 'log/MANIFEST'])(
    '%s lost costs nothing',
    async (name) => {
      const { directory, before } = await sampleStore()
      const folder = join(directory, name.includes('/') ? 'log' : '.')
      const file = name.split('/').at(-1) ?? name
      for (const found of await readdir(folder)) {
        if (found.startsWith(file)) await rm(join(folder, found))
      }
      await expect(open(directory)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })

      const report = await repair(directory)

      expect(report).toMatchObject({ changed: true, eventsLost: 0 })
      await expectSame(directory, before)
    }
  )

  test('an altered id in FORMAT costs nothing', async () => {
    const { directory, before } = await sampleStore()
    const file = join(directory, 'FORMAT')
    const text = await readFile(file, 'utf8')
    const at = text.indexOf('storeId') + 'storeId":"'.length
    const digit = text[at] === '7' ? '6' : '7'
    await writeFile(file, text.slice(0, at) + digit + text.slice(at + 1))
    await expect(open(directory)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })

    const report = await repair(directory)

    expect(report).toMatchObject({ changed: true, eventsLost: 0, lost: [] })
    await expectSame(directory, before)
    expect(await readFile(file, 'utf8')).toContain(text.slice(at, at + 32))
  })

  test('a log of another store is not taken for ours, while HEAD and FORMAT agree', async () => {
    const { directory, events } = await manyCommits(false)
    const other = await sampleStore()
    await rm(logOf(directory), { recursive: true })
    await cp(logOf(other.directory), logOf(directory), { recursive: true })

    const report = await repair(directory)

    expect(report.lost).toEqual([{ from: 1, to: events.length, reason: expect.any(String) }])
  })

  test.each(['vectors', 'projections'])(
    '%s alone tell how much of the log is lost',
    async (part) => {
      const { directory, before } = await sampleStore()
      const old = await copyStore(directory, 'old')
      const projections = [ids]
      {
        await using store = await open(directory, { projections })
        await store.learn({ content: 'Later', embedding: vectorOf(99) })
        await store.checkpoint()
      }
      const added = before.position + 1
      // The whole store is an older copy, but for one part.
      const name = await copyStore(old, 'mixed')
      await rm(join(name, part), { recursive: true, force: true })
      await cp(join(directory, part), join(name, part), { recursive: true })
      const opening = open(name, { projections })
      await expect(opening).rejects.toMatchObject({ code: 'LOG_BEHIND_CHECKPOINT' })

      const report = await repair(name)

      expect(report).toMatchObject({ changed: true, position: added, eventsLost: 1 })
      expect(report.lost).toEqual([{ from: added, to: added, reason: expect.any(String) }])
      await using store = await open(name, { projections })
      expect(store.head).toBe(added)
      expect((await look(store)).contentHash).toBe(before.contentHash)
      expect(await store.verify()).toMatchObject({ ok: true })
    }
  )

  test('files that changed names cost nothing, and one that is missing is named', async () => {
    const { directory } = await manyCommits(false)
    {
      await using store = await open(directory)
      await store.learn({ id: { key: 'more' }, content: 'More' })
    }
    const [first = '', second = ''] = await filesOf(logOf(directory), '.ldb')
    const events = await openedEvents(directory)
    const missing = await copyStore(directory, 'missing')
    await rename(first, `${first}.aside`)
    await rename(second, first)
    await rename(`${first}.aside`, second)

    const report = await repair(directory)

    expect(report).toMatchObject({ changed: true, eventsLost: 0 })
    await expectKept(directory, events, [])
    await rm(join(logOf(missing), basename(second)))
    const { files } = await repair(missing, { dryRun: true })
    expect(files).toContainEqual({ file: basename(second), reason: 'it is missing' })
  })

  test('what the system refuses is told as such', async () => {
    const { directory } = await sampleStore()
    await rm(logOf(directory), { recursive: true })
    await writeFile(logOf(directory), 'no directory')
    await expect(repair(directory)).rejects.toMatchObject({
      code: 'IO_FAILED',
      details: { operation: 'repair' }
    })
  })

  test('tables that are ahead of the log tell how much of it is lost', async () => {
    const { directory, events } = await manyCommits(false)
    const rows = await rowsOf(logOf(directory))
    const [key, value] = rows.at(-1) ?? []
    const [before] = rows.at(-2) ?? []
    if (key === undefined || value === undefined || before === undefined) throw new Error('empty')
    // The log of a machine that lost power, with a HEAD as old: only the tables know more.
    await deleteRows(logOf(directory), [key])
    await rm(join(directory, 'HEAD'))

    const report = await repair(directory)

    const from = Number(key.readBigUInt64BE())
    expect(report.lost).toEqual([{ from, to: events.length, reason: expect.any(String) }])
    await using store = await open(directory)
    expect(store.head).toBe(events.length)
  })

  test('a frame of another store is no part of this one', async () => {
    const { directory, events } = await manyCommits(false)
    const other = await sampleStore()
    const [key, value] = (await rowsOf(logOf(other.directory)))[5] ?? []
    if (key === undefined || value === undefined) throw new Error('The log is empty')
    await changeRow(logOf(directory), key, value)

    const report = await repair(directory)

    expect(report.lost).toHaveLength(1)
    await expectKept(directory, events, report.lost)
  })

  test('a directory without a store, or one that is open, is refused', async () => {
    const empty = await temporaryPath()
    await expect(repair(empty)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
    expect(existsSync(empty)).toBe(false)

    const { directory } = await sampleStore()
    await using _store = await open(directory)
    await expect(repair(directory)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
  })

  test('an aborted repair leaves the store as it was', async () => {
    const { directory } = await manyCommits(false)
    const [file = ''] = await filesOf(logOf(directory), '.ldb')
    await flipFile(file, 100)
    const bytes = await bytesOf(logOf(directory))

    const repairing = repair(directory, { signal: AbortSignal.abort() })

    await expect(repairing).rejects.toMatchObject({ code: 'ABORTED' })
    expect(await bytesOf(logOf(directory))).toEqual(bytes)
  })

  test.skipIf(noShim !== undefined)(
    `a repair killed at any call is finished by the next one ${noShim ?? ''}`,
    { timeout: 120_000 },
    async () => {
      const { directory, events } = await manyCommits(false)
      const [file = ''] = await filesOf(logOf(directory), '.ldb')
      await flipFile(file, 3000)
      const { lost } = await repair(directory, { dryRun: true })
      let killed = 0
      for (let at = 3; at < 140; at += STEP) {
        const copy = await copyStore(directory, `killed-${at}`)
        const env = faultEnv({ op: 'any', at, kill: true, path: copy })
        const ended = await run('damage/repairer.mjs', [copy], env)
        if (ended.signal === 'SIGKILL') killed += 1

        await repair(copy)

        await expectKept(copy, events, lost)
        await rm(copy, { recursive: true })
      }
      expect(killed).toBeGreaterThan(72 / STEP)
    }
  )
})

interface Made {
  directory: string
  events: StoredEvent[]
}

let templates: Map<boolean, Promise<Made>> | undefined

/** A closed store of some hundred commits; its log in a table file, or not yet flushed into one. */
async function manyCommits(unflushed: boolean): Promise<Made> {
  templates ??= new Map()
  const made = templates.get(unflushed) ?? makeCommits(unflushed)
  templates.set(unflushed, made)
  const directory = await temporaryPath()
  await cp((await made).directory, directory, { recursive: true })
  return { directory, events: (await made).events }
}

async function makeCommits(unflushed: boolean): Promise<Made> {
  const { lastingPath } = await import('../support/temp.ts')
  const directory = await lastingPath('commits')
  const store = await open(directory)
  for (let n = 0; n < 250; n++) {
    const content = `Concept ${n} ${'of some length '.repeat(n % 17)}`
    await store.learn(
      { id: { key: `c${n}` }, content },
      { durability: n % 9 === 0 ? 'fsync' : 'os' }
    )
    if (n > 0) {
      const ends = { source: { key: `c${n - 1}` }, target: { key: `c${n}` } }
      await store.associate({ ...ends, type: 'next' }, { durability: 'os' })
    }
  }
  await store.checkpoint()
  const events = await eventsOf(store)
  if (!unflushed) {
    await store.close()
    return { directory, events }
  }
  const copy = await copyStore(directory, 'unflushed')
  await store.close()
  return { directory: copy, events }
}

async function openedEvents(directory: string): Promise<StoredEvent[]> {
  await using store = await open(directory)
  return await eventsOf(store)
}

async function eventsOf(store: Store): Promise<StoredEvent[]> {
  const events: StoredEvent[] = []
  for await (const event of store.events()) events.push(event)
  return events
}

/** Every event that is not named as lost is there as it was, and the store works. */
async function expectKept(
  directory: string,
  before: readonly StoredEvent[],
  lost: readonly { from: number; to: number }[]
): Promise<void> {
  await using store = await open(directory)
  const isLost = (position: number) =>
    lost.some(({ from, to }) => position >= from && position <= to)
  expect(await eventsOf(store)).toEqual(before.filter(({ position }) => !isLost(position)))
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  const { last } = await store.learn({ id: { key: 'behind' }, content: 'Behind it' })
  expect(last).toBe(before.length + 1)
}

async function expectSame(directory: string, before: object): Promise<void> {
  await using store = await open(directory)
  expect(await look(store)).toEqual(before)
}

async function bytesOf(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of (await readdir(directory)).sort()) {
    if (/\.(ldb|log)$/.test(name))
      found[name] = (await readFile(join(directory, name))).toString('hex')
  }
  return found
}
