/**
 * A process is killed in the middle of long work: a rebuild, the sweep of a forgotten hub, the save
 * of an index, an import. `SUTRA_WORK_KILLS` sets how many times each.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Child, type Line } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

const KILLS = Number(process.env['SUTRA_WORK_KILLS'] ?? 2)
const PATIENCE_MS = 60_000
const random = new Random()

describe(`killed during long work, seed: ${random.seed}`, () => {
  test.for(['rebuild', 'sweep', 'save', 'import'])(
    '%s',
    { timeout: KILLS * PATIENCE_MS },
    async (kind) => {
      const directory = await temporaryPath()
      const heard: Line[] = []
      for (let kill = 0; kill < KILLS; kill++) {
        const child = new Child('crash/work.mjs', [directory, kind, String(kill)])
        await child.line('ready')
        await sleep(random.next() * 600)
        const { lines, signal, stderr } = await child.kill()
        expect(signal, stderr).toBe('SIGKILL')
        heard.push(...lines)
        const store = await open(directory)
        try {
          await judge(store, heard)
        } finally {
          await store.close()
        }
      }
    }
  )
})

/** What was acknowledged is there, what was not is whole or absent, and nothing else is. */
async function judge(store: Store, heard: readonly Line[]): Promise<void> {
  const texts = (name: string): string[] =>
    heard.filter((line) => name in line).map((line) => String(line[name]))
  const acknowledged = new Set(texts('acknowledged'))
  const lost: string[] = []
  let there = 0
  for (const key of texts('sent')) {
    const content = (await store.get({ key }))?.content
    if (content === `Content ${key}`) there += 1
    else if (content !== undefined || acknowledged.has(key)) lost.push(key)
  }
  const forgotten = new Set(texts('forgotten'))
  for (const key of texts('forgetting')) {
    const isThere = await store.has({ key })
    if (isThere && forgotten.has(key)) lost.push(`${key} came back`)
  }
  const imported = await countImports(store, heard)
  lost.push(...imported.lost)
  expect(lost).toEqual([])
  const { concepts, vectors } = await store.counts()
  // A hub that is not forgotten yet is one more.
  expect(concepts - there - imported.there).toBeLessThanOrEqual(1 + texts('ready').length)
  expect(vectors).toBe(there)
  expect(await store.verify()).toMatchObject({ problems: [] })
}

/** An import that was cut off left its first records, in order, and no others. */
async function countImports(
  store: Store,
  heard: readonly Line[]
): Promise<{ there: number; lost: string[] }> {
  const done = new Set(heard.map((line) => line['imported']))
  const lost: string[] = []
  let there = 0
  for (const { importing, records } of heard) {
    if (importing === undefined) continue
    let missing = 0
    for (let n = 0; n < Number(records); n++) {
      const key = `${String(importing)}${n}`
      if (await store.has({ key })) {
        there += 1
        if (missing > 0) lost.push(`${key} stands behind a hole`)
      } else {
        missing += 1
        if (done.has(importing)) lost.push(key)
      }
    }
  }
  return { there, lost }
}
