/** What the statistics say of the disk is what lies there, of every part that takes room. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import { tally } from '../projections/tally.ts'
import { temporaryPath } from '../support/temp.ts'

test('projections of the program are counted, and telemetry that is kept', async () => {
  const directory = await temporaryPath()
  {
    await using plain = await open(directory)
    expect(plain.stats().disk).toMatchObject({ projectionsBytes: 0, telemetryBytes: 0 })
  }
  {
    const options = { projections: [tally(1)], telemetry: { store: true } }
    await using store = await open(directory, options)
    for (let n = 0; n < 50; n++) await store.learn({ content: `Concept ${n}` })
    await store.caughtUp()
  }

  // Nobody writes: what is there stays as it is.
  await using store = await open(directory, { readOnly: true })
  const { projectionsBytes, telemetryBytes } = store.stats().disk
  expect(projectionsBytes).toBe(await bytesBelow(join(directory, 'projections')))
  expect(projectionsBytes).toBeGreaterThan(100)
  // That nobody keeps it now makes it no smaller.
  expect(telemetryBytes).toBe(await bytesBelow(join(directory, 'telemetry')))
  expect(telemetryBytes).toBeGreaterThan(100)
})

test('kept telemetry is told among them as it is by itself', async () => {
  const directory = await temporaryPath()
  const options = { telemetry: { store: true } }
  const first = await open(directory, options)
  await first.learn({ content: 'One' })
  await first.close()
  // What an earlier life kept is measured once it is opened, in the background.
  await using store = await open(directory, options)
  const kept = (): number => store.stats().telemetry?.bytes ?? 0
  await vi.waitFor(() => expect(kept()).toBeGreaterThan(0), { timeout: 20_000, interval: 50 })
  const { disk, telemetry } = store.stats()
  expect(disk.telemetryBytes).toBe(telemetry?.bytes)
})

async function bytesBelow(path: string): Promise<number> {
  const found = await stat(path)
  if (!found.isDirectory()) return found.size
  const sizes = (await readdir(path)).map(async (name) => bytesBelow(join(path, name)))
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
