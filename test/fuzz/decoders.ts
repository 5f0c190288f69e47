/**
 * Every place where bytes from outside become something else, each with bytes that it once wrote.
 * Where a checksum stands in front, there are two of it: one that meets mutated bytes as they are,
 * and one for which the checksum was made anew, so that the decoder behind it is reached.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { ConceptId, isStoreError } from 'sutra-storage'
import { encodeMetadata, mergeMetadata } from '#sutra/checks/metadata.js'
import { importRecords } from '#sutra/import/import.js'
import { LearnedConcept, readEvent } from '#sutra/log/event-reader.js'
import { checkFrame, encodeBody, frameKey, sealFrame, sealGap } from '#sutra/log/frame.js'
import { BodyReader, damageOf, decodeFrame } from '#sutra/log/frame-decode.js'
import { HeadFile } from '#sutra/log/head-file.js'
import { toStoredEvent } from '#sutra/log/stored-event.js'
import { copyLearned, learnedBytesMax } from '#sutra/projections/tables/concept-row.js'
import { currentGeneration } from '#sutra/projections/tables/generation.js'
import { checkSealed, type FileSeal, readSeal } from '#sutra/projections/vectors/index-files.js'
import { checkSizes } from '#sutra/projections/vectors/index-files-open.js'
import {
  emptyManifest,
  filesOf,
  publishManifest,
  readManifest,
  type SegmentSeal
} from '#sutra/projections/vectors/manifest.js'
import { Pace } from '#sutra/projections/vectors/pace.js'
import { decodeCursor, encodeCursor } from '#sutra/query/cursor.js'
import { pack, unpack } from '#sutra/storage/codec.js'
import { readFormat } from '#sutra/store/format.js'
import { FakeTarget } from '../import/fake-target.ts'
import { commitOf, EVENTS, TIME } from '../support/commits.ts'
import type { Random } from '../support/random.ts'
import { rowDecoders } from './rows.ts'

export interface Decoder {
  name: string
  /** Bytes that it reads well. */
  samples: readonly Buffer[]
  /** How many inputs of each thousand it gets, more or less: files are slow. */
  share: number
  decode(bytes: Buffer, random: Random): unknown
  /** Whether this is how it refuses. */
  isTyped(error: unknown): boolean
}

const STORE_ID = Buffer.alloc(16, 7)
/** The older format has no time in its header, with which that in the body must agree. */
const FRAME = { format: 1, first: 1, time: TIME, previous: 0, storeId: STORE_ID } as const
const METADATA = { n: 1, tags: ['a', 'b'], deep: { x: null, y: [1.5, true] } }
const LIMITS = new FakeTarget().limits

/** @param directory A scratch directory, removed behind the test. */
export async function allDecoders(directory: string): Promise<Decoder[]> {
  return [
    ...frameDecoders(),
    ...(await rowDecoders(directory)),
    ...(await fileDecoders(directory)),
    ...textDecoders()
  ]
}

export async function withScratch<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'sutra-fuzz-'))
  try {
    return await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

function frameDecoders(): Decoder[] {
  const bodies = bodySamples()
  const frames = bodies.map((body) => sealFrame(body, { ...FRAME, count: countEvents(body) }))
  const newer = { ...FRAME, format: 2, count: 1 } as const
  const gap = sealGap({ ...newer, next: 123, reason: 'It was lost' })
  const isTyped = (error: unknown): boolean => isNamed(error, 'FrameDamage')
  return [
    {
      name: 'frame',
      samples: [...frames, gap].map(({ value }) => value),
      share: 60,
      decode: (bytes) => decodeFrame(frameKey(1), bytes, STORE_ID),
      isTyped
    },
    {
      name: 'frame, sealed anew',
      samples: bodies,
      share: 250,
      decode: (body, random) => {
        const odd = random.pick([1, 0xffff, 0xffffffff])
        const count = random.next() < 0.9 ? countEvents(body) : odd
        const first = random.next() < 0.9 ? 1 : 2 ** 53 - 2
        const format = random.pick([1, 2] as const)
        const frame = sealFrame(body, { ...FRAME, format, first, count })
        return decodeFrame(frame.key, frame.value, STORE_ID)
      },
      isTyped
    },
    {
      name: 'concepts of a frame that was sealed anew, where they lie',
      samples: bodies,
      share: 50,
      decode: (body) => learnedIn(body),
      isTyped: (error) => damageOf(error) !== undefined
    },
    {
      name: 'event of a frame that was sealed anew, as the public API gives it',
      samples: bodies,
      share: 100,
      decode: (body) => eventsOf(body),
      isTyped: (error) => isTyped(error) || isStoreError(error)
    }
  ]
}

function learnedIn(body: Buffer): number {
  const { key, value } = sealFrame(body, { ...FRAME, count: countEvents(body) })
  const reader = new BodyReader({ ...checkFrame(key, value, STORE_ID), value })
  const learned = new LearnedConcept()
  let found = 0
  for (let head = reader.nextCommit(); head !== undefined; head = reader.nextCommit()) {
    for (let i = 0; i < head.count; i++) {
      if (learned.read(reader.reader)) found += copiedBytes(value, learned)
      else readEvent(reader.reader)
    }
  }
  return found
}

function copiedBytes(body: Buffer, learned: LearnedConcept): number {
  const row = Buffer.alloc(learnedBytesMax(learned))
  return copyLearned(row, 0, body, learned, { position: 1, time: TIME })
}

function eventsOf(body: Buffer): unknown {
  const frame = sealFrame(body, { ...FRAME, count: countEvents(body) })
  const { commits } = decodeFrame(frame.key, frame.value, STORE_ID)
  return commits.map((commit) =>
    commit.events.map((event, index) => toStoredEvent(commit, index, event))
  )
}

/** As many as the body says itself, so that nonsense gets as far as it can; at least one. */
function countEvents(body: Buffer): number {
  try {
    const commits = unpack(body)
    if (!Array.isArray(commits)) return 1
    const count = commits.reduce<number>((sum, one: unknown) => {
      const events: unknown = Array.isArray(one) ? one[2] : undefined
      return sum + (Array.isArray(events) ? events.length : 0)
    }, 0)
    return Math.max(1, count)
  } catch {
    // The decoder under test says what is wrong with it.
    return 1
  }
}

function bodySamples(): Buffer[] {
  const metadata = encodeMetadata({ command: undefined, limits: LIMITS }, METADATA)
  const fields = { content: 'c', metadata, strength: 0.5 }
  const results = [{ id: ConceptId.fromKey('b'), key: 'b', version: 1, created: true }]
  const idempotency = { key: 'key', digest: Buffer.alloc(16, 1), results }
  const headers = { trace: 'x' }
  const meta = { subject: 's', causation: 'c', correlation: 'd', headers, idempotency }
  const learned = EVENTS[0]
  if (learned?.type !== 'concept-learned') throw new Error('The first sample learns a concept')
  return [
    encodeBody([commitOf(1, ['one'])]),
    encodeBody([{ time: TIME, first: 1, meta, events: EVENTS.slice(0, 2) }]),
    ...EVENTS.map((event) => encodeBody([{ time: TIME, first: 1, meta, events: [event] }])),
    encodeBody([{ time: TIME, first: 1, meta: undefined, events: EVENTS }]),
    encodeBody([{ time: TIME, first: 1, meta: undefined, events: [{ ...learned, fields }] }])
  ]
}

async function fileDecoders(directory: string): Promise<Decoder[]> {
  const head = join(directory, 'HEAD')
  HeadFile.create(head, STORE_ID).close()
  const format = {
    format: 1,
    storeId: STORE_ID.toString('hex'),
    createdAt: new Date(TIME).toISOString()
  }
  return [
    {
      name: 'HEAD',
      samples: [await readFile(head)],
      share: 20,
      decode: async (bytes) => {
        await writeFile(head, bytes)
        const { file } = HeadFile.open(head, STORE_ID)
        file.close()
      },
      isTyped: isStoreError
    },
    {
      name: 'FORMAT',
      samples: [Buffer.from(`${JSON.stringify(format)}\n`)],
      share: 20,
      decode: async (bytes) => {
        await writeFile(join(directory, 'FORMAT'), bytes)
        await readFormat(directory)
      },
      isTyped: isStoreError
    },
    {
      name: "the tables' CURRENT",
      samples: [Buffer.from('1'), Buffer.from('123456')],
      share: 10,
      decode: async (bytes) => {
        await writeFile(join(directory, 'tables', 'CURRENT'), bytes)
        await currentGeneration(directory)
      },
      isTyped: isStoreError
    },
    ...(await manifestDecoders(directory))
  ]
}

async function manifestDecoders(directory: string): Promise<Decoder[]> {
  const declared = EVENTS.find((event) => event.type === 'vectors-declared')
  if (declared?.type !== 'vectors-declared') throw new Error('No sample declares vectors')
  const expected = emptyManifest(STORE_ID.toString('hex'), declared)
  const pace = new Pace()
  // Two vectors of two dimensions; the graph is not looked into here.
  const sealOf = async (file: string, bytes: number): Promise<FileSeal> => {
    await writeFile(join(directory, file), Buffer.alloc(bytes, 1))
    return readSeal(join(directory, file), pace)
  }
  const dimensions = 2
  const segment: SegmentSeal = {
    ...{ name: '1', rows: 2, first: 1, last: 2 },
    vectors: await sealOf('1.f32', 2 * 4 * dimensions),
    ids: await sealOf('1.ids', 2 * 12),
    graph: { name: '2', rows: 2, file: await sealOf('2.usearch', 100) }
  }
  const made = { ...expected, dimensions, nextName: 3, position: 9, segments: [segment] }
  await publishManifest(directory, made)
  const path = join(directory, 'MANIFEST')
  const sample = await readFile(path)
  // As the index does when it opens: first the list, then the files that it names.
  const read = async (bytes: Buffer): Promise<void> => {
    await writeFile(path, bytes)
    const manifest = await readManifest(directory, { ...expected, dimensions })
    if (manifest === undefined) return
    await checkSizes(directory, manifest)
    for (const { name, seal } of manifest.segments.flatMap(filesOf)) {
      await checkSealed(join(directory, name), seal, pace)
    }
  }
  const isTyped = (error: unknown): boolean => isNamed(error, 'IndexDamage')
  const json = sample.subarray(0, sample.indexOf('\n'))
  return [
    { name: 'manifest of vectors', samples: [sample], share: 20, decode: read, isTyped },
    {
      name: 'manifest of vectors, sealed anew',
      samples: [json],
      share: 40,
      decode: async (bytes) => {
        const sum = crc32(bytes.toString()).toString(16).padStart(8, '0')
        await read(Buffer.from(`${bytes.toString().replaceAll('\n', ' ')}\n${sum}\n`))
      },
      isTyped
    }
  ]
}

function textDecoders(): Decoder[] {
  const scope = { command: undefined, limits: LIMITS }
  return [
    {
      name: 'cursor',
      samples: cursorSamples(),
      share: 100,
      decode: (bytes) => decodeCursor(bytes.toString('base64url')),
      isTyped: (error) => isStoreError(error, 'CURSOR_INVALID')
    },
    {
      name: 'metadata that a caller gives',
      samples: [pack(METADATA), pack({ METADATA })],
      share: 60,
      decode: (bytes) => {
        // Whatever MessagePack can make, a caller can give as well.
        const value = madeOf(bytes)
        const encoded = encodeMetadata(scope, value)
        return mergeMetadata(scope, encoded, encoded)
      },
      isTyped: (error) => isStoreError(error) || error instanceof TypeError
    },
    {
      name: 'JSON Lines',
      samples: lineSamples(),
      share: 60,
      decode: async (bytes) => {
        const report = await importRecords(new FakeTarget(), one(bytes), {})
        if (report.records !== report.concepts + report.associations + report.rejectedCount) {
          throw new Error(`The report does not add up: ${JSON.stringify(report)}`)
        }
      },
      // A bad line is reported; it stops nothing.
      isTyped: () => false
    }
  ]
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

function madeOf(bytes: Buffer): unknown {
  try {
    return unpack(bytes)
  } catch {
    return bytes.toString('latin1')
  }
}

function cursorSamples(): Buffer[] {
  const end = { ordinal: 1, id: ConceptId.fromKey('a'), key: 'a' }
  const state = {
    source: end,
    target: { ...end, ordinal: 2 },
    name: 'knows',
    key: 'k',
    strength: 1,
    confidence: 1,
    metadata: undefined,
    version: 1,
    createdAt: TIME,
    updatedAt: TIME,
    position: 1
  }
  return (['out', 'in'] as const).map((side) => Buffer.from(encodeCursor(state, side), 'base64url'))
}

function lineSamples(): Buffer[] {
  const concept = {
    kind: 'concept',
    key: 'wn:1',
    type: 'synset',
    content: 'A thing',
    data: 'AAEC',
    embedding: [0.5, 1e30],
    strength: 0.25,
    metadata: { lang: 'en', n: [1, { a: null }] }
  }
  const association = {
    kind: 'association',
    sourceKey: 'wn:1',
    target: ConceptId.fromKey('wn:1'),
    type: 'is',
    strength: 1
  }
  const lines = [concept, association].map((record) => JSON.stringify(record))
  return [...lines, lines.join('\n'), `\ufeff${lines.join('\r\n')}\n\n`].map((text) =>
    Buffer.from(text)
  )
}

function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name
}
