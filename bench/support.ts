import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { ImportRecord } from 'sutra-storage'

const MiB = 1024 * 1024
const BYTES = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

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
  const tuning = { writeBufferSize: 32 * MiB, maxFileSize: 32 * MiB, cacheSize: 8 * MiB }
  const db = new ClassicLevel<Buffer, Buffer>(directory, { ...BYTES, ...tuning })
  await db.open()
  return db
}

/** The mixing step of splitmix32, from 0 to 1. The same numbers for the same seed, everywhere. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 0x1_0000_0000
  }
}

export function keyOf(concept: number): string {
  return `concept-${concept}`
}

/** One hundred bytes that no other concept has. */
export function contentOf(concept: number): string {
  return `Concept ${concept} `.padEnd(100, 'what there is to say about it, ')
}

export function* conceptRecords(from: number, to: number): Generator<ImportRecord> {
  for (let i = from; i < to; i++) {
    yield { kind: 'concept', key: keyOf(i), type: 'thing', content: contentOf(i) }
  }
}

/** Associations of each concept, to others anywhere. Drawn again from one seed, they are the same. */
export function* associationRecords(
  concepts: number,
  each: number,
  seed: number
): Generator<ImportRecord> {
  for (const { source, target, type } of associationsOf(concepts, each, seed)) {
    const [sourceKey, targetKey] = [keyOf(source), keyOf(target)]
    yield { kind: 'association', sourceKey, targetKey, type, strength: 0.5 }
  }
}

interface DrawnAssociation {
  source: number
  target: number
  type: string
}

export function* associationsOf(
  concepts: number,
  each: number,
  seed: number
): Generator<DrawnAssociation> {
  const random = seededRandom(seed)
  for (let source = 0; source < concepts; source++) {
    for (let n = 0; n < each; n++) {
      yield { source, target: Math.floor(random() * concepts), type: `type-${n}` }
    }
  }
}

/** What a program of its own would store under: 16 bytes that look random. */
export function bareKey(concept: number): Buffer {
  const key = Buffer.alloc(16)
  const random = seededRandom(concept)
  for (let at = 0; at < 16; at += 4) key.writeUInt32BE(Math.floor(random() * 0x1_0000_0000), at)
  return key
}

/** Found by its source, as an own program's adjacency would be. From the target takes one more. */
export function bareKeyOfAssociation({ source, target, type }: DrawnAssociation): Buffer {
  return Buffer.concat([bareKey(source), Buffer.from(type), bareKey(target)])
}

/** With its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}
