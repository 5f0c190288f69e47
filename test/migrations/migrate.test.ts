/** A store of format 1 moves to format 2: the same state, whatever happens on the way. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { migrate, open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { HeadFile } from '#sutra/log/head-file.js'
import { LevelLog } from '#sutra/log/level-log.js'
import { readFormat } from '#sutra/store/format.js'
import { observe } from '../fixtures/observe.ts'
import { Child } from '../support/child.ts'
import { commitOf } from '../support/commits.ts'
import { framesOf, loseFrames } from '../support/gap.ts'
import { Random } from '../support/random.ts'
import { changeRow, flipped, logOf, rowsOf } from '../support/raw.ts'
import { look } from '../support/sample.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'

const FIXTURE = 'test/fixtures/format-1'
/** `SUTRA_MIGRATION_KILLS` sets another number. */
const KILLS = Number(process.env['SUTRA_MIGRATION_KILLS'] ?? 4)
const FRAMES = 2000

async function oldStore(): Promise<string> {
  const directory = await temporaryPath()
  await cp(join(FIXTURE, 'store'), directory, { recursive: true })
  return directory
}

function isTable(name: string): boolean {
  return name.endsWith('.ldb') || name.endsWith('.log')
}

describe('a migrated store', () => {
  test('says what it said before, and its old log is in the backup', async () => {
    const directory = await oldStore()
    const expected: unknown = JSON.parse(await readFile(join(FIXTURE, 'expected.json'), 'utf8'))
    const before = await seen(directory)
    const bytes = fingerprint(directory).filter((line) => /^(log|HEAD|FORMAT)/.test(line))
    const backup = `${directory}-backup`

    const report = await migrate(directory, { backup })

    const events = before.position
    expect(report).toMatchObject({ changed: true, from: 1, to: 2, backup, events, resumed: false })
    expect(fingerprint(backup)).toEqual(bytes.filter((line) => !line.startsWith('log/LOCK')))
    expect((await framesOf(directory)).every(({ format }) => format === 2)).toBe(true)
    expect(await seen(directory)).toEqual(before)
    expect(await seen(backup)).toEqual(before)
    await using store = await open(directory)
    expect(await observe(store)).toEqual(expected)
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
    await store.learn({ content: 'by this release' })
  })

  test('has its backup also where a migration died over it, or right behind it', async () => {
    const whole = await oldStore()
    const made = `${whole}-backup`
    await migrate(whole, { backup: made })
    for (const lost of [[], ['FORMAT'], ['FORMAT', 'HEAD'], ['FORMAT', 'HEAD', 'log/CURRENT']]) {
      const directory = await oldStore()
      const backup = `${directory}-backup`
      await cp(made, backup, { recursive: true })
      for (const name of lost) await rm(join(backup, name))

      const report = await migrate(directory, { backup })

      expect(report).toMatchObject({ changed: true, backup })
      expect(fingerprint(backup)).toEqual(fingerprint(made))
    }
    // Another store that has lost its FORMAT is nothing to be cleared away.
    const directory = await oldStore()
    const foreign = `${directory}-backup`
    await cp(made, foreign, { recursive: true })
    await rm(join(foreign, 'FORMAT'))
    const file = join(foreign, 'log', readdirSync(join(foreign, 'log')).find(isTable) ?? '')
    await writeFile(file, flipped(await readFile(file), 100))
    const before = fingerprint(foreign)
    const refused = migrate(directory, { backup: foreign })
    await expect(refused).rejects.toMatchObject({ code: 'BACKUP_TARGET_REFUSED' })
    expect(fingerprint(foreign)).toEqual(before)
  })

  test('is left as it is by a second migration', async () => {
    const directory = await oldStore()
    await migrate(directory, { backup: false })
    const bytes = fingerprint(directory)

    const report = await migrate(directory, { backup: false })

    expect(report).toMatchObject({ changed: false, from: 2, to: 2, steps: [] })
    expect(fingerprint(directory)).toEqual(bytes)
  })

  test('keeps the gaps of its log', async () => {
    const directory = await oldStore()
    await loseFrames(directory, 5, 6)
    await loseFrames(directory, 9, 9)
    await rm(join(directory, 'tables'), { recursive: true })
    await rm(join(directory, 'vectors'), { recursive: true })
    const before = await seen(directory)

    await migrate(directory, { backup: false })

    const gaps = (await framesOf(directory)).filter(({ kind }) => kind === 'gap')
    expect(gaps).toHaveLength(2)
    expect(gaps.every(({ time }) => (time ?? 0) > 0)).toBe(true)
    expect(await seen(directory)).toEqual(before)
  })
})

test('the command asks for a backup or for none, and tells what it did', async () => {
  const directory = await oldStore()
  const sutra = async (...args: string[]): Promise<string> => {
    const all = ['dist/cli/main.js', 'migrate', '--dir', directory, ...args]
    return (await promisify(execFile)(process.execPath, all)).stdout
  }

  await expect(sutra()).rejects.toMatchObject({ code: 2 })
  expect(await sutra('--dry-run')).toContain('Would move the store from format 1 to 2')
  const report: unknown = JSON.parse(await sutra('--backup', `${directory}-backup`, '--json'))
  expect(report).toMatchObject({ changed: true, from: 1, to: 2, backup: `${directory}-backup` })
  expect(await sutra('--no-backup')).toContain('The store has format 2, the newest one')
  expect(await sutra('--dry-run')).toContain('The store has format 2, the newest one')
})

test('a dry run reads everything and changes no byte', async () => {
  const directory = await oldStore()
  const before = fingerprint(directory)

  const report = await migrate(directory, { backup: false, dryRun: true })

  expect(report).toMatchObject({ changed: false, from: 1, to: 2, position: 440, events: 440 })
  expect(fingerprint(directory)).toEqual(before)
})

describe('a migration is refused and changes no byte', () => {
  test('of a damaged log', async () => {
    const directory = await oldStore()
    const [key, value] = (await rowsOf(logOf(directory)))[3] ?? []
    if (key === undefined || value === undefined) throw new Error('The log is empty')
    await changeRow(logOf(directory), key, flipped(value, 70))
    const before = fingerprint(directory)
    const backup = `${directory}-backup`

    const refused = migrate(directory, { backup })

    await expect(refused).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
    expect(fingerprint(directory)).toEqual(before)
    expect(existsSync(backup)).toBe(false)
  })

  test('of a store of a newer format', async () => {
    const directory = await oldStore()
    const format = await readFile(join(directory, 'FORMAT'), 'utf8')
    await writeFile(join(directory, 'FORMAT'), format.replace('"format":1', '"format":3'))
    const before = fingerprint(directory)

    const refused = migrate(directory, { backup: false })

    await expect(refused).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
      details: { format: 3, supported: 2 }
    })
    expect(fingerprint(directory)).toEqual(before)
  })

  test.each([
    { when: 'the target is not empty', of: (directory: string) => `${directory}-full` },
    { when: 'the target is in the store', of: (directory: string) => join(directory, 'backup') }
  ])('where $when', async ({ of }) => {
    const directory = await oldStore()
    const backup = of(directory)
    if (!backup.startsWith(join(directory, '/'))) {
      await mkdir(backup)
      await writeFile(join(backup, 'precious'), 'mine')
    }
    const before = fingerprint(directory)

    const refused = migrate(directory, { backup })

    await expect(refused).rejects.toMatchObject({ code: 'BACKUP_TARGET_REFUSED' })
    expect(fingerprint(directory)).toEqual(before)
  })

  test('while the store is open', async () => {
    const directory = await oldStore()
    await using store = await open(directory)

    const refused = migrate(directory, { backup: false })

    await expect(refused).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    expect(store.position).toBe(440)
  })
})

test('a migration that is called off leaves the store as it was', async () => {
  const directory = await largeStore()
  const before = await hashOf(directory)
  const calledOff = new AbortController()

  const migrated = migrate(directory, {
    backup: false,
    signal: calledOff.signal,
    onProgress: ({ phase }) => phase === 'check' && setTimeout(() => calledOff.abort(), 20)
  })

  await expect(migrated).rejects.toMatchObject({ code: 'ABORTED' })
  expect(readdirSync(directory)).not.toContain('log.next')
  expect(await hashOf(directory)).toEqual(before)
})

test('a migration that is killed at any instant is gone on with', async () => {
  const random = new Random()
  const old = await largeStore()
  const before = await hashOf(old)
  const took = await timeOfMigration(old)
  const interrupted = new Set<unknown>()

  for (let n = 0; n < KILLS; n++) {
    const directory = `${old}-${n}`
    await cp(old, directory, { recursive: true })
    const child = new Child('migrations/migrator.mjs', [directory])
    const end = child.ended.then(() => undefined)
    // The first dies as soon as it copies, however fast the machine is, the others at any time.
    if (n === 0) await untilItCopies(directory, end)
    else await Promise.race([sleep(took * (0.1 + (n + random.next()) / KILLS)), end])
    await child.kill()
    const context = `seed ${random.seed}, kill ${n}`

    const journal = await journalOf(directory)
    interrupted.add(journal.migration?.phase)
    if (journal.migration !== undefined) {
      await expect(open(directory), context).rejects.toMatchObject({
        code: 'MIGRATION_UNFINISHED',
        details: { from: 1, to: 2 }
      })
    }
    const report = await migrate(directory, { backup: false })
    expect(report.resumed, context).toBe(journal.migration !== undefined)
    // Only where the last thing of all was done does FORMAT's own file for replacing it stay.
    const left = readdirSync(directory).filter((name) => !name.endsWith('.tmp'))
    if (report.changed) expect(left.sort(), context).toEqual(['FORMAT', 'HEAD', 'log'])
    expect(await hashOf(directory), context).toEqual(before)
    await rm(directory, { recursive: true })
  }

  expect(interrupted, `seed ${random.seed}`).toContain('copy')
}, 180_000)

async function journalOf(directory: string): Promise<Journal> {
  return JSON.parse(await readFile(join(directory, 'FORMAT'), 'utf8')) as Journal
}

async function untilItCopies(directory: string, end: Promise<undefined>): Promise<void> {
  let ended = false
  void end.then(() => {
    ended = true
  })
  while (!ended && (await journalOf(directory)).migration?.phase !== 'copy') await sleep(1)
}

// A kill rarely hits the switch: each state between two of its steps is made by hand.
test.each([
  { done: [] },
  { done: ['log'] },
  { done: ['log', 'log.next'] },
  { done: ['log', 'log.next', 'HEAD'] },
  { done: ['log', 'log.next', 'HEAD', 'log.old'] }
])('a switch that died behind its steps $done is gone on with', async ({ done }) => {
  const directory = await oldStore()
  const before = await seen(directory)
  const next = `${directory}-next`
  await cp(directory, next, { recursive: true })
  await migrate(next, { backup: false })
  const has = (step: string): boolean => done.includes(step)
  const at = (name: string): string => join(directory, name)
  await cp(at('log'), at('log.old'), { recursive: true })
  await rm(at('log'), { recursive: true })
  if (!has('log')) await cp(at('log.old'), at('log'), { recursive: true })
  if (!has('log') || has('log.old')) await rm(at('log.old'), { recursive: true })
  await cp(join(next, 'log'), at(has('log.next') ? 'log' : 'log.next'), { recursive: true })
  await cp(join(next, 'HEAD'), at(has('HEAD') ? 'HEAD' : 'HEAD.next'))
  const format = JSON.parse(await readFile(at('FORMAT'), 'utf8')) as object
  const migration = { to: 2, phase: 'switch' }
  await writeFile(at('FORMAT'), JSON.stringify({ ...format, migration }))

  await expect(open(directory)).rejects.toMatchObject({ code: 'MIGRATION_UNFINISHED' })
  const report = await migrate(directory, { backup: false })

  expect(report).toMatchObject({ changed: true, resumed: true })
  expect(await seen(directory)).toEqual(before)
})

interface Journal {
  migration?: { phase: string }
}

let large: string | undefined

/** Format 1, a few megabytes, closed. */
async function largeStore(): Promise<string> {
  const directory = await temporaryPath()
  if (large === undefined) {
    large = await lastingPath('large')
    await cp(join(FIXTURE, 'store'), large, { recursive: true })
    const { storeId } = await readFormat(large)
    const log = await LevelLog.open(large, storeId, 1)
    await log.recover(0, false)
    for (let n = 0; n < FRAMES; n++) {
      const commit = commitOf(log.head + 1, [`${n} `.padEnd(2000, 'x')])
      await log.append([commit], { durable: false })
    }
    await log.checkpoint()
    await log.close()
    HeadFile.open(join(large, 'HEAD'), storeId).file.close()
  }
  await cp(large, directory, { recursive: true })
  return directory
}

async function timeOfMigration(store: string): Promise<number> {
  const directory = `${store}-timed`
  await cp(store, directory, { recursive: true })
  const started = performance.now()
  expect((await new Child('migrations/migrator.mjs', [directory]).ended).code).toBe(0)
  await rm(directory, { recursive: true })
  return performance.now() - started
}

/** Looked at in a copy, so that the store itself stays as it is. */
async function seen(directory: string): Promise<Awaited<ReturnType<typeof look>>> {
  const copy = `${directory}-seen`
  await cp(directory, copy, { recursive: true })
  try {
    await using store = await open(copy)
    return await look(store)
  } finally {
    await rm(copy, { recursive: true })
  }
}

async function hashOf(directory: string): Promise<string> {
  const copy = `${directory}-hashed`
  await cp(directory, copy, { recursive: true })
  try {
    await using store = await open(copy)
    return await store.stateHash()
  } finally {
    await rm(copy, { recursive: true })
  }
}

function fingerprint(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((name) => statSync(join(root, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(root, name))
      return `${name} ${createHash('sha256').update(bytes).digest('hex')}`
    })
}
