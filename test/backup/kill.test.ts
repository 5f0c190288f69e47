/** The process dies before each kind of file operation of a backup or a restore. */
import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isStoreError, open, restore } from 'sutra-storage'
import { expect, test } from 'vitest'
import { run } from '../support/child.ts'
import { type Seen, sampleStore, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { lookInto } from './support.ts'

const SCRIPT = 'backup/copier.mjs'
/** Instants of each kind; all of them with SUTRA_TEST_KILLS=1000. */
const KILLS = Number(process.env['SUTRA_TEST_KILLS'] ?? 3)
const LONG = { timeout: 600_000 }

test('a first backup that is killed is none, or whole; the next one makes it', LONG, async () => {
  const { directory, before } = await sampleStore()
  const target = await temporaryPath('backup')

  const outcomes = await killEach(['backup', directory, target], async () => {
    const seen = await restoredFrom(target)
    if (seen !== undefined) expect(seen).toEqual(before)
    await expectNextBackup(directory, target)
    expect(await restoredFrom(target)).toEqual(before)
    await rm(target, { recursive: true })
    return seen === undefined ? 'none' : 'new'
  })

  expect(outcomes).toEqual(new Set(['none', 'new']))
})

test('a later backup that is killed leaves the older one or the newer', LONG, async () => {
  const { directory, before } = await sampleStore()
  const older = await temporaryPath('older')
  const target = await temporaryPath('backup')
  const after = await changed(directory, older)
  await cp(older, target, { recursive: true })

  const outcomes = await killEach(['backup', directory, target], async () => {
    const seen = await restoredFrom(target)
    expect([before.stateHash, after.stateHash]).toContain(seen?.stateHash)
    expect(seen).toEqual(seen?.stateHash === after.stateHash ? after : before)
    await expectNextBackup(directory, target)
    expect(await restoredFrom(target)).toEqual(after)
    await rm(target, { recursive: true })
    await cp(older, target, { recursive: true })
    return seen?.stateHash === after.stateHash ? 'new' : 'old'
  })

  expect(outcomes).toEqual(new Set(['old', 'new']))
})

const RESTORES = [
  ['restore', 'all of it'],
  ['compare', 'all of it, compared']
] as const

test.each(RESTORES)('a %s that is killed leaves no store, or %s', LONG, async (what) => {
  const { directory, before } = await sampleStore()
  const [backup, target] = [await temporaryPath('backup'), await temporaryPath()]
  await expectNextBackup(directory, backup)

  const outcomes = await killEach([what, backup, target], async () => {
    const whole = await lookInto(target).catch((error: unknown) => {
      const unfinished = ['NOT_A_STORE', 'STORE_NOT_FOUND', 'STORE_DAMAGED'] as const
      if (unfinished.some((code) => isStoreError(error, code))) return
      throw error
    })
    if (whole === undefined) await restore(backup, target)
    expect(whole ?? (await lookInto(target))).toEqual(before)
    await rm(target, { recursive: true })
    return whole === undefined ? 'none' : 'whole'
  })

  expect(outcomes).toEqual(new Set(['none', 'whole']))
})

/** Lets the program live once, then die at instants that lie evenly between the first and last. */
async function killEach(
  args: readonly [what: string, from: string, to: string],
  examine: () => Promise<string>
): Promise<Set<string>> {
  const from = await temporaryPath('from')
  const to = await temporaryPath('to')
  await cp(args[1], from, { recursive: true })
  if (args[0] === 'backup') await cp(args[2], to, { recursive: true }).catch(() => undefined)
  const whole = await run(SCRIPT, [args[0], from, to])
  expect(whole.stderr).toBe('')
  const operations = Number(whole.lines[0]?.['operations'])
  expect(operations).toBeGreaterThan(15)

  const kills = Math.min(KILLS, operations)
  const outcomes = new Set<string>()
  for (let kill = 0; kill < kills; kill++) {
    const at = 1 + Math.round((kill * (operations - 1)) / Math.max(1, kills - 1))
    const { signal, stderr } = await run(SCRIPT, [...args, String(at)])
    expect(signal, `killed before operation ${at} of ${operations}: ${stderr}`).toBe('SIGKILL')
    outcomes.add(await examine())
  }
  return outcomes
}

async function restoredFrom(target: string): Promise<Seen | undefined> {
  const restored = await temporaryPath()
  try {
    await restore(target, restored)
  } catch (error) {
    if (isStoreError(error, 'BACKUP_NOT_FOUND')) return undefined
    throw error
  }
  return lookInto(restored)
}

/** Whatever a dead one left behind, the next backup works and leaves nothing unnamed. */
async function expectNextBackup(directory: string, target: string): Promise<void> {
  await using store = await open(directory)
  // Otherwise the index grows in between, and the second one has something to copy.
  await store.caughtUp()
  await store.backup(target)
  const files = await readdir(join(target, 'data'))
  await store.backup(target)
  expect(await readdir(join(target, 'data'))).toEqual(files)
  expect((await readdir(target)).sort()).toEqual(['BACKUP', 'data'])
}

/** Backs the sample up, then changes it: more frames, and another file of vectors. */
async function changed(directory: string, backup: string): Promise<Seen> {
  await using store = await open(directory)
  await store.backup(backup)
  for (let n = 0; n < 5; n++) {
    await store.learn({ content: `Later ${n}`, embedding: vectorOf(50 + n) })
  }
  // With the index saved, every later backup takes the same steps.
  await store.checkpoint()
  await store.close()
  return await lookInto(directory)
}
