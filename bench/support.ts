import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { ImportRecord } from 'sutra-storage'
import {
  associationRecords,
  bareKey,
  bareKeysOfAssociation,
  conceptRecords,
  contentOf,
  targetsOf
} from './records.mjs'

export {
  associationRecords,
  bareKey,
  conceptRecords,
  contentOf,
  keyOf,
  seededRandom
} from './records.mjs'

const MiB = 1024 * 1024

/** As the store's own tables have them. */
export const BARE_OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  writeBufferSize: 32 * MiB,
  maxFileSize: 32 * MiB,
  cacheSize: 8 * MiB
} as const

export type Bare = ClassicLevel<Buffer, Buffer>

/** A directory that is removed behind the benchmark. */
export interface Scratch extends AsyncDisposable {
  path(name: string): string
}

export async function scratch(): Promise<Scratch> {
  const directory = await mkdtemp(join(tmpdir(), 'sutra-bench-'))
  return {
    path: (name) => join(directory, name),
    [Symbol.asyncDispose]: async () => rm(directory, { recursive: true, force: true })
  }
}

/**
 * The engine underneath, by itself, with buffers as the store's own tables have them: its defaults
 * would make it slower than it is.
 */
export async function openBare(directory: string): Promise<Bare> {
  const db = new ClassicLevel<Buffer, Buffer>(directory, BARE_OPTIONS)
  await db.open()
  return db
}

/** All concepts first, because an association needs both its ends. */
export function* graphRecords(
  concepts: number,
  each: number,
  seed: number
): Generator<ImportRecord> {
  yield* conceptRecords(0, concepts)
  yield* associationRecords(concepts, each, seed)
}

export interface BareRow {
  type: 'put'
  key: Buffer
  value: Buffer
}

interface RowRange {
  from: number
  to: number
  /** Of all concepts, which those of the range are associated with. Not needed without. */
  concepts?: number
  each: number
  seed: number
}

/** A row for each concept and two for each association, which is found from both its ends. */
export function* bareRows({ from, to, concepts = to, each, seed }: RowRange): Generator<BareRow> {
  for (let i = from; i < to; i++) {
    yield { type: 'put', key: bareKey(i), value: Buffer.from(contentOf(i)) }
  }
  for (let source = from; source < to; source++) {
    for (const [n, target] of targetsOf(source, concepts, each, seed).entries()) {
      const [out, back] = bareKeysOfAssociation({ source, target, type: `type-${n}` })
      yield { type: 'put', key: out, value: Buffer.alloc(8) }
      yield { type: 'put', key: back, value: Buffer.alloc(8) }
    }
  }
}

export async function writeBare(
  bare: Bare,
  rows: Iterable<BareRow>,
  batchRows: number,
  sync = false
): Promise<void> {
  // Options, even those that say nothing, make it merge them with each row: three times as slow.
  const write = async (batch: BareRow[]): Promise<void> =>
    sync ? bare.batch(batch, { sync }) : bare.batch(batch)
  let batch: BareRow[] = []
  for (const row of rows) {
    batch.push(row)
    if (batch.length < batchRows) continue
    await write(batch)
    batch = []
  }
  await write(batch)
}

/** What the files of a directory hold, those of its directories included. */
export async function diskBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size)
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/**
 * What this process has caused to be written to disks so far, all threads included: each page of a
 * file once it is dirty, less those of files that were removed before they were written.
 *
 * @returns `undefined` where the system does not tell: it is Linux that does.
 */
export async function writtenBytes(): Promise<number | undefined> {
  if (!existsSync('/proc/self/io')) return undefined
  const io = await readFile('/proc/self/io', 'utf8')
  const bytes = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1])
  return bytes('write_bytes') - bytes('cancelled_write_bytes')
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

/** With its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}
