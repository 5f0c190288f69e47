/** A process is killed while indexes are built, or removed, and the store is written to. */
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type Store, type StoreOptions } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import { Child } from '../../support/child.ts'
import { Random } from '../../support/random.ts'
import { temporaryPath } from '../../support/temp.ts'

const KILLS = Number(process.env['SUTRA_WORK_KILLS'] ?? 4)
const PATIENCE = { timeout: 30_000, interval: 50 }
const CONCEPTS = 3000
const DECLARATIONS: NonNullable<StoreOptions['indexes']>[] = [
  { year: 'number', lang: 'string' },
  { year: 'string', name: 'string' },
  { year: 'number', name: 'string', tags: 'string' }
]
const random = new Random()

test(`killed while indexes change, seed: ${random.seed}`, { timeout: 120_000 }, async () => {
  const directory = await temporaryPath()
  await fill(directory)
  for (let kill = 0; kill < KILLS; kill++) {
    const declared = DECLARATIONS[kill % DECLARATIONS.length] ?? {}
    const child = new Child('projections/tables/builder.mjs', [directory, JSON.stringify(declared)])
    await child.line('opened')
    await sleep(random.next() * 300)
    const { signal, stderr } = await child.kill()
    expect(signal, stderr).toBe('SIGKILL')
  }

  const store = await open(directory, { durability: 'os' })
  const declared = DECLARATIONS[(KILLS - 1) % DECLARATIONS.length] ?? {}
  expect(Object.keys(store.stats().indexes)).toEqual(Object.keys(declared).sort())
  await vi.waitFor(() => {
    expect(Object.values(store.stats().indexes).map(({ built }) => built)).not.toContain(false)
  }, PATIENCE)
  // Every row of every index is what the log gives, and none of an older one is left.
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  for (const year of [1985, 2003, 3000]) await check(store, year)
  await store.close()
})

async function fill(directory: string): Promise<void> {
  const store = await open(directory, { durability: 'os' })
  const commands = Array.from({ length: CONCEPTS }, (_, n) => ({
    do: 'learn' as const,
    id: { key: `k${n}` },
    content: `Concept ${n}`,
    metadata: { year: 1980 + (n % 20), name: `name ${n}`, tags: [`tag ${n % 7}`] }
  }))
  for (let at = 0; at < CONCEPTS; at += 1000) await store.commit(commands.slice(at, at + 1000))
  await store.close()
}

async function check(store: Store, year: number): Promise<void> {
  let [wanted, found] = [0, 0]
  for await (const { metadata } of store.concepts()) {
    if ((metadata as { year?: number }).year === year) wanted += 1
  }
  for await (const _ of store.concepts({ where: { year } })) found += 1
  expect(found).toBe(wanted)
}
