/** The command line beside a process that has the store open. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { open, type Store } from 'sutra-storage'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { TerminalRun, type TerminalSize } from '../../bench/pictures/terminal.ts'
import { temporaryPath } from '../support/temp.ts'

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname
const ESCAPE = '\u001b'
const USUAL = { columns: 80, rows: 24 }

let dir: string
let store: Store

beforeEach(async () => {
  dir = await temporaryPath()
  store = await open(dir, { attach: true })
  await store.learn({ id: { key: 'a' }, type: 'word', content: 'A' }, { subject: 'ada' })
  await store.learn({ id: { key: 'b' }, content: 'B' })
  await store.associate({ source: { key: 'a' }, target: { key: 'b' }, type: 'to' })
})

afterEach(async () => {
  await store.close()
})

describe('a store that another process has open', () => {
  test('is looked at through its socket', async () => {
    const stats = await sutra('stats', '--dir', dir, '--json')
    const people = await sutra('stats', '--dir', dir)
    const metrics = await sutra('metrics', '--dir', dir)
    const events = await sutra('events', '--dir', dir, '--json')

    expect(stats).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(stats.stdout)).toMatchObject({ position: 3, counts: { concepts: 2 } })
    expect(people.stdout).toMatch(/concepts +2\n/)
    expect(metrics.stdout).toContain('\nsutra_position 3\n')
    expect(events.stdout.trim().split('\n')).toHaveLength(3)
  })

  test('says how it could be looked at where its owner offers nothing', async () => {
    await store.close()
    store = await open(dir)

    for (const args of [['stats'], ['stats', '--watch'], ['events', '--follow'], ['metrics']]) {
      const run = await sutra(...args, '--dir', dir)

      expect(run).toMatchObject({ code: 1, stdout: '' })
      expect(run.stderr).toMatch(/open it there with \{ attach: true \} \(STORE_LOCKED\)\n$/)
    }
  })
})

describe('sutra events', () => {
  test.each([
    ['--types', ['--types', 'concept-learned, association-created'], [1, 2, 3]],
    ['--type and --types', ['--type', 'concept-learned', '--types', 'concept-forgotten'], [1, 2]],
    ['--key', ['--key', 'b'], [2, 3]],
    ['--subject', ['--subject', 'ada'], [1]],
    ['--last', ['--last', '2'], [2, 3]],
    ['--since long ago', ['--since', '2h'], [1, 2, 3]],
    ['--since a date to come', ['--since', '2999-01-01'], []],
    ['--until a date long past', ['--until', '2001-01-01T00:00:00Z'], []]
  ])('%s leaves out the others', async (_, flags, positions) => {
    const run = await sutra('events', '--dir', dir, '--json', ...flags)

    expect(run).toMatchObject({ code: 0, stderr: '' })
    const lines = run.stdout.split('\n').filter((line) => line !== '')
    expect(lines.map((line) => JSON.parse(line).position)).toEqual(positions)
  })

  test.each([
    ['--since', 'yesterday'],
    ['--last', '-1'],
    ['--from', '1', '--last', '2'],
    ['--concept', 'a', '--key', 'b'],
    ['--follow', '--until', '2h']
  ])('refuses %s %s %s %s', async (...flags) => {
    expect(await sutra('events', '--dir', dir, ...flags)).toMatchObject({ code: 2, stdout: '' })
  })

  test('begins at the first event that is not older', async () => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    const since = new Date().toISOString()
    for (let i = 0; i < 20; i++) await store.learn({ content: `c${i}` })

    const run = await sutra('events', '--dir', dir, '--json', '--since', since)

    expect(JSON.parse(run.stdout.split('\n')[0] ?? '')).toMatchObject({ position: 4 })
  })
})

describe.skipIf(process.platform === 'win32')('sutra events --follow', () => {
  test('prints JSON where nobody looks, across one process and the next, until Ctrl-C', async () => {
    const run = start('events', '--dir', dir, '--follow')
    const reopened = async (): Promise<void> => {
      await store.close()
      store = await open(dir, { attach: true })
      await store.learn({ content: 'from the next process' })
    }
    const positions = (async () => {
      const seen: number[] = []
      for await (const line of run.lines) {
        seen.push(JSON.parse(line).position)
        if (seen.length === 3) await store.learn({ content: 'live' })
        if (seen.length === 4) await reopened()
        if (seen.length === 5) run.child.kill('SIGINT')
      }
      return seen
    })()

    expect(await positions).toEqual([1, 2, 3, 4, 5])
    expect(await run.ended).toBe(130)
    expect(await run.stderr).toBe('')
  })

  test('prints what there is where nobody has the store open, and holds nothing', async () => {
    await store.close()
    const run = start('events', '--dir', dir, '--follow', '--last', '1')
    const lines = run.lines[Symbol.asyncIterator]()
    expect(JSON.parse((await lines.next()).value)).toMatchObject({ position: 3 })

    // The one who follows is not the owner: another process may be.
    store = await openSoon()
    await store.learn({ content: 'later' })

    expect(JSON.parse((await lines.next()).value)).toMatchObject({ position: 4 })
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(await run.stderr).toContain('Waiting for a process')
  })

  test('ends by itself at the position that it was told', async () => {
    const run = start('events', '--dir', dir, '--follow', '--to', '4')
    const lines = run.lines[Symbol.asyncIterator]()
    for (let i = 0; i < 3; i++) await lines.next()

    await store.learn({ content: 'the last' })

    expect(await run.ended).toBe(0)
  })
})

describe.skipIf(process.platform !== 'linux')('on a terminal', () => {
  test('events are shown in columns and colours, and Ctrl-C ends them', async () => {
    const run = terminal(['events', '--dir', dir, '--follow'], { columns: 110, rows: 10 })
    const lines = await run.until((shown) => shown.some((line) => line.includes('association-')))

    expect(lines[0]).toMatch(
      /^ {10}1 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ {2}concept-learned {9}a {2}A +ada$/
    )
    expect(lines[2]).toMatch(/^ {10}3 .* association-created {5}a → to → b$/)
    expect(run.raw).toContain('\u001b[32m')
    run.type('\u0003')
    expect(await run.ended).toBe(130)
    expect(run.raw).not.toContain('Interrupted')
  })

  test('statistics are shown live, in any size, and the terminal is given back', async () => {
    const run = terminal(['stats', '--watch', '--dir', dir, '--interval', '0.1'], USUAL)
    await run.until((shown) => /^commits +[\d.]+ \/s/.test(shown[3] ?? ''))
    await store.learn({ content: 'more' })
    const shown = await run.until((now) => /tables +running +0 .* 4\b/.test(now.join('\n')))

    expect(shown).toHaveLength(24)
    expect(shown[0]).toMatch(/^sutra .* every 0\.1 s {2}\d\d:\d\d:\d\d$/)
    expect(shown.at(-1)).toMatch(/^alerts .* q quits$/)
    expectScreen(run)
    for (const size of [{ columns: 50, rows: 15 }, { columns: 140, rows: 45 }, USUAL]) {
      run.resize(size)
      const resized = await run.until(
        (now) => now.length === size.rows && now.at(-1)?.length === size.columns
      )
      expect(resized.at(-1)).toMatch(/ q quits$/)
    }
    run.type('q')

    expect(await run.ended).toBe(0)
    expectGivenBack(run)
  })

  test('Ctrl-C leaves the screen as well, and SIGTERM', async () => {
    for (const [stop, code] of [
      [(run: TerminalRun) => run.type('\u0003'), 130],
      [(run: TerminalRun) => run.signal('SIGTERM'), 143]
    ] as const) {
      const run = terminal(['stats', '--watch', '--dir', dir], USUAL)
      await run.until((shown) => shown.at(-1)?.endsWith('q quits') === true)

      stop(run)

      expect(await run.ended).toBe(code)
      expectGivenBack(run)
    }
  })

  test('says that the store is closed, and goes on with the next process', async () => {
    const run = terminal(['stats', '--watch', '--dir', dir, '--interval', '0.2'], USUAL)
    await run.until((shown) => /Nothing to do/.test(shown[1] ?? ''))
    await store.close()

    await run.until((shown) => /Waiting for a process/.test(shown[1] ?? ''))
    store = await openSoon()

    await run.until((shown) => /Nothing to do/.test(shown[1] ?? ''))
    run.type('q')
    expect(await run.ended).toBe(0)
  })

  test('has no colours where they are not wanted', async () => {
    const run = terminal(['stats', '--watch', '--dir', dir], USUAL, { NO_COLOR: '1' })
    await run.until((shown) => /Nothing to do/.test(shown[1] ?? ''))
    run.type('q')
    await run.ended

    expect(run.raw).not.toMatch(new RegExp(`${ESCAPE}\\[\\d+m`))
  })
})

describe('sutra stats --watch without a terminal', () => {
  test('prints a line each time, or a record', async () => {
    for (const flags of [[], ['--json']]) {
      const run = start('stats', '--watch', '--dir', dir, '--interval', '0.1', ...flags)
      const lines = run.lines[Symbol.asyncIterator]()
      await lines.next()
      const second = (await lines.next()).value
      run.child.kill('SIGINT')

      if (flags.length === 0) expect(second).toMatch(/commits 0\/s {2}events 0\/s/)
      else expect(JSON.parse(second)).toMatchObject({ position: 3, rates: { commitsPerSec: 0 } })
      expect(await run.ended).toBe(130)
    }
  })

  test.each([['0'], ['x'], ['4000']])('refuses an interval of %s', async (interval) => {
    const run = await sutra('stats', '--watch', '--dir', dir, '--interval', interval)

    expect(run).toMatchObject({ code: 2, stdout: '' })
  })

  test('refuses an interval for a single look', async () => {
    expect(await sutra('stats', '--dir', dir, '--interval', '1')).toMatchObject({ code: 2 })
  })
})

function terminal(args: string[], size: TerminalSize, env: NodeJS.ProcessEnv = {}): TerminalRun {
  const run = new TerminalRun([process.execPath, MAIN, ...args], size, env)
  onTestFinished(async () => run.kill())
  return run
}

/** Nothing scrolled, nothing wrapped, and every frame went out as one. */
function expectScreen(run: TerminalRun): void {
  expect(run.terminal.buffer.active.type).toBe('alternate')
  expect(run.terminal.buffer.active.baseY).toBe(0)
  expect(run.raw).not.toContain('\n')
  expect(run.raw.split('\u001b[?2026h')).toHaveLength(run.raw.split('\u001b[?2026l').length)
}

function expectGivenBack(run: TerminalRun): void {
  expect(run.raw).toContain('\u001b[?1049h')
  // Wrapping is on, the cursor is shown, and what was there before is back.
  const end = run.raw.slice(run.raw.lastIndexOf(`${ESCAPE}[?7h`))
  expect(end.startsWith(`${ESCAPE}[?7h${ESCAPE}[?25h${ESCAPE}[?1049l`)).toBe(true)
  expect(end.split(ESCAPE)).toHaveLength(4)
  expect(run.terminal.buffer.active.type).toBe('normal')
}

interface Started {
  child: ChildProcess
  lines: Interface
  stderr: Promise<string>
  ended: Promise<number>
}

function start(...args: string[]): Started {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, 'close').then(([code]) => Number(code))
  return { child, lines, stderr: text(child.stderr), ended }
}

async function sutra(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close')
  ])
  return { code, stdout, stderr }
}

/** Another process may be taking a look, and lets go at once. */
async function openSoon(): Promise<Store> {
  for (;;) {
    try {
      return await open(dir, { attach: true })
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'STORE_LOCKED')
        throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
