/**
 * A process is killed in the middle of an import, again and again, and started anew with the same
 * key. `SUTRA_IMPORT_KILLS` sets how many times.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ImportReport, open } from 'sutra-storage'
import { expect, test } from 'vitest'
import { resultOf, traceOf, writeSources } from '../import/resume-support.ts'
import { Child } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

const KILLS = Number(process.env['SUTRA_IMPORT_KILLS'] ?? 2)
const PATIENCE_MS = 60_000
const LIFE_MS = 500
const random = new Random()

test.for(['fsync', 'os'])(
  `what is killed while it imports ends as one that was not: %s, seed: ${random.seed}`,
  { timeout: (KILLS + 2) * PATIENCE_MS },
  async (durability) => {
    const home = await temporaryPath('home')
    await mkdir(home)
    const files = await writeSources(random, home, { files: 3, lines: 5000 })
    const options = {
      durability,
      resumeKey: 'killed',
      window: random.pick([0, 200, 2000, 100_000]),
      createMissing: random.next() < 0.5,
      ifExists: random.pick(['merge', 'replace', 'keep', 'fail'])
    }
    const argsOf = (name: string): string[] => {
      const rejectFile = join(home, `${name}.rejected`)
      return [join(home, name), JSON.stringify({ ...options, rejectFile }), ...files]
    }
    const whole = await reportOf(argsOf('whole'))

    for (let kill = 0; kill < KILLS; kill++) {
      const child = new Child('crash/importer.mjs', argsOf('killed'))
      await child.line('opened')
      await sleep(random.next() * LIFE_MS)
      const { stderr } = await child.kill()
      expect(stderr).toBe('')
    }
    const last = await reportOf(argsOf('killed'))

    expect(resultOf(last)).toEqual(resultOf(whole))
    await using killed = await open(join(home, 'killed'))
    await using unharmed = await open(join(home, 'whole'))
    expect(await traceOf(killed)).toEqual(await traceOf(unharmed))
    expect(await readFile(join(home, 'killed.rejected'), 'utf8')).toBe(
      await readFile(join(home, 'whole.rejected'), 'utf8')
    )
    expect(await killed.verify()).toMatchObject({ problems: [] })
  }
)

async function reportOf(args: string[]): Promise<ImportReport> {
  const child = new Child('crash/importer.mjs', args)
  const { report } = await child.line('report')
  expect(await child.ended).toMatchObject({ code: 0, stderr: '' })
  // The child is ours: this line is what the import gave it.
  return report as ImportReport
}
