/** A restored store is the one that was backed up, or the one that it was before. */
import { mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { open, type RestoreOptions, restore, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { flipFile } from '../support/raw.ts'
import { sampleStore, VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { contentsAt, contentsOf, filesOf, type Learned, learnWave, lookInto } from './support.ts'

describe('going back', () => {
  test('to a position leaves out what was committed later, and commits that reach beyond', async () => {
    const { target, learned, head } = await waves()

    for (let toPosition = 0; toPosition <= head; toPosition += 3 + (toPosition % 11)) {
      const restored = await temporaryPath()
      const report = await restore(target, restored, { toPosition })

      const kept = learned.filter(({ receipt }) => receipt.last <= toPosition)
      const last = Math.max(0, ...kept.map(({ receipt }) => receipt.last))
      expect(report).toMatchObject({ position: last, events: last, backupPosition: head })
      await using store = await open(restored)
      expect(store.head).toBe(last)
      expect(await contentsOf(store)).toEqual(contentsAt(learned, last))
    }
  })

  test('to a time keeps the commits of that time and of those before', async () => {
    const { target, learned, times } = await waves()
    const moments = [...new Set(times.values())]
    expect(moments.length).toBeGreaterThan(3)

    for (const time of [(moments[0] ?? 0) - 1, ...moments, (moments.at(-1) ?? 0) + 1]) {
      const restored = await temporaryPath()
      const report = await restore(target, restored, { toTime: time })

      const last = Math.max(0, ...[...times].filter(([, at]) => at <= time).map(([one]) => one))
      expect(report.position).toBe(last)
      await using store = await open(restored)
      expect(await contentsOf(store)).toEqual(contentsAt(learned, last))
      const again = await restore(target, await temporaryPath(), { toTime: new Date(time) })
      expect(again.position).toBe(last)
    }
  })

  test('gives a store that is whole, and that goes on from there', async () => {
    const { target, head } = await waves()
    const restored = await temporaryPath()
    const { position } = await restore(target, restored, { toPosition: head - 5 })

    await using store = await open(restored)
    expect(await store.verify()).toMatchObject({ ok: true, position, problems: [] })
    expect((await store.learn({ content: 'Another way' })).first).toBe(position + 1)
    await store.close()

    await using again = await open(restored)
    expect(await again.verify()).toMatchObject({ ok: true, position: position + 1 })
  })

  test('gives the state that the store was in then', async () => {
    const path = await temporaryPath()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(path, VECTORS)
    const hashes = new Map<number, string>()
    for (let n = 0; n < 12; n++) {
      await store.learn({ id: { key: `k${n % 5}` }, content: `${n}`, embedding: vectorOf(n) })
      if (n === 7) await store.forget({ key: 'k1' })
      hashes.set(store.head, await store.stateHash())
    }
    await store.backup(target)

    for (const [toPosition, hash] of hashes) {
      await restore(target, `${restored}${toPosition}`, { toPosition })
      await using then = await open(`${restored}${toPosition}`)
      expect(await then.stateHash()).toBe(hash)
    }
  })

  test('takes vectors away that were learned later', async () => {
    const path = await temporaryPath()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(path, VECTORS)
    await store.learn({ id: { key: 'early' }, content: 'Early', embedding: vectorOf(1) })
    const toPosition = store.head
    await store.learn({ id: { key: 'late' }, content: 'Late', embedding: vectorOf(2) })
    await store.caughtUp()
    await store.backup(target)

    const report = await restore(target, restored, { toPosition })

    expect(report.vectors).toBe(false)
    expect(await readdir(join(restored, 'vectors'))).toEqual([])
    await using then = await open(restored)
    await then.learn({ id: { key: 'other' }, content: 'Other', embedding: vectorOf(3) })
    const found = await then.search(vectorOf(2), { k: 10 })
    expect(found.map(({ key }) => key).sort()).toEqual(['early', 'other'])
    expect(await then.vector({ key: 'other' })).toEqual(vectorOf(3))
  })
})

describe('a restore that compares', () => {
  test('tells the hash of what it restored, and is told of another one', async () => {
    const { target, before } = await backedUp()
    const { stateHash } = before

    const report = await restore(target, await temporaryPath(), { compare: true })
    expect(report).toMatchObject({ stateHash, restoredHash: stateHash })
    const part = await restore(target, await temporaryPath(), { compare: true, toPosition: 10 })
    expect(part.stateHash).toBeUndefined()
    expect(part.restoredHash).toMatch(/^[0-9a-f]{64}$/)
    const other = 'beef'.repeat(16)
    await changeManifest(target, (manifest) => ({ ...manifest, stateHash: other }))
    const restored = await temporaryPath()
    const wrong = await restore(target, restored, { compare: true })
    expect(wrong).toMatchObject({ stateHash: other, restoredHash: stateHash })
    expect(await lookInto(restored)).toEqual(before)
  })

  test('leaves nothing behind when it is aborted meanwhile', async () => {
    const { target } = await backedUp()
    const restored = await temporaryPath()
    const controller = new AbortController()
    const { signal } = controller
    const onProgress = ({ phase }: { phase: string }): void => {
      if (phase === 'state hash') controller.abort()
    }

    const attempt = restore(target, restored, { signal, onProgress, compare: true })

    await expect(attempt).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(readdir(restored)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(restore(target, restored, { compare: 1 as never })).rejects.toThrow(TypeError)
  })
})

describe('a restore is refused', () => {
  test('into what is not empty, and leaves it untouched', async () => {
    const { target } = await backedUp()
    const foreign = await temporaryPath()
    await mkdir(foreign)
    await writeFile(join(foreign, 'thesis.txt'), 'Do not lose me')
    const { directory } = await sampleStore()

    for (const directoryInUse of [foreign, directory, target]) {
      const files = await filesOf(directoryInUse)
      await expect(restore(target, directoryInUse)).rejects.toMatchObject({
        code: 'BACKUP_TARGET_REFUSED'
      })
      expect(await filesOf(directoryInUse)).toEqual(files)
    }
    const inside = restore(target, join(target, 'store'))
    await expect(inside).rejects.toMatchObject({ code: 'BACKUP_TARGET_REFUSED' })
  })

  test('from where no backup is', async () => {
    const { directory } = await sampleStore()
    const missing = await temporaryPath('missing')

    for (const source of [directory, missing]) {
      const attempt = restore(source, await temporaryPath())
      await expect(attempt).rejects.toMatchObject({
        code: 'BACKUP_NOT_FOUND',
        details: { directory: source }
      })
    }
  })

  test('for options that make no sense', async () => {
    const { target, position } = await backedUp()
    const restored = await temporaryPath()
    const wrong: RestoreOptions[] = [
      { toPosition: position + 1 },
      { toPosition: -1 },
      { toPosition: 1.5 },
      { toPosition: 1, toTime: 1 },
      { toTime: Number.NaN },
      { toTime: new Date('never') },
      { toTime: '2026-01-01' as never },
      { until: 1 } as RestoreOptions
    ]

    for (const options of wrong) {
      const attempt = restore(target, restored, options)
      await expect(attempt, JSON.stringify(options)).rejects.toMatchObject({
        code: 'QUERY_INVALID'
      })
    }
    await expect(restore('', restored)).rejects.toThrow(TypeError)
    await expect(restore(target, '')).rejects.toThrow(TypeError)
    await expect(readdir(restored)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('of a newer format', async () => {
    const { target } = await backedUp()
    await changeManifest(target, (manifest) => ({ ...manifest, format: 2 }))

    const attempt = restore(target, await temporaryPath())
    await expect(attempt).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
      details: { format: 2, supported: 1 }
    })
  })

  test('of names that lead out of the backup', async () => {
    const { target } = await backedUp()
    const frames = [{ name: '../1.frames', bytes: 1, first: 1, last: 1 }]
    await changeManifest(target, (manifest) => ({ ...manifest, frames }))

    const attempt = restore(target, await temporaryPath())
    await expect(attempt).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
  })

  test('when it is aborted, and leaves nothing behind', async () => {
    const { target } = await backedUp()
    const restored = await temporaryPath()
    const controller = new AbortController()
    const { signal } = controller
    const onProgress = (): void => controller.abort()

    const attempt = restore(target, restored, { signal, onProgress })

    await expect(attempt).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(readdir(restored)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a damaged backup', () => {
  test('is refused or restores the same, whichever byte is turned around', async () => {
    const { target, before } = await backedUp()
    const refusals = new Set<string>()
    for (const name of await readdir(target, { recursive: true })) {
      if (!/BACKUP|frames/.test(name)) continue
      const path = join(target, name)
      const { length } = await readFile(path)
      for (let at = 0; at < length; at += 97) {
        await flipFile(path, at)
        const attempt = await restore(target, await temporaryPath()).catch((error) => error.code)
        expect(attempt, `${name} at ${at}`).toBe('BACKUP_DAMAGED')
        refusals.add(name)
        await flipFile(path, at)
      }
    }
    expect(refusals.size).toBe(2)

    const restored = await temporaryPath()
    await restore(target, restored)
    expect(await lookInto(restored)).toEqual(before)
  })

  test('that was cut short is refused, wherever', async () => {
    const { target } = await backedUp()
    for (const name of ['BACKUP', join('data', '1.frames')]) {
      const path = join(target, name)
      const whole = await readFile(path)
      for (const bytes of [0, 1, 3, Math.floor(whole.length / 2), whole.length - 3]) {
        await truncate(path, bytes)
        const restored = await temporaryPath()
        await expect(restore(target, restored)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
        await expect(readdir(restored)).rejects.toMatchObject({ code: 'ENOENT' })
        await writeFile(path, whole)
      }
    }
  })

  test('of two histories is refused, though each frame of it is whole', async () => {
    const made: string[] = []
    for (const way of ['one', 'two']) {
      const { directory } = await sampleStore()
      const target = await temporaryPath('backup')
      await using store = await open(directory)
      await store.learn({ content: `Way ${way}` })
      await store.backup(target)
      await store.learn({ content: 'The same' })
      await store.backup(target)
      made.push(target)
    }
    const [one = '', two = ''] = made
    const { frames } = JSON.parse(
      (await readFile(join(one, 'BACKUP'), 'utf8')).split('\n')[0] ?? ''
    )
    const name = join('data', frames[1].name)
    await writeFile(join(one, name), await readFile(join(two, name)))

    const attempt = restore(one, await temporaryPath())
    await expect(attempt).rejects.toMatchObject({
      code: 'BACKUP_DAMAGED',
      details: { reason: expect.stringContaining('chain') }
    })
  })

  test('whose last frames are left out is refused', async () => {
    const { target, directory } = await backedUp()
    await using store = await open(directory)
    await store.learn({ content: 'One more' })
    await store.backup(target)
    await changeManifest(target, (manifest) => ({
      ...manifest,
      frames: (manifest['frames'] as unknown[]).slice(0, 1)
    }))

    const attempt = restore(target, await temporaryPath())
    await expect(attempt).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' })
  })
})

/** A backup of the sample; the store is closed again. */
async function backedUp() {
  const { directory, before } = await sampleStore()
  const target = await temporaryPath('backup')
  await using store = await open(directory)
  await store.backup(target)
  return { target, directory, before, position: before.position }
}

/** Backed up in three parts: waves of commits that share frames, each of another millisecond. */
async function waves(): Promise<{
  target: string
  learned: Learned[]
  head: number
  times: Map<number, number>
}> {
  const target = await temporaryPath('backup')
  await using store = await open(await temporaryPath())
  const learned: Learned[] = []
  for (let wave = 0; wave < 6; wave++) {
    learned.push(...(await learnWave(store, wave, 8)))
    if (wave % 2 === 1) await store.backup(target)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  return { target, learned, head: store.head, times: await timesOf(store) }
}

/** When each commit was made, by its last position. */
async function timesOf(store: Store): Promise<Map<number, number>> {
  const times = new Map<number, number>()
  for await (const { commit, time } of store.events()) times.set(commit.last, time)
  return times
}

async function changeManifest(
  target: string,
  change: (manifest: Record<string, unknown>) => object
): Promise<void> {
  const path = join(target, 'BACKUP')
  const [json = ''] = (await readFile(path, 'utf8')).split('\n')
  const changed = JSON.stringify(change(JSON.parse(json) as Record<string, unknown>))
  await writeFile(path, `${changed}\n${crc32(changed).toString(16).padStart(8, '0')}\n`)
}
