import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect } from 'vitest'
import { ConceptId } from '#sutra/ids.js'
import { Anchors } from '#sutra/log/anchor.js'
import type { ConceptChanged, LogEvent, VectorsDeclared } from '#sutra/log/event.js'
import { encodeBody, type LogCommit, sealFrame } from '#sutra/log/frame.js'
import { FrameReader } from '#sutra/log/reader.js'
import { VectorsClient, type VectorsStart } from '#sutra/projections/vectors/client.js'
import { Level } from '#sutra/storage/level.js'
import type { NewTelemetryEvent } from '#sutra/telemetry/types.js'

/** Room for all the vectors of these tests; 0 leaves them in the files once they are there. */
const CACHE_BYTES = 64 * 1024 * 1024
const TUNING = { cacheBytes: 2 ** 20, writeBufferBytes: 2 ** 24, maxFileBytes: 2 ** 21 }

export const DECLARED: VectorsDeclared = {
  type: 'vectors-declared',
  space: 'default',
  dimensions: 24,
  metric: 'cosine',
  model: undefined,
  quantization: 'f16',
  connectivity: 16,
  expansionAdd: 64,
  expansionSearch: 64
}

export interface Row {
  ordinal: number
  revision: number
  vector: Float32Array
  /** Of the event that brought it; 0 until that is appended. */
  position: number
}

/** A log in a temporary directory, and vector indexes that follow it. */
export class VectorsFixture implements AsyncDisposable {
  readonly directory: string
  readonly storeId: Buffer
  readonly telemetry: NewTelemetryEvent[] = []
  readonly rows: Row[] = []
  readonly #level: Level
  readonly #clients = new Set<VectorsClient>()
  readonly #told = new Set<VectorsClient>()
  readonly #random: () => number
  #head = 0
  #previous = 0

  private constructor(directory: string, level: Level, seed: number) {
    this.directory = directory
    this.#level = level
    this.#random = randomFrom(seed)
    this.storeId = Buffer.alloc(16, 7)
  }

  static async create(seed = 1): Promise<VectorsFixture> {
    const directory = await mkdtemp(join(tmpdir(), 'sutra-vectors-'))
    return new VectorsFixture(directory, await Level.create(join(directory, 'log'), TUNING), seed)
  }

  get head(): number {
    return this.#head
  }

  get vectorsDirectory(): string {
    return join(this.directory, 'vectors')
  }

  /** From now on a client is told of what is appended, as the writer of a store tells it. */
  tell(client: VectorsClient): void {
    this.#told.add(client)
  }

  untell(client: VectorsClient): void {
    this.#told.delete(client)
  }

  /** Appends one frame, which holds these events. */
  async append(events: LogEvent[]): Promise<void> {
    const first = this.#head + 1
    const commit: LogCommit = { time: 1, first, meta: undefined, events }
    const body = encodeBody([commit])
    const header = {
      format: 2 as const,
      first,
      count: events.length,
      time: 1,
      previous: this.#previous,
      storeId: this.storeId
    }
    const frame = sealFrame(body, header)
    await this.#level.put(frame.key, frame.value, { sync: false })
    this.#head += events.length
    this.#previous = frame.checksum
    for (const [index, event] of events.entries()) {
      if (event.type !== 'concept-learned') continue
      const row = this.rows[(event.fields.vector?.revision ?? 0) - 1]
      if (row !== undefined) row.position = first + index
    }
    for (const client of this.#told) client.appended([commit], first, this.#head)
  }

  /** Learns concepts with random vectors, in frames of the given size. */
  async learn(
    count: number,
    options: { dimensions?: number; perFrame?: number } = {}
  ): Promise<void> {
    const { dimensions = DECLARED.dimensions, perFrame = 250 } = options
    for (let done = 0; done < count; done += perFrame) {
      const events: LogEvent[] = []
      for (let at = done; at < Math.min(count, done + perFrame); at++) {
        events.push(this.learned(this.randomVector(dimensions)))
      }
      await this.append(events)
    }
  }

  /** The event of a new concept with this vector, which counts as learned from here on. */
  learned(vector: Float32Array, ordinal: number = this.rows.length): ConceptChanged {
    const revision = this.rows.length + 1
    this.rows.push({ ordinal, revision, vector, position: 0 })
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
    return {
      type: 'concept-learned',
      ordinal,
      id: ConceptId.fromKey(`concept ${ordinal}`),
      version: 1,
      created: true,
      fields: { content: 'x', vector: { space: 'default', revision, bytes } }
    }
  }

  forgotten(ordinal: number): LogEvent {
    const id = ConceptId.fromKey(`concept ${ordinal}`)
    return { type: 'concept-forgotten', ordinal, id, version: 2, key: undefined }
  }

  randomVector(dimensions: number = DECLARED.dimensions): Float32Array {
    return Float32Array.from({ length: dimensions }, () => this.#random() - 0.5)
  }

  async start(options: Partial<VectorsStart> = {}): Promise<VectorsClient> {
    const client = await VectorsClient.start({
      directory: this.directory,
      log: join(this.directory, 'log'),
      storeId: this.storeId,
      anchors: new Anchors(new FrameReader(this.#level, this.storeId), () => ({
        position: this.#head,
        checksum: this.#previous
      })),
      declaration: DECLARED,
      readOnly: false,
      expansionSearch: DECLARED.expansionSearch,
      cacheBytes: CACHE_BYTES,
      isTrusted: true,
      head: () => this.#head,
      onTelemetry: (event) => this.telemetry.push(event),
      ...options
    })
    this.#clients.add(client)
    return client
  }

  async stop(client: VectorsClient): Promise<void> {
    this.#clients.delete(client)
    this.#told.delete(client)
    await client.close()
  }

  async filesOnDisk(): Promise<string[]> {
    return (await readdir(this.vectorsDirectory)).sort()
  }

  types(): string[] {
    return this.telemetry.map(({ type }) => type)
  }

  /** The revisions of the nearest rows, by brute force. */
  nearest(query: Float32Array, k: number, metric: VectorsDeclared['metric'] = 'cosine'): number[] {
    return nearestOf(this.rows, query, k, metric)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close()
    await this.#level.close()
    await rm(this.directory, { recursive: true })
  }
}

/** The revisions of the nearest of some rows, by brute force. */
export function nearestOf(
  rows: readonly Row[],
  query: Float32Array,
  k: number,
  metric: VectorsDeclared['metric'] = 'cosine'
): number[] {
  return rows
    .map(({ revision, vector }) => ({ revision, distance: distance(query, vector, metric) }))
    .sort((a, b) => a.distance - b.distance || a.revision - b.revision)
    .slice(0, k)
    .map(({ revision }) => revision)
}

/** Follows the log to its head. */
export async function catchUp(client: VectorsClient, head: number): Promise<void> {
  while (client.position < head) await client.project(head)
}

/** Waits until the background has brought something about. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`It did not come about: ${isSo}`)
    await setTimeout(5)
  }
}

/** What an index must answer at the head, with and without its graphs. */
export async function expectRightAnswers(
  fixture: VectorsFixture,
  client: VectorsClient,
  queries = 10
): Promise<void> {
  const position = fixture.head
  for (let round = 0; round < queries; round++) {
    const query = fixture.randomVector()
    const expected = fixture.nearest(query, 10)
    const exact = await client.search(query, { k: 10, exact: true, position })
    const found = await client.search(query, { k: 10, ef: 256, position })
    expect([...exact.revisions]).toEqual(expected)
    expect(found.revisions.filter((one) => expected.includes(one)).length).toBeGreaterThan(7)
  }
  const last = fixture.rows.length
  const vectors = await client.vectors([1, last], { position })
  expect(vectors).toEqual([fixture.rows[0]?.vector, fixture.rows[last - 1]?.vector])
}

export function distance(
  a: Float32Array,
  b: Float32Array,
  metric: VectorsDeclared['metric']
): number {
  const dot = (x: Float32Array, y: Float32Array): number =>
    x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0)
  switch (metric) {
    case 'ip':
      return 1 - dot(a, b)
    case 'l2sq':
      return a.reduce((sum, value, at) => sum + (value - (b[at] ?? 0)) ** 2, 0)
    case 'cosine':
      return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
  }
}

/** Mulberry32: small, fast, the same on every machine. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
