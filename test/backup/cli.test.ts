/** `sutra backup` and `sutra restore`, as somebody at a terminal meets them. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { migrate, open, repair } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { faultEnv, shim } from '../faults/shim.ts'
import { flipFile } from '../support/raw.ts'
import { sampleStore } from '../support/sample.ts'
import { sutra } from '../support/sutra.ts'
import { temporaryPath } from '../support/temp.ts'
import { lookInto } from './support.ts'

const noShim = 'missing' in shim ? shim.missing : undefined

test('a backup is made, gone on with and restored, its state compared', async () => {
  const { directory, before } = await sampleStore()
  const [backup, dir] = [await temporaryPath('backup'), await temporaryPath()]

  const first = await sutra('backup', backup, '--dir', directory, '--json')
  const second = await sutra('backup', backup, '--dir', directory)
  const restored = await sutra('restore', backup, '--dir', dir, '--json')

  const { position, stateHash } = before
  expect(JSON.parse(first.stdout)).toMatchObject({ position, stateHash, from: 0 })
  expect(second).toMatchObject({ code: 0, stderr: '' })
  expect(second.stdout).toContain(`0 events in 0 frames, new since position ${position}`)
  expect(restored).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(restored.stdout)).toMatchObject({
    ok: true,
    position,
    stateHash,
    expectedHash: stateHash
  })
})

describe.skipIf(noShim !== undefined)(`killed while it compares ${noShim ?? ''}`, () => {
  test.each([12, 30])('at call %i: no store; the same command makes one', async (at) => {
    const { directory, before } = await sampleStore()
    const [backup, dir] = [await temporaryPath('backup'), await temporaryPath()]
    await sutra('backup', backup, '--dir', directory)
    const restoring = ['restore', backup, '--dir', dir]
    // Tables are made behind all that is copied: little but the comparison writes there.
    const env = faultEnv({ op: 'any', path: join(dir, 'tables/'), at, kill: true })

    expect(await sutraIn(env, ...restoring)).toMatchObject({ signal: 'SIGKILL' })

    const refusal = { code: 'STORE_DAMAGED', details: { file: 'RESTORING' } }
    await expect(open(dir)).rejects.toMatchObject(refusal)
    await expect(repair(dir)).rejects.toMatchObject(refusal)
    await expect(migrate(dir, { backup: false })).rejects.toMatchObject(refusal)
    const again = await sutra(...restoring, '--json')
    expect(again).toMatchObject({ code: 0, stderr: '' })
    const { stateHash } = before
    expect(JSON.parse(again.stdout)).toMatchObject({ ok: true, stateHash, expectedHash: stateHash })
    expect(await lookInto(dir)).toEqual(before)
    // And a store that is finished is not taken for a leftover.
    expect(await sutra(...restoring)).toMatchObject({ code: 1 })
    expect(await lookInto(dir)).toEqual(before)
  })
})

test('a restore to a position or a time says where the backup goes on to', async () => {
  const { directory, before } = await sampleStore()
  const backup = await temporaryPath('backup')
  await sutra('backup', backup, '--dir', directory)
  const time = await timeOf(directory, 10)

  const there = await temporaryPath()
  const byPosition = await sutra('restore', backup, '--dir', there, '--to-position', '10')
  const to = ['--to-time', new Date(time).toISOString(), '--json']
  const byTime = await sutra('restore', backup, '--dir', await temporaryPath(), ...to)

  expect(byPosition).toMatchObject({ code: 0, stderr: '' })
  expect(byPosition.stdout).toContain(`goes on to position ${before.position}`)
  await using store = await open(there)
  expect(store.head).toBe(10)
  expect(byPosition.stdout).toContain(await store.stateHash())
  expect(JSON.parse(byTime.stdout).position).toBeGreaterThanOrEqual(10)
})

test('a state that is not the one that was backed up fails', async () => {
  const { directory } = await sampleStore()
  const backup = await temporaryPath('backup')
  await sutra('backup', backup, '--dir', directory)
  const path = join(backup, 'BACKUP')
  const [json = ''] = (await readFile(path, 'utf8')).split('\n')
  const changed = json.replace(/"stateHash":"[0-9a-f]{4}/, '"stateHash":"beef')
  await writeFile(path, `${changed}\n${crc32(changed).toString(16).padStart(8, '0')}\n`)

  const run = await sutra('restore', backup, '--dir', await temporaryPath())

  expect(run.code).toBe(1)
  expect(run.stdout).toContain('The restored state is not the one that was backed up')
  expect(run.stdout).toContain('beef')
})

test('what makes no sense is misuse, what cannot be done fails with its code', async () => {
  const { directory } = await sampleStore()
  const dir = await temporaryPath()
  const restore = async (...args: string[]) => sutra('restore', directory, '--dir', dir, ...args)

  expect((await sutra('backup', '--dir', directory)).code).toBe(2)
  expect((await restore('--to-time', 'yesterday')).code).toBe(2)
  expect((await restore('--to-position', '1', '--to-time', '2026-01-01')).code).toBe(2)
  const missing = await restore()
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('(BACKUP_NOT_FOUND)') })
})

test('a flipped bit of an older part: verify names it, the next backup refuses it', async () => {
  const { directory } = await sampleStore()
  const backup = await temporaryPath('backup')
  await sutra('backup', backup, '--dir', directory)
  const whole = await sutra('verify', '--backup', backup)
  await flipFile(join(backup, 'data', '1.frames'), 200)

  const verified = await sutra('verify', '--backup', backup, '--json')
  const next = await sutra('backup', backup, '--dir', directory)
  const unread = await sutra('backup', backup, '--dir', directory, '--no-check')

  expect(whole).toMatchObject({ code: 0, stderr: '' })
  expect(whole.stdout).toContain('The backup is whole')
  expect(verified).toMatchObject({ code: 1, stderr: '' })
  expect(JSON.parse(verified.stdout)).toMatchObject({
    ok: false,
    problems: [{ file: '1.frames', reason: expect.stringContaining('checksum differs') }]
  })
  expect(next).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/1\.frames.*BACKUP_DAMAGED/)
  })
  expect(unread).toMatchObject({ code: 0, stderr: '' })
  const missing = await sutra('verify', '--backup', directory)
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('(BACKUP_NOT_FOUND)') })
  for (const misuse of [[], ['--backup', ''], ['--backup', backup, '--dir', directory]]) {
    expect(await sutra('verify', ...misuse), misuse.join(' ')).toMatchObject({ code: 2 })
  }
})

async function timeOf(directory: string, position: number): Promise<number> {
  await using store = await open(directory)
  for await (const event of store.events({ from: position, to: position })) return event.time
  throw new Error(`There is no event at ${position}`)
}

interface Ran {
  code: number
  signal: string | undefined
  stdout: string
  stderr: string
}

async function sutraIn(more: NodeJS.ProcessEnv, ...args: string[]): Promise<Ran> {
  const main = join('dist', 'cli', 'main.js')
  const env = { ...process.env, ...more }
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { env }, (error, stdout, stderr) => {
      resolve({
        code: Number(error?.code ?? 0),
        signal: error?.signal ?? undefined,
        stdout,
        stderr
      })
    })
  })
}
