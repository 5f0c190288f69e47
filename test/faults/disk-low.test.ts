/** Writes are refused before the disk is full, and taken again when there is room. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { open, type TelemetryEvent } from 'sutra-storage'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryPath } from '../support/temp.ts'

const MiB = 1024 * 1024

test('a disk that is nearly full refuses writes, not reads, and nothing is lost', async (context) => {
  const disk = await smallDisk(48)
  if ('missing' in disk) return context.skip(disk.missing)
  const store = await open(join(disk.path, 'store'), { diskReserveBytes: 2 * MiB })
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))
  await store.learn({ id: { key: 'first' }, content: 'First' })
  const { reserveBytes } = store.stats().disk
  expect(reserveBytes).toBe(2 * MiB)
  const filler = join(disk.path, 'filler')
  writeFileSync(filler, Buffer.alloc(store.stats().disk.freeBytes - 1.5 * MiB))
  await new Promise((resolve) => setTimeout(resolve, 300))

  const refused = store.learn({ id: { key: 'second' }, content: 'Second' })

  const details = { freeBytes: expect.any(Number), reserveBytes }
  await expect(refused).rejects.toMatchObject({
    code: 'DISK_LOW',
    details,
    retryable: true,
    outcome: 'none'
  })
  expect(store.stats().disk).toMatchObject({ low: true })
  expect(store.stats().poisoned).toBe(false)
  expect(await store.has({ key: 'first' })).toBe(true)
  expect(await store.has({ key: 'second' })).toBe(false)
  expect(store.head).toBe(1)

  rmSync(filler)
  await store.learn({ id: { key: 'second' }, content: 'Second' })
  expect(told.filter(({ type }) => type === 'disk-low')).toMatchObject([
    { low: true },
    { low: false }
  ])
  expect(await store.verify()).toMatchObject({ ok: true })
  await store.close()
})

test('on a small disk the reserve is a sixteenth of it; 0 asks for none', async (context) => {
  const disk = await smallDisk(32)
  if ('missing' in disk) return context.skip(disk.missing)
  for (const [diskReserveBytes, reserve] of [
    [undefined, 2 * MiB],
    [0, 0]
  ] as const) {
    const options = diskReserveBytes === undefined ? {} : { diskReserveBytes }
    const store = await open(join(disk.path, `store ${reserve}`), options)
    await store.learn({ content: 'Content' })
    expect(store.stats().disk.reserveBytes).toBe(reserve)
    await store.close()
  }
})

/** A file system of its own in memory, for root on Linux alone. */
async function smallDisk(megabytes: number): Promise<{ path: string } | { missing: string }> {
  const path = join(dirname(await temporaryPath()), 'disk')
  mkdirSync(path)
  try {
    const options = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', path]
    execFileSync('mount', options, { stdio: 'pipe' })
  } catch (error) {
    return { missing: `no tmpfs can be mounted: ${error instanceof Error ? error.message : error}` }
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]))
  return { path }
}
