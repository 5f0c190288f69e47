import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { Ownership } from '#sutra/storage/owner.js'
import { lookInto } from '../backup/support.ts'
import { EIO, faultEnv, shim } from '../faults/shim.ts'
import { Child } from '../support/child.ts'
import { sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

const noShim = 'missing' in shim ? shim.missing : undefined
const RACER = new URL('./racer.mjs', import.meta.url)

describe('an owner that lives', () => {
  test('keeps every other out, and lets them in when it lets go', async () => {
    const directory = await emptyDirectory()
    const first = await Ownership.take(directory)

    const second = Ownership.take(directory)

    const details = { pid: process.pid, since: expect.any(String) }
    const error = { code: 'STORE_LOCKED', details, retryable: true }
    await expect(second).rejects.toMatchObject(error)
    await first.release()
    const third = await Ownership.take(directory)
    await third.release()
    expect(await readdir(directory)).toEqual([])
  })

  test('is not let go by one who lost it meanwhile', async () => {
    const directory = await emptyDirectory()
    const first = await Ownership.take(directory)
    await rm(join(directory, 'OWNER'))
    const second = await Ownership.take(directory)

    await first.release()

    await expect(Ownership.take(directory)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await second.release()
  })

  test('in another thread keeps this one out; its end lets it in', async () => {
    const directory = await emptyDirectory()
    const worker = new Worker(RACER, { workerData: { directory } })
    await new Promise((resolve) => worker.once('message', resolve))

    await expect(Ownership.take(directory)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await worker.terminate()

    await (await Ownership.take(directory)).release()
  })

  test('in another process keeps this one out; its death lets it in', async () => {
    const directory = await emptyDirectory()
    const child = new Child('storage/racer.mjs', [directory])
    child.process.stdin?.write('go\n')
    await child.line('won')

    const details = { pid: child.pid, since: expect.any(String) }
    const taking = Ownership.take(directory)
    await expect(taking).rejects.toMatchObject({ code: 'STORE_LOCKED', details })
    await child.kill()

    await (await Ownership.take(directory)).release()
  })
})

describe('an owner that cannot remove its file', () => {
  test.skipIf(noShim !== undefined).each(['unlink', 'any'])(
    `for good: close says so, and the same process opens again; %s ${noShim ?? ''}`,
    async (op) => {
      const { directory, before } = await sampleStore()
      const fault = { op, path: directory, end: 'OWNER', errno: EIO, at: 1, count: 1_000_000 }
      // Not before the store is open: taking it over needs the name as well.
      const armed = `${directory}.armed`
      const child = new Child(
        'faults/reopener.mjs',
        [directory, armed],
        faultEnv({ ...fault, when: armed })
      )

      const failed = { name: 'StoreError', code: 'IO_FAILED', cause: 'EIO' }
      expect(await child.line('closed')).toEqual({ closed: failed })
      expect(await child.line('again')).toEqual({ again: before.position })
      await child.line('left')
      // What it left is empty and has no owner, so that others need not wait for its end.
      if (op === 'unlink') expect((await lookInto(directory)).position).toBe(before.position)
      await child.kill()
      expect((await lookInto(directory)).position).toBe(before.position)
    }
  )

  test.skipIf(noShim !== undefined)(
    `or fails at any step of taking it, leaves it free for the next attempt ${noShim ?? ''}`,
    async () => {
      let isLate = false
      for (let at = 1; !isLate; at++) {
        for (const start of [{}, { OWNER: dead('x'), 'OWNER.claim.x': dead('y') }]) {
          const directory = await emptyDirectory()
          for (const [name, text] of Object.entries(start)) {
            await writeFile(join(directory, name), text)
          }
          const fault = faultEnv({ op: 'any', path: directory, errno: EIO, at })
          const child = new Child('storage/racer.mjs', [directory], fault)
          await child.line('ready')
          child.process.stdin?.write('go\n')
          const first = await child.after(1)
          isLate = 'won' in first
          if (!isLate) {
            expect(first).toEqual({ lost: 'EIO' })
            child.process.stdin?.write('go\n')
            expect(await child.after(2), `call ${at}`).toEqual({ won: true })
          }
          expect(await readdir(directory)).toEqual(['OWNER'])
          await child.kill()
        }
      }
    }
  )
})

describe('what a process left that died before it took the directory', () => {
  test('goes with the next owner, but nothing of one that lives', async () => {
    const directory = await emptyDirectory()
    const other = await emptyDirectory()
    const own = await Ownership.take(other)
    const living = await readFile(join(other, 'OWNER'), 'utf8')
    const name = (n: number): string => join(directory, `OWNER.${String(n).padStart(24, '0')}.tmp`)
    const files = [living, dead('a'), '', '{"pid":', dead('b', { boot: 'other' }), '']
    for (const [n, text] of files.entries()) await writeFile(name(n), text)
    const longAgo = new Date(Date.now() - 3_600_000)
    await utimes(name(5), longAgo, longAgo)
    await utimes(name(0), longAgo, longAgo)

    const ownership = await Ownership.take(directory)

    // Files that are half written may be somebody's who is at it right now.
    const left = [0, 2, 3].map((n) => basename(name(n)))
    expect((await readdir(directory)).sort()).toEqual(['OWNER', ...left].sort())
    await ownership.release()
    await own.release()
  })

  test.skipIf(noShim !== undefined)(
    `also where one dies before it links, and another waits there ${noShim ?? ''}`,
    async () => {
      const directory = await emptyDirectory()
      const link = { op: 'link', at: 1, path: directory, end: 'OWNER' }
      const dying = new Child('storage/racer.mjs', [directory], faultEnv({ ...link, kill: true }))
      dying.process.stdin?.write('go\n')
      await dying.ended
      const slow = faultEnv({ ...link, errno: 0, delayMs: 500 })
      const waiting = new Child('storage/racer.mjs', [directory], slow)
      await waiting.line('ready')
      expect(await readdir(directory)).toHaveLength(1)
      waiting.process.stdin?.write('go\n')
      while ((await readdir(directory)).length < 2) await new Promise((go) => setTimeout(go, 5))

      const ownership = await Ownership.take(directory)

      expect(await waiting.after(1)).toEqual({ lost: 'STORE_LOCKED' })
      expect(await readdir(directory)).toEqual(['OWNER'])
      await ownership.release()
      await waiting.kill()
    }
  )
})

describe('an owner that is dead', () => {
  const files: [string, () => Record<string, string>][] = [
    ['of another process', () => ({ OWNER: dead('x') })],
    ['of another boot', () => ({ OWNER: dead('x', { boot: 'other', pid: process.pid }) })],
    ['whose number was given again', () => ({ OWNER: dead('x', { pid: process.pid }) })],
    ['torn', () => ({ OWNER: '{"pid":' })],
    ['empty', () => ({ OWNER: '' })],
    ['of zeros', () => ({ OWNER: '\0'.repeat(100) })],
    ['that is not an owner at all', () => ({ OWNER: 'null' })],
    ['with a stale claim', () => ({ OWNER: dead('x'), 'OWNER.claim.x': dead('y') })],
    [
      'with a stale claim of a stale claim',
      () => ({ OWNER: dead('x'), 'OWNER.claim.x': dead('y'), 'OWNER.claim.y': dead('z') })
    ],
    ['with a claim of another one', () => ({ OWNER: dead('x'), 'OWNER.claim.old': dead('y') })]
  ]

  test.each(files)('%s: is followed by exactly one, of many that try', async (_, make) => {
    for (let round = 0; round < 12; round++) {
      const directory = await emptyDirectory()
      for (const [name, text] of Object.entries(make())) {
        await writeFile(join(directory, name), text)
      }

      const tries = await Promise.allSettled(
        Array.from({ length: 12 }, async () => Ownership.take(directory))
      )

      const winners = tries.filter((one) => one.status === 'fulfilled')
      const losers = tries.filter((one) => one.status === 'rejected')
      expect(winners).toHaveLength(1)
      for (const { reason } of losers) expect(reason).toMatchObject({ code: 'STORE_LOCKED' })
      await expect(Ownership.take(directory)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
      expect(await readdir(directory)).toEqual(['OWNER'])
      await winners[0]?.value.release()
      expect(await readdir(directory)).toEqual([])
    }
  })

  test.skipIf(noShim !== undefined)(
    `has one successor even if a rival sleeps between any two steps ${noShim ?? ''}`,
    async () => {
      const directory = await emptyDirectory()
      await writeFile(join(directory, 'OWNER'), dead('x'))
      await writeFile(join(directory, 'OWNER.claim.x'), dead('y'))
      const wait = { at: 1, errno: 0, path: directory }
      // The first one saw the stale claim, and sleeps before it claims that.
      const slow = faultEnv({ ...wait, op: 'link', end: '.claim.y', delayMs: 400 })
      // The second one removes it meanwhile, has a claim of its own, and sleeps before it uses it.
      const owner = faultEnv({ ...wait, op: 'rename', end: 'OWNER', delayMs: 900 })
      const first = new Child('storage/racer.mjs', [directory], slow)
      const second = new Child('storage/racer.mjs', [directory], owner)
      await Promise.all([first.line('ready'), second.line('ready')])

      first.process.stdin?.write('go\n')
      await new Promise((resolve) => setTimeout(resolve, 150))
      second.process.stdin?.write('go\n')

      const results = await Promise.all([first.after(1), second.after(1)])
      expect(results).toEqual([{ lost: 'STORE_LOCKED' }, { won: true }])
      await Promise.all([first.kill(), second.kill()])
    }
  )

  test('is followed by exactly one of many processes', async () => {
    const directory = await emptyDirectory()
    const racers = Array.from({ length: 5 }, () => new Child('storage/racer.mjs', [directory]))
    await Promise.all(racers.map(async (racer) => racer.line('ready')))
    for (let round = 0; round < 5; round++) {
      await writeFile(join(directory, 'OWNER'), dead(`x${round}`))
      await writeFile(join(directory, `OWNER.claim.x${round}`), dead(`y${round}`))
      const before = racers.map((racer) => racer.lines.length)
      for (const racer of racers) racer.process.stdin?.write('go\n')

      const results = await Promise.all(
        racers.map(async (racer, index) => racer.after(before[index] ?? 0))
      )

      expect(results.filter((line) => 'won' in line)).toHaveLength(1)
      const owner = JSON.parse(await readFile(join(directory, 'OWNER'), 'utf8')) as object
      const winner = racers.find((_, index) => 'won' in (results[index] ?? {}))
      expect(owner).toMatchObject({ pid: winner?.pid })
      winner?.process.stdin?.write('release\n')
      await winner?.after((before[racers.indexOf(winner)] ?? 0) + 1)
    }
    for (const racer of racers) racer.process.stdin?.end()
    await Promise.all(racers.map(async (racer) => racer.ended))
  })
})

async function emptyDirectory(): Promise<string> {
  const directory = await temporaryPath()
  await mkdir(directory)
  return directory
}

/** An OWNER file of a process that never was. */
function dead(token: string, other: object = {}): string {
  const owner = { pid: 2 ** 22 + 1, thread: 0, task: null, started: '1', boot: null }
  return JSON.stringify({ ...owner, since: '2020-01-01T00:00:00.000Z', token, ...other })
}
