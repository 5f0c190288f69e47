/** Damage of a backup is met by the next one, and by `verifyBackup`, long before it is restored. */
import { appendFile, readdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { open, restore, verifyBackup } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { flipFile } from '../support/raw.ts'
import { sampleStore, VECTORS } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { filesOf, lookInto } from './support.ts'

describe('a backup in parts', () => {
  test('that is whole is found whole, and is not changed', async () => {
    const { target, position } = await parts()
    const files = await filesOf(target)

    const report = await verifyBackup(target)

    expect(report).toMatchObject({ ok: true, position, events: position, problems: [] })
    expect(report.bytes).toBeGreaterThan(1000)
    expect(await filesOf(target)).toEqual(files)
  })

  test('is not gone on with where a bit of an older part was flipped', async () => {
    const { target, directory } = await parts()
    for (const name of await framesOf(target)) {
      const path = join(target, 'data', name)
      for (const at of [0, 2, 60, 150]) {
        await flipFile(path, at)
        const files = await filesOf(target)
        await using store = await open(directory)

        const damaged = { code: 'BACKUP_DAMAGED', details: { file: name } }
        await expect(store.backup(target), `${name} at ${at}`).rejects.toMatchObject(damaged)
        // The store is fine, and so is a backup of it elsewhere.
        await store.backup(await temporaryPath('elsewhere'))
        await store.close()
        expect(await filesOf(target)).toEqual(files)
        const { ok, problems } = await verifyBackup(target)
        expect({ ok, problems }).toMatchObject({ ok: false, problems: [{ file: name }] })
        await flipFile(path, at)
      }
    }
    await using store = await open(directory)
    await store.backup(target)
    expect(await verifyBackup(target)).toMatchObject({ ok: true })
  })

  test('names each file that is damaged, cut short, longer or gone, and counts the others', async () => {
    const { target, position } = await parts()
    const [first = '', second = '', third = ''] = await framesOf(target)
    const { frames } = await verifyBackup(target)
    await flipFile(join(target, 'data', first), 100)
    await truncate(join(target, 'data', second), 10)
    await appendFile(join(target, 'data', third), 'x')

    const report = await verifyBackup(target)
    expect(report.problems.map(({ file }) => file)).toEqual([first, second, third])
    expect(report).toMatchObject({ ok: false, position })
    await rm(join(target, 'data', first))
    const [gone] = (await verifyBackup(target)).problems
    expect(gone).toEqual({ file: first, reason: 'it is missing' })
    expect(report.frames).toBeLessThan(frames)
  })

  test('whose BACKUP is damaged says so', async () => {
    const { target } = await parts()
    await flipFile(join(target, 'BACKUP'), 10)

    const report = await verifyBackup(target)
    expect(report).toMatchObject({ ok: false, position: 0, problems: [{ file: 'BACKUP' }] })
  })

  test('takes damaged files of the vector index anew from the store', async () => {
    const { target, directory, before } = await parts()
    const names = await readdir(join(target, 'data'))
    const vectors = names.filter((name) => !name.endsWith('.frames'))
    expect(vectors.length).toBeGreaterThan(1)
    for (const name of vectors) await flipFile(join(target, 'data', name), 30)

    const damaged = await verifyBackup(target)
    expect(damaged.problems.map(({ file }) => file).sort()).toEqual(vectors.sort())
    await using store = await open(directory)
    await store.backup(target)

    expect(await verifyBackup(target)).toMatchObject({ ok: true })
    const restored = await temporaryPath()
    expect(await restore(target, restored)).toMatchObject({ vectors: true })
    expect(await lookInto(restored)).toEqual(before)
  })

  test('is not read while another backup writes there, nor where none is', async () => {
    const { target, directory } = await parts()
    await using store = await open(directory)
    const outcomes: unknown[] = []
    const onProgress = (): void => {
      const told = verifyBackup(target).then(({ ok }) => ok)
      outcomes.push(told.catch(({ code }: { code: string }) => code))
    }
    await store.backup(target, { onProgress })
    expect(await Promise.all(outcomes)).toContain('STORE_LOCKED')

    await expect(verifyBackup(directory)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' })
    await expect(verifyBackup('')).rejects.toThrow(TypeError)
    await expect(store.backup(target, { check: 1 as never })).rejects.toThrow(TypeError)
    const signal = AbortSignal.abort()
    await expect(verifyBackup(target, { signal })).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

/** The sample, backed up in three parts. */
async function parts() {
  const { directory } = await sampleStore()
  const target = await temporaryPath('backup')
  await using store = await open(directory, VECTORS)
  for (let part = 0; part < 3; part++) {
    for (let n = 0; n < 4; n++) await store.learn({ content: `Part ${part}.${n}` })
    await store.caughtUp()
    await store.backup(target)
  }
  const position = store.head
  await store.close()
  return { directory, target, position, before: await lookInto(directory) }
}

async function framesOf(target: string): Promise<string[]> {
  const names = (await readdir(join(target, 'data'))).filter((name) => name.endsWith('.frames'))
  return names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
}
