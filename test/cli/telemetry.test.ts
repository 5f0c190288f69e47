/** `sutra telemetry`: what was kept, for people and for programs, from files and from a process. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { attach, open, type TelemetryEvent } from 'sutra-storage'
import { beforeAll, describe, expect, test } from 'vitest'
import { describe as describeEvent } from '#sutra/cli/telemetry-line.js'
import { lastingPath, temporaryPath } from '../support/temp.ts'

const KEPT = { telemetry: { store: { summaryMs: 1000 } } } as const
const [SINCE, UNTIL] = ['2026-01-01T00:00Z', '2020-01-01']

let directory: string

beforeAll(async () => {
  directory = await lastingPath()
  const store = await open(directory, KEPT)
  for (let i = 0; i < 20; i++) await store.learn({ content: `Concept ${i}` })
  await expect(store.forget({ key: 'nowhere' })).rejects.toThrow()
  await store.close()
})

async function sutra(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['dist/cli/main.js', 'telemetry', ...args])
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close')
  ])
  return { code: Number(code), stdout, stderr }
}

function eventsOf({ stdout }: { stdout: string }): TelemetryEvent[] {
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as TelemetryEvent)
}

test('prints a line for each event: time, kind and what it says', async () => {
  const run = await sutra('--dir', directory)

  expect(run).toMatchObject({ code: 0, stderr: '' })
  const lines = run.stdout.trimEnd().split('\n')
  expect(lines.every((line) => /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}\S/.test(line))).toBe(true)
  expect(run.stdout).toMatch(/ commit commit +20 × 20 items, p50 .*, p99 /)
  expect(run.stdout).toMatch(
    / commit-failed +code CONCEPT_NOT_FOUND, outcome none, commands 1, .*[^…]$/m
  )
  expect(run.stdout).toMatch(/ opened +position 0, took .* ms, recovered 0$/m)
})

test('names the rule of an alert, and what it is of', () => {
  const alert = {
    v: 1,
    time: 0,
    name: 'projection-lag',
    severity: 'warning',
    metric: 'projection.lagMs',
    of: 'tables',
    value: 7,
    threshold: 5,
    since: 0,
    message: 'It is 7 ms behind'
  } as const

  expect(describeEvent({ type: 'alert-raised', ...alert })).toBe(
    'projection-lag of tables, warning: It is 7 ms behind'
  )
  expect(describeEvent({ type: 'alert-raised', ...alert, of: '' })).toBe(
    'projection-lag, warning: It is 7 ms behind'
  )
  expect(describeEvent({ type: 'alert-cleared', ...alert, ms: 2500 })).toBe(
    'projection-lag of tables, after 2.5 s: It is 7 ms behind'
  )
})

test('prints JSON, and takes kinds by their first words, times and counts', async () => {
  const all = eventsOf(await sutra('--dir', directory, '--json'))
  expect(all.length).toBeGreaterThan(5)
  const commits = eventsOf(await sutra('--dir', directory, '--json', '--type', 'commit,closed'))
  expect(new Set(commits.map(({ type }) => type))).toEqual(
    new Set(['summary', 'commit-failed', 'closed'])
  )
  expect(await sutra('--dir', directory, '--json', '--since', SINCE)).toMatchObject({ code: 0 })
  expect(eventsOf(await sutra('--dir', directory, '--json', '--until', UNTIL))).toEqual([])
  expect(eventsOf(await sutra('--dir', directory, '--json', '--since', '1h'))).toEqual(all)
  const first = await sutra('--dir', directory, '--json', '--limit', '2')
  expect(eventsOf(first)).toEqual(all.slice(0, 2))
  const last = await sutra('--dir', directory, '--json', '--last', '2')
  expect(eventsOf(last)).toEqual(all.slice(-2))
})

describe('refuses', () => {
  test.each([
    ['--since', 'yesterday'],
    ['--since', '2h', '--until', '3h'],
    ['--limit', '1', '--last', '1'],
    ['--limit', '0'],
    ['--last', '1000000'],
    ['--type', ','],
    ['--type', 'nonsense'],
    ['--type', 'alert,aler'],
    ['--follow', '--last', '1'],
    ['--follow', '--until', '1h']
  ])('%s %s %s %s', async (...args) => {
    const run = await sutra('--dir', directory, ...args.filter((one) => one !== undefined))
    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).not.toBe('')
  })

  test('a directory without any, and follows only a process that offers it', async () => {
    const none = await temporaryPath()
    const run = await sutra('--dir', none)
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('(STORE_NOT_FOUND)') })
    const followed = await sutra('--dir', directory, '--follow')
    expect(followed.stderr).toContain('(ATTACH_UNAVAILABLE)')
  })
})

test('asks the process that has the store open, if that offers it', async () => {
  const path = await temporaryPath()
  const locked = await open(path, KEPT)
  await expect.poll(() => locked.stats().telemetry?.stored, { timeout: 20_000 }).toBeGreaterThan(1)
  const refused = await sutra('--dir', path)
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toMatch(/attach: true.*\(STORE_LOCKED\)/)
  await locked.close()

  await using store = await open(path, { ...KEPT, attach: true })
  await expect.poll(() => store.stats().telemetry?.stored, { timeout: 20_000 }).toBeGreaterThan(1)
  const opened = eventsOf(await sutra('--dir', path, '--json', '--type', 'opened'))
  expect(opened).toHaveLength(2)
})

test.skipIf(process.platform === 'win32')('follows until Ctrl-C', async () => {
  const path = await temporaryPath()
  await using store = await open(path, { ...KEPT, attach: true })
  const args = ['dist/cli/main.js', 'telemetry', '--dir', path, '--follow', '--json']
  const child = spawn(process.execPath, [...args, '--type', 'commit-failed'])
  const seen = text(child.stdout)
  const complained = text(child.stderr)
  await using attached = await attach(path)
  expect((await attached.process()).pid).toBe(process.pid)
  await expect(store.forget({ key: 'nowhere' })).rejects.toThrow()
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  const [code] = await once(child, 'close')
  expect(eventsOf({ stdout: await seen })).toMatchObject([{ code: 'CONCEPT_NOT_FOUND' }])
  expect(code).toBe(130)
  expect(await complained).toBe('')
})
