/** A store that is opened to be read is left as it is, byte by byte, wherever it lies. */
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open, repair, type Store } from 'sutra-storage'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isRefusal } from '#sutra/storage/level.js'
import { mirrorLevel } from '#sutra/storage/level-mirror.js'
import { tally } from '../projections/tally.ts'
import { Child } from '../support/child.ts'
import { fillSample, look, VECTORS } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

const READ_ONLY = { readOnly: true } as const
const plain = tally(1)

describe('a read-only open changes nothing', () => {
  test('of a store that was closed', async () => {
    const directory = await temporaryPath()
    const store = await open(directory, { ...VECTORS, projections: [plain] })
    await fillSample(store)
    await store.caughtUp()
    const seen = await look(store)
    await store.close()

    const before = await filesOf(directory)
    await using reader = await open(directory, { ...READ_ONLY, projections: [plain] })
    expect(await look(reader)).toEqual(seen)
    await readEverything(reader)
    expect(withoutOwner(await filesOf(directory))).toEqual(before)
    await reader.close()

    expect(await filesOf(directory)).toEqual(before)
  })

  test('of a store whose process was killed, with all of it in the logs of LevelDB', async () => {
    const directory = await killed({ bytes: 2000, commits: 400, durabilities: ['os'] })

    const before = await filesOf(directory)
    await using reader = await open(directory, READ_ONLY)
    expect(await reader.counts()).toMatchObject({ concepts: 400 })
    await readEverything(reader)
    await reader.close()

    // The owner that died is replaced while the store is read.
    expect(await filesOf(directory)).toEqual(withoutOwner(before))
    await using writer = await open(directory)
    expect(await writer.counts()).toMatchObject({ concepts: 400 })
  })

  test('of files that LevelDB would give the same names', async () => {
    const directory = await killed({ bytes: 2000, commits: 50, durabilities: ['os'] })
    for (const part of ['log', join('tables', '1')]) await putInTheWay(join(directory, part))

    const before = await filesOf(directory)
    await using reader = await open(directory, READ_ONLY)
    expect(await reader.counts()).toMatchObject({ concepts: 50 })
    await reader.close()

    expect(await filesOf(directory)).toEqual(withoutOwner(before))
  })
})

test('nothing is left of a mirror, whatever the open came to', async () => {
  const directory = await killed({ bytes: 100, commits: 5, durabilities: ['fsync'] })
  await rm(join(directory, 'tables', 'CURRENT'))

  await expect(open(directory, READ_ONLY)).rejects.toMatchObject({ code: 'TABLES_DAMAGED' })

  expect(await mirrorsOf(process.pid)).toEqual([])
})

test('what a killed reader left is removed by the next process', async () => {
  const directory = await killed({ bytes: 100, commits: 5, durabilities: ['fsync'] })
  const child = new Child('support/writer.mjs', reading(directory))
  await child.line('opened')
  expect(await mirrorsOf(child.pid)).not.toEqual([])
  child.process.kill('SIGKILL')
  await child.ended

  const next = new Child('support/writer.mjs', reading(directory))
  await next.line('opened')
  expect(await mirrorsOf(child.pid)).toEqual([])
  next.process.kill('SIGKILL')
  await next.ended
  const last = new Child('support/writer.mjs', [directory, JSON.stringify({ commits: 0 })])
  await last.ended
})

test('leftovers are told from what lives by when it began, and by whose numbers count', async () => {
  const directory = await killed({ bytes: 100, commits: 5, durabilities: ['fsync'] })
  const ours = (await mirrorsAfterOpen(directory))[0] ?? ''
  const [, , pid, started = '', space = ''] = ours.split('-')
  expect(pid).toBe(String(process.pid))
  const make = async (...parts: string[]): Promise<string> => {
    const name = ['sutra-read', ...parts, 'test'].join('-')
    await mkdir(join(tmpdir(), name))
    onTestFinished(async () => rm(join(tmpdir(), name), { recursive: true, force: true }))
    return name
  }
  const living = await make(String(process.pid), started, space)
  const reused = await make(String(process.pid), `${started}1`, space)
  const elsewhere = await make('4000000', '1', `${space}1`)

  const child = new Child('support/writer.mjs', reading(directory))
  await child.line('opened')
  child.process.kill('SIGKILL')
  await child.ended

  const left = await readdir(tmpdir())
  expect(left).toContain(living)
  expect(left).not.toContain(reused)
  expect(left).toContain(elsewhere)
})

test('a directory for temporary files that is not there is no damage of the store', async () => {
  const directory = await killed({ bytes: 100, commits: 5, durabilities: ['fsync'] })
  const nowhere = join(directory, 'nowhere')
  const child = new Child('support/writer.mjs', reading(directory), { TMPDIR: nowhere })

  const { notOpened } = await child.line('notOpened')
  await child.ended

  expect(notOpened).toMatchObject({ code: 'IO_FAILED', details: { operation: 'open' } })
})

test('temporary files that cannot be made for now are no damage, and no trouble for later', async () => {
  const directory = await killed({ bytes: 100, commits: 5, durabilities: ['fsync'] })
  const place = process.env['TMPDIR']
  process.env['TMPDIR'] = join(directory, 'nowhere')
  try {
    const refused = { code: 'IO_FAILED' }
    await expect(open(directory, READ_ONLY)).rejects.toMatchObject(refused)
    await expect(repair(directory, { dryRun: true })).rejects.toMatchObject(refused)
  } finally {
    if (place === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = place
  }

  await using reader = await open(directory, READ_ONLY)
  expect(await reader.counts()).toMatchObject({ concepts: 5 })
})

test('a database without CURRENT is not mirrored', async () => {
  const directory = await temporaryPath()
  await mkdir(directory)

  const error = await mirrorLevel(directory).catch((cause: unknown) => cause)

  expect(error).toMatchObject({ code: 'ENOENT' })
  expect(isRefusal(error)).toBe(false)
})

const noMounts = whyNoMounts()

describe.skipIf(noMounts !== undefined)(`on media that cannot be written ${noMounts ?? ''}`, () => {
  test('a store is read as anywhere else', async () => {
    const directory = await temporaryPath()
    const store = await open(directory, VECTORS)
    await fillSample(store)
    const seen = await look(store)
    await store.close()
    const media = await frozen(directory)

    await using reader = await open(media, READ_ONLY)
    await using second = await open(media, READ_ONLY)

    expect(await look(reader)).toEqual(seen)
    expect(await look(second)).toEqual(seen)
    await readEverything(reader)
    await expect(reader.learn({ content: 'x' })).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  test('a store whose owner lives is refused', async () => {
    const directory = await temporaryPath()
    await using store = await open(directory)
    const media = await frozen(directory)

    await expect(open(media, READ_ONLY)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    expect(store.head).toBe(0)
  })

  test('a store is not opened to be written', async () => {
    const directory = await killed({ bytes: 100, commits: 5, durabilities: ['fsync'] })
    const media = await frozen(directory)

    await expect(open(media)).rejects.toMatchObject({ code: 'IO_FAILED' })
    await using reader = await open(media, READ_ONLY)
    expect(await reader.counts()).toMatchObject({ concepts: 5 })
  })
})

async function readEverything(store: Store): Promise<void> {
  let events = 0
  for await (const _ of store.events()) events += 1
  expect(events).toBe(store.head)
  const target = await temporaryPath('backup')
  await store.backup(target)
  if ((await store.counts()).vectors === 0) return
  expect(await store.search({ like: { key: 'k3' } }, { k: 1 })).toHaveLength(1)
}

/** A store of a process that was killed behind its last commit. */
async function killed(plan: object): Promise<string> {
  const directory = await temporaryPath()
  const child = new Child('support/writer.mjs', [
    directory,
    JSON.stringify({ ...plan, hold: true })
  ])
  await child.line('done')
  child.process.kill('SIGKILL')
  await child.ended
  return directory
}

function reading(directory: string): string[] {
  return [directory, JSON.stringify({ commits: 0, hold: true, options: READ_ONLY })]
}

/** What a crash leaves, under the names that LevelDB gives next. */
async function putInTheWay(database: string): Promise<void> {
  const numbers = (await readdir(database)).map((name) => Number(/\d+/.exec(name)?.[0] ?? 0))
  const last = Math.max(...numbers)
  for (let number = last - 2; number < last + 8; number++) {
    const digits = String(number).padStart(6, '0')
    for (const name of [`${digits}.ldb`, `MANIFEST-${digits}`, `${digits}.dbtmp`]) {
      await writeFile(join(database, name), `in the way: ${name}`, { flag: 'wx' }).catch(isThere)
    }
  }
}

function isThere(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
}

/** Content and time of every file. */
async function filesOf(directory: string): Promise<Map<string, string>> {
  const names = await readdir(directory, { recursive: true })
  const found = new Map<string, string>()
  for (const name of names.sort()) {
    const path = join(directory, name)
    const { mtimeMs } = await stat(path)
    // LevelDB's lock is of the process: closing a descriptor of it gives it back.
    const isFile = !(await stat(path)).isDirectory() && !name.endsWith('LOCK')
    if (isFile) found.set(name, `${mtimeMs} ${(await readFile(path)).toString('base64')}`)
  }
  return found
}

function withoutOwner(files: Map<string, string>): Map<string, string> {
  return new Map([...files].filter(([name]) => name !== 'OWNER'))
}

/** Of this process, while it reads. */
async function mirrorsAfterOpen(directory: string): Promise<string[]> {
  await using _ = await open(directory, READ_ONLY)
  return await mirrorsOf(process.pid)
}

async function mirrorsOf(pid: number): Promise<string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith(`sutra-read-${pid}-`))
}

/** The same directory, mounted where nothing can be written. */
async function frozen(directory: string): Promise<string> {
  const media = await temporaryPath('media')
  await mkdir(media)
  execFileSync('mount', ['--bind', directory, media])
  onTestFinished(() => void execFileSync('umount', ['--lazy', media]))
  execFileSync('mount', ['-o', 'remount,bind,ro', media])
  return media
}

function whyNoMounts(): string | undefined {
  if (process.platform !== 'linux') return `(skipped: no mounts on ${process.platform})`
  if (process.getuid?.() !== 0) return '(skipped: only root mounts)'
  try {
    execFileSync('mount', ['--bind', tmpdir(), tmpdir()])
    execFileSync('umount', ['--lazy', tmpdir()])
    return undefined
  } catch (error) {
    return `(skipped: ${error instanceof Error ? error.message.split('\n')[0] : 'no mounts'})`
  }
}
