/** `sutra backup` and `sutra restore`, as somebody at a terminal meets them. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { open } from 'sutra-storage'
import { expect, test } from 'vitest'
import { sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

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

async function timeOf(directory: string, position: number): Promise<number> {
  await using store = await open(directory)
  for await (const event of store.events({ from: position, to: position })) return event.time
  throw new Error(`There is no event at ${position}`)
}

async function sutra(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const main = join('dist', 'cli', 'main.js')
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}
