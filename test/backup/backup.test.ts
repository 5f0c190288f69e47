/** A backup is the store at one position, whatever is written meanwhile. */
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, open, restore } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { changeRow, flipFile, flipped, logOf, rowsOf } from '../support/raw.ts'
import { look, sampleStore, VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import { expectRightAnswers, graphSample, settled } from '../vectors/graph-sample.ts'
import { contentsAt, contentsOf, filesOf, type Learned, learnWave, lookInto } from './support.ts'

describe('a backup', () => {
  test('restores to a store in the same state', async () => {
    const { directory, before } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)

    const made = await store.backup(target)
    const report = await restore(target, restored)

    expect(made).toMatchObject({ from: 0, position: before.position, stateHash: before.stateHash })
    expect(report).toMatchObject({
      position: before.position,
      backupPosition: before.position,
      events: before.position,
      frames: made.frames,
      stateHash: before.stateHash,
      vectors: true
    })
    expect(await lookInto(restored)).toEqual(before)
    await using again = await open(restored)
    expect(await again.verify()).toMatchObject({ ok: true, position: before.position })
  })

  test('made without the hash of the state restores to the same state, which nobody vouches for', async () => {
    const { directory, before } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    const phases = new Set<string>()

    const made = await store.backup(target, {
      stateHash: false,
      onProgress: ({ phase }) => phases.add(phase)
    })
    const report = await restore(target, restored)

    expect(made).toMatchObject({ from: 0, position: before.position })
    expect(made).not.toHaveProperty('stateHash')
    expect(report).not.toHaveProperty('stateHash')
    expect([...phases]).not.toContain('state hash')
    expect(await lookInto(restored)).toEqual(before)
    // The next one goes on with it, and knows.
    expect(await store.backup(target)).toMatchObject({ events: 0, stateHash: before.stateHash })
    const asked = { stateHash: 'no' } as unknown as { stateHash: boolean }
    await expect(store.backup(target, asked)).rejects.toThrow(TypeError)
  })

  test('holds everything acknowledged before it, and some prefix of what is written on', async () => {
    await using temporary = await openTemporaryStore({ durability: 'os' })
    const { store } = temporary
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    const learned: Learned[] = []
    for (let wave = 0; wave < 30; wave++) learned.push(...(await learnWave(store, wave, 20)))
    const acknowledged = store.head

    let writing = true
    const writer = (async () => {
      for (let wave = 30; writing; wave++) learned.push(...(await learnWave(store, wave, 20)))
    })()
    const { position } = await store.backup(target)
    writing = false
    await writer
    await restore(target, restored)

    expect(position).toBeGreaterThanOrEqual(acknowledged)
    expect(store.head).toBeGreaterThan(position)
    await using again = await open(restored)
    expect(again.head).toBe(position)
    expect(await contentsOf(again)).toEqual(contentsAt(learned, position))
  })

  test('holds what was acknowledged without a sync', async () => {
    // The pipeline, which syncs too, has not come to it yet.
    const lazy = { intervalMs: { min: 100, base: 100, max: 100 } }
    await using temporary = await openTemporaryStore({ durability: 'os', pipeline: lazy })
    const { store } = temporary
    const target = await temporaryPath('backup')
    await store.backup(target)

    const { last } = await store.learn({ content: 'Just acknowledged' })
    const { position } = await store.backup(target)

    expect(position).toBe(last)
  })

  test('of an empty store restores to an empty store', async () => {
    await using temporary = await openTemporaryStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]

    await temporary.store.backup(target)
    const report = await restore(target, restored)

    expect(report).toMatchObject({ position: 0, frames: 0 })
    await using again = await open(restored)
    expect(await again.counts()).toMatchObject({ concepts: 0 })
    expect((await again.learn({ content: 'first' })).first).toBe(1)
  })

  test('of a store that was opened read-only is the same', async () => {
    const { directory, before } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory, { readOnly: true })

    await store.backup(target)
    await restore(target, restored)

    expect(await lookInto(restored)).toEqual(before)
  })

  test('does not open as a store', async () => {
    const { directory } = await sampleStore()
    const target = await temporaryPath('backup')
    await using store = await open(directory)
    await store.backup(target)

    await expect(open(target)).rejects.toMatchObject({ code: 'NOT_A_STORE' })
  })

  test('tells how far it is', async () => {
    const { directory, before } = await sampleStore()
    await using store = await open(directory)
    const phases: string[] = []

    await store.backup(await temporaryPath('backup'), {
      onProgress: ({ phase, done, total = done }) => {
        phases.push(phase)
        expect(done).toBeLessThanOrEqual(total)
        if (phase === 'log') expect(total).toBe(before.position)
      }
    })

    expect(new Set(phases)).toEqual(new Set(['state hash', 'log', 'vectors']))
  })
})

describe('a second backup', () => {
  test('copies only what is new', async () => {
    const { directory } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    const first = await store.backup(target)
    const kept = await filesOf(join(target, 'data'))

    await store.learn({ id: { key: 'later' }, content: 'Later' })
    const second = await store.backup(target)

    expect(second).toMatchObject({ from: first.position, position: first.position + 1, frames: 1 })
    expect(second.bytes).toBeLessThan(400)
    expect(await filesOf(join(target, 'data'))).toMatchObject(kept)
    await restore(target, restored)
    const seen = await look(store)
    expect(await lookInto(restored)).toEqual(seen)
  })

  test('of a store that has nothing new copies nothing', async () => {
    const { directory } = await sampleStore()
    const target = await temporaryPath('backup')
    await using store = await open(directory)
    const first = await store.backup(target)

    const second = await store.backup(target)

    const { position, stateHash } = first
    expect(second).toMatchObject({ from: position, position, stateHash, frames: 0, bytes: 0 })
  })

  test('replaces vectors that were built anew, and removes the old files', async () => {
    const { directory } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    await store.backup(target)
    const files = (await readdir(join(target, 'data'))).length
    await store.learn({ id: { key: 'later' }, content: 'Later', embedding: vectorOf(100) })
    await store.rebuild({ projections: ['vectors'] })

    const second = await store.backup(target)
    await restore(target, restored)

    expect(second.vectors).toBe(true)
    expect(await readdir(join(target, 'data'))).toHaveLength(files + 1)
    expect(await lookInto(restored)).toEqual(await look(store))
  })

  test('goes on with one that was restored and written on', async () => {
    const { directory } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    const { position } = await store.backup(target)
    await restore(target, restored)
    await using again = await open(restored)
    await again.learn({ content: 'Later' })

    expect(await again.backup(target)).toMatchObject({ from: position, position: position + 1 })
  })

  test('copies a vector file again that was lost', async () => {
    const { directory, before } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    await store.backup(target)
    const lost = (await readdir(join(target, 'data'))).filter((name) => name.endsWith('.f32'))
    for (const name of lost) await rm(join(target, 'data', name))

    const second = await store.backup(target)
    const report = await restore(target, restored)

    expect(lost).toHaveLength(1)
    expect(second.bytes).toBeGreaterThan(0)
    expect(report.vectors).toBe(true)
    expect(await lookInto(restored)).toEqual(before)
  })
})

describe('vectors', () => {
  test('answer the same after a restore, without being indexed again', async () => {
    await using temporary = await openTemporaryStore(VECTORS)
    const { store } = temporary
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    for (let done = 0; done < 1200; done += 100) {
      const commands = Array.from({ length: 100 }, (_, at): Command => {
        const n = done + at
        return { do: 'learn', id: { key: `v${n}` }, content: `${n}`, embedding: vectorOf(n) }
      })
      await store.commit(commands, { durability: 'os' })
    }
    await store.caughtUp()
    await store.backup(target)
    await restore(target, restored)

    await using again = await open(restored)
    const built: unknown[] = []
    const watching = again.telemetry$.subscribe((event) => {
      if (event.type === 'index-built') built.push(event)
    })
    const found = await again.search(vectorOf(7), { k: 20 })
    const { indexed, pending, scanned } = again.stats().vectors
    await again.caughtUp()
    watching.unsubscribe()

    expect(found).toEqual(await store.search(vectorOf(7), { k: 20 }))
    expect({ indexed, pending, scanned }).toEqual({ indexed: 1200, pending: 0, scanned: 0 })
    expect(built).toEqual([])
  })

  test.each(['.f32', '.ids', '.usearch'])(
    'of which %s is damaged in the backup are left out and indexed again',
    async (end) => {
      const { directory, stateHash, vectors } = await graphSample()
      const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
      await using store = await open(directory)
      await store.backup(target)
      const name = (await readdir(join(target, 'data'))).find((one) => one.endsWith(end))
      await flipFile(join(target, 'data', name ?? ''), 100)

      const report = await restore(target, restored)

      expect(report).toMatchObject({ vectors: false, stateHash })
      await using again = await open(restored)
      await expectRightAnswers(again, vectors)
      await settled(again)
      await expectRightAnswers(again, vectors)
    }
  )

  test('come with the rows and the graphs that were added since the last backup', async () => {
    const { directory, vectors } = await graphSample()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    const first = await store.backup(target)
    const newest = new Map(vectors)
    const commands = Array.from({ length: 1000 }, (_, n): Command => {
      const embedding = vectorOf(n + 5000)
      newest.set(`later${n}`, embedding)
      return { do: 'learn', id: { key: `later${n}` }, content: `${n}`, embedding }
    })
    await store.commit(commands, { durability: 'os' })
    await store.caughtUp()

    const second = await store.backup(target)
    const report = await restore(target, restored)

    expect([first.vectors, second.vectors, report.vectors]).toEqual([true, true, true])
    const files = await readdir(join(target, 'data'))
    expect(files.filter((name) => /f32|ids|usearch/.test(name))).toHaveLength(3)
    await using again = await open(restored)
    await expectRightAnswers(again, newest)
  })

  test('that are damaged in the store are left out', async () => {
    const { directory, before } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    const vectors = join(directory, 'vectors')
    const name = (await readdir(vectors)).find((one) => one.endsWith('.f32'))
    await flipFile(join(vectors, name ?? ''), 9)

    const made = await store.backup(target)
    await restore(target, restored)

    expect(made.vectors).toBe(false)
    expect(await lookInto(restored)).toEqual(before)
  })
})

describe('a target that is something else is refused and left untouched', () => {
  const REFUSED = { code: 'BACKUP_TARGET_REFUSED' }

  test('a foreign directory', async () => {
    const target = await temporaryPath('backup')
    await mkdir(target)
    await writeFile(join(target, 'thesis.txt'), 'Do not lose me')

    await expectRefusal(target, { ...REFUSED, details: { reason: /thesis\.txt/ } })
  })

  test('a foreign file among the data', async () => {
    const target = await temporaryPath('backup')
    await mkdir(join(target, 'data'), { recursive: true })
    await writeFile(join(target, 'data', 'thesis.frames'), 'Do not lose me')

    await expectRefusal(target, REFUSED)
  })

  test('a file', async () => {
    const target = await temporaryPath('backup')
    await writeFile(target, 'Do not lose me')
    const { directory } = await sampleStore()
    await using store = await open(directory)

    await expect(store.backup(target)).rejects.toMatchObject(REFUSED)
    expect(await readFile(target, 'utf8')).toBe('Do not lose me')
  })

  test('another store', async () => {
    const { directory } = await sampleStore()

    await expectRefusal(directory, REFUSED)
  })

  test('a backup of another store', async () => {
    const target = await temporaryPath('backup')
    await using temporary = await openTemporaryStore()
    await temporary.store.learn({ content: 'Another' })
    await temporary.store.backup(target)

    await expectRefusal(target, { ...REFUSED, details: { reason: /another store/ } })
  })

  test('a newer backup', async () => {
    const target = await temporaryPath('backup')
    const { directory } = await sampleStore()
    const older = await sampleStore()
    await using store = await open(directory)
    await store.learn({ content: 'Newer' })
    await store.backup(target)

    await expectRefusal(target, { ...REFUSED, details: { reason: /ends at/ } }, older.directory)
  })

  test('a backup of another history of the same store', async () => {
    const target = await temporaryPath('backup')
    const [one, other] = [await sampleStore(), await sampleStore()]
    await using store = await open(one.directory)
    await store.learn({ content: 'One way' })
    await store.backup(target)
    await using parted = await open(other.directory)
    for (const n of [1, 2, 3]) await parted.learn({ content: `The other way ${n}` })
    await parted.close()

    await expectRefusal(target, { ...REFUSED, details: { reason: /history/ } }, other.directory)
  })

  test('a damaged backup', async () => {
    const target = await temporaryPath('backup')
    const { directory } = await sampleStore()
    await using store = await open(directory)
    await store.backup(target)
    await store.close()
    await rm(join(target, 'data', '1.frames'))

    await expectRefusal(
      target,
      { code: 'BACKUP_DAMAGED', details: { file: '1.frames' } },
      directory
    )
  })

  test('the store itself, what is in it, and what it is in', async () => {
    const { directory, before } = await sampleStore()
    const link = await temporaryPath('link')
    await symlink(directory, link)
    await using store = await open(directory)

    for (const target of [
      directory,
      join(directory, 'a', 'b'),
      join(link, 'a'),
      join(link, '..')
    ]) {
      await expect(store.backup(target), target).rejects.toMatchObject(REFUSED)
    }
    await expect(store.backup(join(directory, '..'))).rejects.toMatchObject(REFUSED)

    expect(await look(store)).toEqual(before)
    expect(await readdir(directory)).not.toContain('a')
  })

  async function expectRefusal(target: string, expected: object, from?: string): Promise<void> {
    const directory = from ?? (await sampleStore()).directory
    await using store = await open(directory)
    const files = await filesOf(target)

    const error: unknown = await store.backup(target).catch((reason: unknown) => reason)

    const { details, ...rest } = expected as { details?: { reason?: RegExp; file?: string } }
    expect(error).toMatchObject(rest)
    if (details?.reason !== undefined) {
      const reason = expect.stringMatching(details.reason)
      expect(error).toMatchObject({ details: { reason } })
    } else if (details !== undefined) expect(error).toMatchObject({ details })
    expect(await filesOf(target)).toEqual(files)
  }
})

describe('a backup that cannot be finished', () => {
  test('of a damaged log says where, and the older backup stays', async () => {
    const { directory, before } = await sampleStore()
    const [target, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using store = await open(directory)
    await store.backup(target)
    for (let n = 0; n < 20; n++) await store.learn({ content: `More ${n}` })
    await store.close()
    const log = logOf(directory)
    const rows = await rowsOf(log)
    const [key, value] = rows.at(-10) ?? [Buffer.alloc(0), Buffer.alloc(0)]
    await changeRow(log, key, flipped(value, value.length - 1))
    // What is projected already is not read again when a store opens.
    await using damaged = await open(directory)

    const from = Number(key.readBigUInt64BE())
    await expect(damaged.backup(target)).rejects.toMatchObject({
      code: 'LOG_DAMAGED',
      details: { from }
    })
    await restore(target, restored)

    expect(await lookInto(restored)).toEqual(before)
    expect(await readdir(join(target, 'data'))).toHaveLength(3)
  })

  test('stops when it is aborted, and when the store closes', async () => {
    const { directory } = await sampleStore()
    const target = await temporaryPath('backup')
    await using store = await open(directory)
    const controller = new AbortController()
    const onProgress = (): void => controller.abort()

    const { signal } = controller
    await expect(store.backup(target, { signal, onProgress })).rejects.toMatchObject({
      code: 'ABORTED'
    })
    expect(await readdir(join(target, 'data'))).toEqual([])

    const late = store.backup(target, { onProgress: () => void store.close() })
    await expect(late).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await expect(restore(target, `${target}-restored`)).rejects.toMatchObject({
      code: 'BACKUP_NOT_FOUND'
    })
  })

  test('while another one writes there is refused', async () => {
    const { directory } = await sampleStore()
    const target = await temporaryPath('backup')
    await using store = await open(directory)

    const outcomes = await Promise.allSettled([store.backup(target), store.backup(target)])

    const reasons = outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'made'))
    expect(reasons.sort()).toEqual(['STORE_LOCKED', 'made'])
  })

  test('is refused for options and names that make no sense', async () => {
    const { directory } = await sampleStore()
    await using store = await open(directory)
    const target = await temporaryPath('backup')
    const given = (options: object) => store.backup(target, options)

    await expect(given({ incremental: true })).rejects.toMatchObject({ code: 'QUERY_INVALID' })
    await expect(given({ signal: 1 })).rejects.toThrow(TypeError)
    await expect(store.backup('')).rejects.toThrow(TypeError)
    await expect(readdir(target)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
