/** Kinds of telemetry that only trouble tells of, each provoked by the trouble itself. */
import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineProjection, open, type Rows, type Store, type TelemetryEvent } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import { changeRow, flipped, rowsOf } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

type Kind = TelemetryEvent['type']

/** What a store tells from now on, and what it found at open. */
function told(store: Store): TelemetryEvent[] {
  const seen: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => seen.push(event))
  return seen
}

async function untilTold<T extends Kind>(
  seen: readonly TelemetryEvent[],
  kind: T
): Promise<Extract<TelemetryEvent, { type: T }>> {
  const find = (): TelemetryEvent | undefined => seen.find(({ type }) => type === kind)
  await vi.waitFor(() => expect(find()?.type).toBe(kind), 20_000)
  // The one that was found has this type.
  return find() as Extract<TelemetryEvent, { type: T }>
}

test('heal-failed: rows are lost, and the program can make them no more', async () => {
  const directory = await temporaryPath()
  let isBroken = false
  const lengths = defineProjection({
    name: 'lengths',
    version: 1,
    types: ['concept-learned'],
    apply({ data }, rows: Rows<string, number>) {
      if (isBroken) throw new Error('cannot any more')
      rows.put('total', (rows.get('total') ?? 0) + String(data['content']).length)
    },
    queries: { total: (rows) => rows.get('total') }
  })
  const options = { projections: [lengths] }
  const before = await open(directory, options)
  for (let i = 0; i < 5; i++) await before.learn({ content: `Concept ${i}` })
  await before.close()
  const generation = join(directory, 'projections', 'lengths', '1')
  const [key, value] =
    (await rowsOf(generation)).find(([one]) => one.includes('total')) ?? expect.unreachable()
  await changeRow(generation, key, flipped(value, value.length - 1))

  isBroken = true
  await using store = await open(directory, options)
  const seen = told(store)
  const query = store.projection(lengths).total()
  await expect(query).rejects.toMatchObject({ code: 'PROJECTION_DAMAGED' })
  const { part, reason } = await untilTold(seen, 'heal-failed')
  expect(part).toBe('projection lengths')
  expect(reason).toContain('cannot any more')
  expect(seen.map(({ type }) => type)).toContain('damage-found')
})

// Windows renames no directory in which files are open.
const isWindows = process.platform === 'win32'

test.skipIf(isWindows)('index-save-failed: the directory of the index is away', async () => {
  const directory = await temporaryPath()
  await using store = await open(directory, { vectors: { dimensions: 8 }, durability: 'os' })
  const seen = told(store)
  const [place, aside] = [join(directory, 'vectors'), join(directory, 'vectors-aside')]
  await rename(place, aside)
  await writeFile(place, 'in the way')
  await learnVectors(store, 0, 3000)
  const { reason } = await untilTold(seen, 'index-save-failed')
  expect(reason).not.toBe('')
  // Nothing is lost by it: memory has them all.
  const found = await store.search(vectorOf(7), { k: 1, exact: true, include: ['concept'] })
  expect(found).toMatchObject([{ concept: { content: '7' } }])

  await rm(place)
  await rename(aside, place)
  await learnVectors(store, 3000, 1500)
  await store.checkpoint()
  await untilTold(seen, 'index-saved')
  expect(await store.verify()).toMatchObject({ ok: true })
})

test('health-changed: writers bring more than the tables can take', async () => {
  const pipeline = { queueEventsMax: 100, batchEventsMax: 10 }
  await using store = await open(await temporaryPath(), { pipeline, durability: 'os' })
  const seen = told(store)
  const commits = Array.from({ length: 20 }, async (_, commit) =>
    store.commit(
      Array.from({ length: 50 }, (_, i) => ({ do: 'learn', content: `${commit} ${i}` }) as const)
    )
  )
  const { healthScore, recommendation } = await untilTold(seen, 'health-changed')
  await Promise.all(commits)
  expect(healthScore).toBeLessThan(1)
  expect(recommendation).not.toBe('')
})

async function learnVectors(store: Store, first: number, count: number): Promise<void> {
  for (let from = first; from < first + count; from += 500) {
    await store.commit(
      Array.from({ length: 500 }, (_, i) => {
        const content = `${from + i}`
        return { do: 'learn' as const, content, embedding: vectorOf(from + i) }
      })
    )
  }
}

/** Another direction for each number. */
function vectorOf(n: number): number[] {
  return Array.from({ length: 8 }, (_, i) => Math.sin((n + 1) * (i + 1)))
}
