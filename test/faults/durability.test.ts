/** Which files are synced before a frame is acknowledged, as the C library was asked to. */
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { run } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'
import { type Fault, faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined
const NONE = { op: 'none' }

describe.skipIf(missing !== undefined)(`frames that are to be durable ${missing ?? ''}`, () => {
  test('are synced after the log files that LevelDB rotated away from', async () => {
    // Seventeen of a megabyte fill a memtable. Its table file takes its time, so that the rotated
    // log file is still what its frames live in when the durable one comes.
    const slow = { op: 'fdatasync', end: '.ldb', at: 1, errno: 0, delayMs: 1500 }

    const calls = await append(1_000_000, `${'-'.repeat(19)}d`, slow)

    const written = [...new Set(calls.filter(isWrite).map(({ path }) => path))]
    expect(written).toHaveLength(2)
    const [rotated, newest] = written
    const lastRotated = calls.findLastIndex((call) => isWrite(call) && call.path === rotated)
    const lastNewest = calls.findLastIndex((call) => isWrite(call) && call.path === newest)
    const between = calls.slice(lastRotated, lastNewest)
    expect(between.filter((call) => isSync(call) && call.path === rotated)).toHaveLength(1)
    expect(calls.slice(lastNewest).filter(isSync)).toMatchObject([{ path: newest }])
  })

  test('are synced once each when all of them are', async () => {
    const calls = await append(100, 'dddddd', NONE)

    expect(calls.filter(isSync)).toHaveLength(6)
    const afterLastWrite = calls.slice(calls.findLastIndex(isWrite))
    expect(afterLastWrite.filter(isSync)).toHaveLength(1)
  })

  test('sync what came before them first, and once', async () => {
    const calls = await append(100, '---dd', NONE)

    // For the three before, for the first durable one, for the second.
    expect(calls.filter(isSync)).toHaveLength(3)
  })

  test('and only those: frames that are not cost no sync', async () => {
    const calls = await append(100, '------', NONE)

    expect(calls.filter(isWrite).length).toBeGreaterThan(6)
    expect(calls.filter(isSync)).toEqual([])
  })
})

interface Call {
  name: string
  path: string
}

/** The calls on LevelDB's log files, in order. */
async function append(bytes: number, frames: string, fault: Omit<Fault, 'path'>): Promise<Call[]> {
  const directory = await temporaryPath()
  const trace = `${directory}.trace`
  const env = faultEnv({ ...fault, path: directory, trace })
  const ended = await run('faults/appender.mjs', [directory, String(bytes), frames], env)
  const durableHead = frames.lastIndexOf('d') + 1
  expect(ended.lines).toEqual([{ head: frames.length, durableHead }])
  const lines = (await readFile(trace, 'utf8')).trim().split('\n')
  const calls = lines.map((line) => {
    const [name = '', path = ''] = line.split('\t')
    return { name, path }
  })
  return calls.filter(({ path }) => path.endsWith('.log'))
}

function isWrite({ name }: Call): boolean {
  return name === 'fwrite'
}

function isSync({ name }: Call): boolean {
  return name === 'fdatasync'
}
