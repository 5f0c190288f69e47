/** The k-th call on a file of the log fails: what was promised is kept, and nothing is promised after. */
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { type Ended, run } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'
import { EIO, ENOSPC, type Fault, faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined

// A frame is two calls of fwrite (header, payload), one of fflush and one of fdatasync.
const SWEEP: [string, Omit<Fault, 'path'>[]][] = [
  ['fwrite', at([1, 2, 13], { op: 'fwrite', errno: ENOSPC })],
  ['fwrite, half of it written', at([2, 9], { op: 'fwrite', errno: EIO, partial: true })],
  ['fflush', at([1, 6], { op: 'fflush', errno: ENOSPC })],
  ['fdatasync', at([1, 7], { op: 'fdatasync', errno: EIO })]
]

describe.skipIf(missing !== undefined)(`a failing write of the log ${missing ?? ''}`, () => {
  test.each(SWEEP)('%s', async (_, faults) => {
    for (const fault of faults) {
      const directory = await temporaryPath()
      const plan = { commits: 12, durabilities: ['fsync'] }
      const path = join(directory, 'log')
      const env = faultEnv({ ...fault, path, end: '.log' })

      const ended = await run('support/writer.mjs', [directory, JSON.stringify(plan)], env)

      const acknowledged = expectPoisoned(ended)
      await expectKept(directory, acknowledged, acknowledged + 1)
    }
  })

  test('commits that are not durable fail as well when the system refuses them', async () => {
    const directory = await temporaryPath()
    const plan = { commits: 12, durabilities: ['os'] }
    const path = join(directory, 'log')
    const env = faultEnv({ op: 'fwrite', at: 9, errno: ENOSPC, path, end: '.log' })

    const ended = await run('support/writer.mjs', [directory, JSON.stringify(plan)], env)

    const acknowledged = expectPoisoned(ended)
    await expectKept(directory, acknowledged, acknowledged + 1)
  })

  test('a failing sync behind the back of the writers poisons too, and telemetry tells', async () => {
    const directory = await temporaryPath()
    const options = { durabilityIntervalMs: 10, pipeline: { intervalMs: { min: 1, base: 1 } } }
    const plan = { commits: 2000, durabilities: ['interval'], options }
    const path = join(directory, 'log')
    const env = faultEnv({ op: 'fdatasync', at: 1, path, end: '.log' })

    const ended = await run('support/writer.mjs', [directory, JSON.stringify(plan)], env)

    const failures = ended.lines.filter((line) => 'failed' in line)
    expect(failures[0]).toMatchObject({ error: { code: 'STORE_POISONED' } })
    expect(ended.lines.find((line) => 'telemetry' in line)).toMatchObject({
      telemetry: { type: 'poisoned', durableHead: 0 }
    })
    const acknowledged = ended.lines.filter((line) => 'ack' in line).length
    await expectKept(directory, acknowledged, acknowledged)
  })

  test('a table file that cannot be written when the store closes costs nothing', async () => {
    for (const op of ['fwrite', 'fdatasync']) {
      const directory = await temporaryPath()
      const plan = { commits: 5 }
      const path = join(directory, 'log')
      const env = faultEnv({ op, at: 1, path, end: '.ldb' })

      const ended = await run('support/writer.mjs', [directory, JSON.stringify(plan)], env)

      expect(ended.lines.filter((line) => 'ack' in line)).toHaveLength(5)
      expect(ended.lines.at(-1)).toHaveProperty('closed')
      await expectKept(directory, 5, 5)
    }
  })

  test('a log file that cannot be rotated poisons, and nothing acknowledged is lost', async () => {
    // Seventeen of a megabyte fill the memtable; the table file it becomes cannot be written.
    const directory = await temporaryPath()
    const plan = { commits: 40, bytes: 600_000, durabilities: ['os', 'os', 'os', 'fsync'] }
    const path = join(directory, 'log')
    const env = faultEnv({ op: 'fwrite', at: 3, count: 1000, errno: ENOSPC, path, end: '.ldb' })

    const ended = await run('support/writer.mjs', [directory, JSON.stringify(plan)], env)

    const acknowledged = expectPoisoned(ended)
    expect(acknowledged).toBeGreaterThan(15)
    await expectKept(directory, acknowledged, acknowledged + 1)
  })
})

/** The first failure is of unknown outcome, all later ones are refusals, reads went on. */
function expectPoisoned({ lines, code }: Ended): number {
  const acknowledged = lines.filter((line) => 'ack' in line).length
  const failures = lines.filter((line) => 'failed' in line)
  const position = acknowledged + 1
  const details = { first: position, last: position }
  expect(failures.length).toBeGreaterThan(0)
  expect(failures[0]).toMatchObject({
    failed: position,
    error: { code: 'WRITE_FAILED', outcome: 'unknown', details }
  })
  for (const later of failures.slice(1)) {
    expect(later).toMatchObject({ error: { code: 'STORE_POISONED', outcome: 'none' } })
  }
  const state = { position: acknowledged, concepts: acknowledged, poisoned: true }
  expect(lines.find((line) => 'done' in line)).toMatchObject({ done: state })
  expect(lines.find((line) => 'telemetry' in line)).toMatchObject({
    telemetry: { type: 'poisoned' }
  })
  expect(lines.at(-1)).toEqual({ closed: true })
  expect(code).toBe(0)
  return acknowledged
}

/** Opening it again heals it: between what was acknowledged and what was tried, in order. */
async function expectKept(directory: string, atLeast: number, atMost: number): Promise<void> {
  await using store = await open(directory)
  expect(store.head).toBeGreaterThanOrEqual(atLeast)
  expect(store.head).toBeLessThanOrEqual(atMost)
  const { concepts } = await store.counts()
  expect(concepts).toBe(store.head)
  for (let n = 1; n <= concepts; n++) expect(await store.has({ key: `k${n}` })).toBe(true)
  await store.learn({ id: { key: 'later' }, content: 'Later' })
  let events = 0
  for await (const _ of store.events()) events += 1
  expect(events).toBe(store.head)
}

function at<T extends object>(calls: number[], fault: T): (T & { at: number })[] {
  return calls.map((call) => ({ ...fault, at: call }))
}
