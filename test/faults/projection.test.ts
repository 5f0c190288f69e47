/** The tables cannot be written: they stop, visibly, and everything else goes on. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Child, run } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'
import { ENOSPC, faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined

describe.skipIf(missing !== undefined)(`tables that cannot be written ${missing ?? ''}`, () => {
  test.each(['fwrite', 'fflush'])(
    'stop with the cause when %s fails, and the log goes on',
    async (op) => {
      const directory = await temporaryPath()
      const options = { pipeline: { queueEventsMax: 100 } }
      const plan = { commits: 1000, durabilities: ['os'], options }
      const path = join(directory, 'tables')
      const env = faultEnv({ op, at: 3, errno: ENOSPC, path, end: '.log' })

      const ended = await run('support/writer.mjs', [directory, JSON.stringify(plan)], env)

      const stopped = ended.lines.find((line) => 'telemetry' in line)?.['telemetry'] as
        | { position: number }
        | undefined
      const error = expect.stringContaining('No space left')
      expect(stopped).toMatchObject({ type: 'projection-stopped', projection: 'tables', error })
      const position = stopped?.position ?? -1
      const acknowledged = ended.lines.filter((line) => 'ack' in line).length
      // Writers are refused once a hundred events wait, not before.
      expect(acknowledged).toBe(position + 100)
      const details = { projection: 'tables', position }
      for (const line of ended.lines.filter((one) => 'failed' in one)) {
        expect(line).toMatchObject({
          error: { code: 'PROJECTION_STOPPED', outcome: 'none', details }
        })
      }
      expect(ended.lines.find((line) => 'done' in line)).toMatchObject({
        done: {
          concepts: acknowledged,
          newest: `k${acknowledged}`,
          projections: { tables: { state: 'stopped', position, error } }
        }
      })
      expect(ended.lines.at(-1)).toEqual({ closed: true })
      await expectWhole(directory, acknowledged)
    }
  )

  test('are healed by opening again in the same process', async () => {
    const parent = await temporaryPath('parent')
    await mkdir(parent)
    const directory = join(parent, 'store')
    const when = join(parent, 'failing')
    await writeFile(when, '')
    const path = join(directory, 'tables')
    // The first two name the store that makes them.
    const env = faultEnv({ op: 'fwrite', at: 3, count: 100, path, end: '.log', when })

    const child = new Child('faults/reopen.mjs', [directory], env)
    expect(await child.line('stopped')).toMatchObject({ stopped: 'stopped', concepts: 20 })
    await rm(when)
    child.process.stdin?.write('go\n')

    const { lines, stderr } = await child.ended
    expect(stderr).toBe('')
    expect(lines.at(-1)).toEqual({ reopened: 'running', concepts: 20, ok: true })
  })
})

async function expectWhole(directory: string, concepts: number): Promise<void> {
  await using store = await open(directory)
  await store.caughtUp()
  expect(store.stats().pipeline.projections['tables']).toMatchObject({
    state: 'running',
    position: concepts
  })
  expect((await store.counts()).concepts).toBe(concepts)
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}
