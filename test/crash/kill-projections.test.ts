/**
 * A process is killed while projections of its own are applied, made anew, or replaced by another
 * version. `SUTRA_PROJECTION_KILLS` sets how many times each.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { compareWithModel, type TallyDefinition, tally } from '../projections/tally.ts'
import { Child } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

const KILLS = Number(process.env['SUTRA_PROJECTION_KILLS'] ?? 2)
const PATIENCE_MS = 60_000
const random = new Random()

describe(`every event is applied exactly once, seed: ${random.seed}`, () => {
  test.for(['steady', 'rebuild', 'versions'])(
    '%s',
    { timeout: KILLS * PATIENCE_MS },
    async (kind) => {
      const directory = await temporaryPath()
      for (let life = 0; life < KILLS; life++) {
        const child = new Child('crash/projector.mjs', [directory, kind, String(life)])
        await child.line('ready')
        await sleep(random.next() * 400)
        const { lines, signal, stderr } = await child.kill()
        expect(signal, stderr).toBe('SIGKILL')
        expect(lines.filter((line) => 'wrong' in line)).toEqual([])

        // What one death left is what the next one finds, unless somebody looked.
        if (random.below(2) === 0) continue
        const definition = definitionOf(kind, life)
        await using store = await open(directory, { projections: [definition] })
        const acknowledged = lines.map((line) => Number(line['acknowledged'] ?? 0))
        expect(store.head).toBeGreaterThanOrEqual(Math.max(...acknowledged))
        await judge(store, definition)
      }
      const definition = definitionOf(kind, KILLS - 1)
      await using store = await open(directory, { projections: [definition] })
      await judge(store, definition)
      await promoted(store)
      await judge(store, definition)
      expect(await store.projection(definition).version()).toBe(definition.version)
      const before = await store.projections.hash('tally')
      await store.rebuild({ projections: ['tally'] })
      expect(await store.projections.hash('tally')).toEqual(before)
    }
  )
})

/** The rows as they are found, whichever version made them, and as they are once caught up. */
async function judge(store: Store, definition: TallyDefinition): Promise<void> {
  for (const wait of [async () => undefined, async () => store.caughtUp()]) {
    await wait()
    const { actual, expected } = await compareWithModel(store, definition)
    expect(actual).toEqual(expected)
  }
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}

async function promoted(store: Store): Promise<void> {
  while (store.projections.list()[0]?.build !== undefined) await sleep(5)
}

function definitionOf(kind: string, life: number): TallyDefinition {
  if (kind !== 'versions') return tally(1)
  let definition: TallyDefinition | undefined
  for (let version = Math.max(1, life - 1); version <= life + 1; version++) {
    definition = tally(version, definition === undefined ? {} : { previous: definition })
  }
  return definition ?? tally(1)
}
