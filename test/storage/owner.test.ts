import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { Ownership } from '#sutra/storage/owner.js'
import { faultEnv, shim } from '../faults/shim.ts'
import { Child } from '../support/child.ts'
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
