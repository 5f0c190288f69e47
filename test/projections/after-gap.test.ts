/** A log with gaps: whatever is lost, the tables and the overlay make the same of what is left. */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ConceptId, open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { follows, sealFrame, sealGap } from '#sutra/log/frame.js'
import { decodeFrame } from '#sutra/log/frame-decode.js'
import { framesOf, loseFrames } from '../support/gap.ts'
import { Random } from '../support/random.ts'
import { look, type Seen, VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

const OS = { durability: 'os' } as const
const COMMITS = 160
const GAPS = 6

describe('a gap frame', () => {
  const storeId = Buffer.alloc(16, 7)
  const header = { first: 5, count: 3, time: 1234, previous: 99, storeId }

  test.each([1, 2] as const)('of format %i tells what it closes over', (format) => {
    const { key, value } = sealGap({ ...header, format, next: 77, reason: 'a bit flipped' })

    expect(decodeFrame(key, value, storeId)).toMatchObject({
      kind: 'gap',
      first: 5,
      last: 7,
      time: format === 1 ? undefined : 1234,
      previous: 99,
      commits: [],
      gap: { next: 77, reason: 'a bit flipped' }
    })
  })

  test('vouches for what the frame behind it names, and for nothing else', () => {
    const gap = sealGap({ ...header, format: 2, next: 77, reason: 'lost' })
    const before = decodeFrame(gap.key, gap.value, storeId)
    const named = (previous: number): boolean => follows(before, { first: 8, previous })

    expect(named(77)).toBe(true)
    // A frame that is appended behind a gap at the end of the log.
    expect(named(gap.checksum)).toBe(true)
    expect(named(99)).toBe(false)
    expect(named(0)).toBe(false)
    expect(follows(before, { first: 9, previous: 77 })).toBe(false)
    expect(follows(undefined, { first: 1, previous: 0 })).toBe(true)
    expect(follows(undefined, { first: 1, previous: 77 })).toBe(false)
  })

  test('stands at any byte for damage when one of its bits is turned around', () => {
    const { key, value } = sealGap({ ...header, format: 2, next: undefined, reason: 'lost' })

    for (let at = 0; at < value.length; at++) {
      const flipped = Buffer.from(value)
      flipped.writeUInt8(flipped.readUInt8(at) ^ 0x04, at)
      expect(() => decodeFrame(key, flipped, storeId), `byte ${at}`).toThrow(
        expect.objectContaining({ name: 'FrameDamage' })
      )
    }
  })
})

test('a time in the header that is not that of the last commit is damage', () => {
  const storeId = Buffer.alloc(16, 7)
  // [[time, meta, [[commit-noted, version 1]]]] in MessagePack.
  const body = Buffer.from([0x91, 0x93, 5, 0xc0, 0x91, 0x92, 10, 1])
  const seal = (time: number): ReturnType<typeof decodeFrame> => {
    const header = { format: 2, first: 1, count: 1, time, previous: 0, storeId } as const
    const { key, value } = sealFrame(body, header)
    return decodeFrame(key, value, storeId)
  }

  expect(seal(5).time).toBe(5)
  expect(() => seal(6)).toThrow('time differs')
})

describe('a store whose log has a gap', () => {
  test('says the same from the tables, from the overlay and from a rebuild', async () => {
    const random = new Random()
    const directory = await temporaryPath()
    const empty = await emptyStore(directory)
    const full = await open(directory)
    for (let n = 0; n < COMMITS; n++) await doSomething(full, random, n)
    await full.close()
    const frames = (await framesOf(directory)).length

    for (let n = 0; n < GAPS; n++) {
      const from = 1 + random.below(frames - 1)
      const to = Math.min(frames - 1, from + random.below(n % 3 === 0 ? 40 : 4))
      const lossy = `${directory}-${n}`
      await cp(directory, lossy, { recursive: true })
      await loseFrames(lossy, from, to)
      const context = `seed ${random.seed}, frames ${from} to ${to} of ${frames}`

      const overlay = await lookAtOverlay(lossy, empty)
      const tables = await lookAtTables(lossy)
      expect(tables, context).toEqual(overlay)
      await expectGoingOn(lossy, random, context)
      await rm(lossy, { recursive: true })
    }
  })

  test('gives its other events, and takes no number again that they name', async () => {
    const directory = await temporaryPath()
    const store = await open(directory, VECTORS)
    await store.learn({ id: { key: 'a' }, content: 'a' })
    await store.learn({ id: { key: 'b' }, content: 'b' })
    await store.associate({ source: { key: 'a' }, target: { key: 'b' }, type: 'knows' })
    await store.revise({ key: 'b' }, { embedding: vectorOf(1) })
    await store.close()
    // Declaration, a, b, association, revision: b is lost.
    await loseFrames(directory, 2, 2)
    await dropDerived(directory)

    await using lossy = await open(directory)

    const positions: number[] = []
    for await (const { position } of lossy.events()) positions.push(position)
    expect(positions).toEqual([1, 2, 4, 5])
    expect(await lossy.has({ key: 'b' })).toBe(false)
    expect(await lossy.counts()).toMatchObject({ concepts: 1, associations: 0, vectors: 0 })
    await lossy.learn({ id: { key: 'c' }, content: 'c', embedding: vectorOf(2) })
    await lossy.learn({ id: { key: 'b' }, content: 'again', embedding: vectorOf(3) })
    const found = await lossy.search(vectorOf(1), { k: 5 })
    expect(found.map(({ id }) => id).sort()).toEqual(
      [ConceptId.fromKey('b'), ConceptId.fromKey('c')].sort()
    )
    expect(await lossy.verify()).toMatchObject({ ok: true, problems: [] })
  })
})

test.each([
  { batchEventsMax: 1, batches: 'a batch for each event' },
  // What ended was learned before the gap in the very batch: no row tells of it yet.
  { batchEventsMax: 1000, batches: 'one batch for all' }
])('what was created again behind a gap counts once, in $batches', async ({ batchEventsMax }) => {
  const directory = await temporaryPath()
  const store = await open(directory)
  const ref = { source: { key: 'a' }, target: { key: 'b' }, type: 'knows' }
  await store.learn({ id: { key: 'a' }, content: 'a' })
  await store.learn({ id: { key: 'b' }, content: 'b' })
  await store.associate(ref)
  await store.dissociate(ref)
  await store.associate(ref)
  await store.forget({ key: 'b' })
  await store.learn({ id: { key: 'b' }, content: 'b again' })
  await store.close()
  // Without these, both were created twice and never ended between.
  await loseFrames(directory, 3, 3)
  await loseFrames(directory, 5, 5)
  await dropDerived(directory)

  await expectTwo(directory, batchEventsMax)
  // From the tables alone, once nothing is left to be projected.
  await expectTwo(directory, batchEventsMax)
})

async function expectTwo(directory: string, batchEventsMax: number): Promise<void> {
  await using lossy = await open(directory, { pipeline: { batchEventsMax } })
  await lossy.caughtUp()
  expect(await lossy.counts()).toMatchObject({ concepts: 2, associations: 0 })
  const contents: string[] = []
  for await (const { content } of lossy.concepts()) contents.push(content)
  expect(contents).toEqual(['a', 'b again'])
  expect(await lossy.get({ key: 'b' })).toMatchObject({ content: 'b again' })
}

/** A store with the same id and no events, but for the declaration of vectors; closed. */
async function emptyStore(directory: string): Promise<string> {
  await (await open(directory, VECTORS)).close()
  const empty = `${directory}-empty`
  await cp(directory, empty, { recursive: true })
  return empty
}

async function doSomething(store: Store, random: Random, n: number): Promise<void> {
  const any = (): { key: string } => ({ key: `k${random.below(9)}` })
  const ref = { source: any(), target: any(), type: random.pick(['x', 'y']) }
  const options = { ...OS, ...(n % 7 === 0 ? { idempotencyKey: `i${n}` } : {}) }
  const embedding = vectorOf(n)
  const works: (() => Promise<unknown>)[] = [
    async () => store.learn({ id: any(), content: `${n}`, ifExists: 'replace' }, options),
    async () => store.learn({ id: any(), type: `t${n % 3}`, content: `${n}`, embedding }, options),
    async () => store.associate({ ...ref, ifExists: 'replace', strength: 0.5 }, options),
    async () => store.associate(ref, options),
    async () => store.reinforce(ref, { strength: { by: -0.1 } }, options),
    async () => store.dissociate(ref, options),
    async () => store.revise(any(), { content: `revised ${n}`, embedding: null }, options),
    async () => store.reinforce(any(), { confidence: { by: -0.1 } }, options),
    async () => store.forget(any(), options)
  ]
  try {
    await random.pick(works)()
  } catch (error) {
    // What is not there is refused: then this commit is none.
    expect(error).toMatchObject({ name: 'StoreError' })
  }
}

async function dropDerived(directory: string): Promise<void> {
  await rm(join(directory, 'tables'), { recursive: true, force: true })
  await rm(join(directory, 'vectors'), { recursive: true, force: true })
}

/** Read-only and with empty tables, everything that is read comes from the overlay. */
async function lookAtOverlay(directory: string, empty: string): Promise<Seen> {
  await dropDerived(directory)
  await cp(join(empty, 'tables'), join(directory, 'tables'), { recursive: true })
  await using store = await open(directory, { readOnly: true })
  return await look(store)
}

async function lookAtTables(directory: string): Promise<Seen> {
  await dropDerived(directory)
  const store = await open(directory, { pipeline: { batchEventsMax: 1 } })
  await store.checkpoint()
  await store.close()
  await using reopened = await open(directory)
  return await look(reopened)
}

async function expectGoingOn(directory: string, random: Random, context: string): Promise<void> {
  await using store = await open(directory)
  for (let n = 0; n < 20; n++) await doSomething(store, random, n)
  const before = await look(store)
  await store.rebuild()
  expect(await look(store), context).toEqual(before)
}
