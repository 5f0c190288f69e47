import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { open, type StoreOptions } from 'sutra-storage'
import { expect } from 'vitest'
import { frameKey } from '#sutra/log/frame.js'
import { pageKey } from '#sutra/projections/tables/keys.js'
import { GraphFactory } from '#sutra/projections/vectors/vector-index.js'
import { DiskGuard } from '#sutra/store/disk-guard.js'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import { Child } from '../support/child.ts'
import { changeRow, deleteRows, flipped, logOf, rowsOf, tablesOf } from '../support/raw.ts'
import { look, sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import type { ErrorCase, Story } from './case.ts'

/** Projects only when it is asked to, so that nothing is synced in between. */
const LAZY: StoreOptions = { pipeline: { intervalMs: { min: 100, base: 100, max: 100 } } }
const pid = process.pid
const since = expect.any(String)

export const STORIES: Story[] = [
  {
    code: 'IMPORT_SOURCE_CHANGED',
    when: 'an import goes on with another file',
    details: { resumeKey: 'x', before: expect.any(String), now: expect.any(String) },
    tell: async (expected) => {
      const { directory } = await sampleStore()
      await using store = await open(directory)
      const source = await temporaryPath('lines.jsonl')
      await writeFile(source, '{"kind":"concept","content":"One"}\n')
      await store.import(source, { resumeKey: 'x' })
      const before = await look(store)
      await writeFile(source, '{"kind":"concept","content":"Two"}\n')
      await expectError(store.import(source, { resumeKey: 'x' }), expected)
      expect(await look(store)).toEqual(before)
    }
  },
  {
    code: 'STORE_LOCKED',
    when: 'this very thread has it open',
    details: { pid, since },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory)
      await expectError(open(directory), expected)
      await expectError(open(`${directory}/../store/`), expected)
      expect(await look(store)).toEqual(before)
      await store.learn({ content: 'It still writes' })
    }
  },
  {
    code: 'STORE_LOCKED',
    when: 'another thread has it open',
    details: { pid, since },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      const worker = new Worker(new URL('./holder.mjs', import.meta.url), { workerData: directory })
      await new Promise((resolve) => worker.once('message', resolve))
      await expectError(open(directory), expected)
      await worker.terminate()
      await using store = await open(directory)
      expect(await look(store)).toEqual(before)
    }
  },
  {
    code: 'STORE_LOCKED',
    when: 'another process has it open',
    details: { pid: expect.any(Number), since },
    tell: async (expected) => {
      const { directory } = await sampleStore()
      const plan = { commits: 1, hold: true }
      const child = new Child('support/writer.mjs', [directory, JSON.stringify(plan)])
      await child.line('done')
      await expectError(open(directory), { ...expected, details: { pid: child.pid, since } })
      await expectError(open(directory, { readOnly: true }), expected)
      child.process.stdin?.end('go\n')
      expect((await child.ended).lines.at(-1)).toEqual({ closed: true })
      await using store = await open(directory)
      expect((await store.get({ key: 'k1' }))?.content).toMatch(/^1 /)
    }
  },
  {
    code: 'STORE_CLOSED',
    when: 'it was closed',
    details: { operation: expect.any(String) },
    tell: async (expected) => {
      const { directory } = await sampleStore()
      const store = await open(directory)
      await store.close()
      await store.close()
      const calls = [
        () => store.learn({ content: 'New' }),
        () => store.get({ key: 'k1' }),
        () => store.view(),
        () => store.caughtUp(),
        () => store.checkpoint(),
        () => store.rebuild(),
        () => store.verify(),
        () => store.import([]),
        async () => store.events(),
        async () => store.stats()
      ]
      for (const call of calls) await expectError(call(), expected)
    }
  },
  {
    code: 'STORE_READ_ONLY',
    when: 'it was opened to be read',
    details: { operation: expect.any(String) },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory, { readOnly: true })
      await expectError(store.learn({ content: 'New' }), { ...expected, details: COMMIT })
      await expectError(store.import([]), expected)
      await expectError(store.rebuild(), expected)
      await expectError(store.checkpoint(), expected)
      expect(await look(store)).toEqual(before)
    }
  },
  {
    code: 'STORE_READ_ONLY',
    when: 'a read-only store is to declare vectors',
    details: { operation: 'vectors' },
    tell: async (expected) => {
      const directory = await temporaryPath()
      await (await open(directory)).close()
      const options = { readOnly: true, vectors: { dimensions: 3 } }
      await expectError(open(directory, options), expected)
      await using store = await open(directory)
      expect(store.head).toBe(0)
    }
  },
  {
    code: 'VIEW_CLOSED',
    when: 'a view was closed',
    details: { position: expect.any(Number) },
    tell: async (expected) => {
      const { directory } = await sampleStore()
      await using store = await open(directory)
      const view = await store.view()
      await view.close()
      await view.close()
      await expectError(view.get({ key: 'k1' }), { ...expected, details: { position: store.head } })
      await expectError(view.counts(), expected)
    }
  },
  {
    code: 'WRITE_FAILED',
    when: 'a sync fails',
    details: { first: expect.any(Number), last: expect.any(Number) },
    outcome: 'unknown',
    tell: async (expected) => tellPoison(expected, 0)
  },
  {
    code: 'STORE_POISONED',
    when: 'a write failed before',
    details: { durableHead: expect.any(Number) },
    tell: async (expected) => tellPoison(expected, 1)
  },
  {
    code: 'DISK_LOW',
    when: 'the disk is nearly full',
    details: { freeBytes: 4096, reserveBytes: 25_600 },
    tell: async (expected) => {
      const full = async () => ({ bavail: 1, blocks: 100, bsize: 4096 })
      const guard = new DiskGuard('a disk', 2 ** 20, new TelemetryHub(), full)
      await expectError(Promise.resolve(guard.room()), expected)
      expect(guard.reading).toMatchObject({ low: true })
    }
  },
  {
    code: 'TABLES_DAMAGED',
    when: 'a row is read that is damaged',
    details: { key: expect.any(String), reason: expect.stringContaining('checksum') },
    tell: async (expected) => {
      const directory = await withDamagedPage()
      await using store = await open(directory)
      await expectError(store.neighbors({ key: 'early1' }), expected)
      expect(await store.has({ key: 'early1' })).toBe(true)
    }
  },
  {
    code: 'PROJECTION_STOPPED',
    when: 'the tables cannot go on',
    details: { projection: 'tables', position: expect.any(Number) },
    tell: async (expected) => {
      const directory = await temporaryPath()
      await using store = await open(directory, LAZY)
      const position = store.head
      await store.learn({ content: 'Lost before it is projected' })
      await deleteRows(logOf(directory), [frameKey(store.head)])
      const details = { projection: 'tables', position }
      await expectError(store.caughtUp(), { ...expected, details })
    }
  },
  {
    code: 'VECTORS_NOT_DECLARED',
    when: 'there are no vectors',
    details: { operation: expect.any(String) },
    tell: async (expected) => {
      const directory = await temporaryPath()
      await using store = await open(directory)
      await expectError(store.learn({ content: 'New', embedding: [1] }), expected)
      await expectError(store.search([1]), expected)
      expect(store.head).toBe(0)
    }
  },
  {
    code: 'VECTORS_UNAVAILABLE',
    when: 'the graph engine does not load',
    details: { reason: 'No native build was found' },
    tell: async (expected) => {
      const shape = { dimensions: 3, metric: 'cosine', quantization: 'f16' } as const
      const effort = { connectivity: 16, expansionAdd: 64, expansionSearch: 64 }
      const loading = GraphFactory.load({ ...shape, ...effort }, async () => {
        throw new Error('No native build was found')
      })
      await expectError(loading, expected)
    }
  }
]

const COMMIT = { operation: 'commit' }

export async function expectError(promise: Promise<unknown>, expected: ErrorCase): Promise<void> {
  const { code, details, outcome = 'none' } = expected
  await expect(promise).rejects.toMatchObject({ name: 'StoreError', code, details, outcome })
}

/** Unsynced frames, then a durable one while their files cannot be opened by name. */
async function tellPoison(expected: ErrorCase, failures: number): Promise<void> {
  const { directory, before: sample } = await sampleStore()
  const store = await open(directory, LAZY)
  await rename(join(directory, 'log'), join(directory, 'away'))
  await store.learn({ content: 'Not durable' }, { durability: 'os' })
  for (let n = 0; n < failures; n++) {
    await expect(store.forget({ key: 'k1' })).rejects.toMatchObject({ code: 'WRITE_FAILED' })
  }

  await expectError(store.forget({ key: 'k1' }), expected)

  await rename(join(directory, 'away'), join(directory, 'log'))
  const before = await look(store)
  expect(before.position).toBe(sample.position + 1)
  await expect(store.learn({ content: 'x' })).rejects.toMatchObject({ code: 'STORE_POISONED' })
  expect(await look(store)).toEqual(before)
  expect(store.stats()).toMatchObject({ poisoned: true, position: before.position })
  await store.close()
  await using again = await open(directory)
  expect((await look(again)).stateHash).toBe(before.stateHash)
  await again.forget({ key: 'k1' })
}

/** The page of the associations of `early1` does not match its checksum. */
async function withDamagedPage(): Promise<string> {
  const { directory } = await sampleStore()
  const store = await open(directory)
  const early1 = { key: 'early1' }
  await store.associate({ source: early1, target: early1, type: 'self' })
  await store.close()
  const tables = await tablesOf(directory)
  const key = pageKey('out', 1, 0)
  const row = (await rowsOf(tables)).find(([found]) => found.equals(key))
  if (row === undefined) throw new Error('The concept has no page')
  await changeRow(tables, key, flipped(row[1], 8))
  return directory
}
