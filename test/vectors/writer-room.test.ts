/** Writers of vectors wait for room: the bound is a bound, whoever comes and however many at once. */
import fc from 'fast-check'
import { type Command, open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { roomOf } from './room-of.ts'

const random = new Random()

describe('a room for vectors', () => {
  test('counts those that come before they are written', async () => {
    const { room, builder, progress } = roomOf(0)
    expect(room.enter(1000)).toBeUndefined()
    const large = settled(room.enter(100))
    const small = settled(room.enter(1))
    await turn()
    // The small one would fit, but then the large one might never go in.
    expect([large.isDone, small.isDone]).toEqual([false, false])

    builder.pending = 1000
    room.leave(1000)
    await turn()
    expect([large.isDone, small.isDone]).toEqual([false, false])
    builder.pending = 924
    progress.notify()
    await turn()
    expect([large.isDone, small.isDone]).toEqual([true, false])
  })

  test('is taken whole by a commit that is larger, once nothing is left to build', async () => {
    const { room, builder, progress } = roomOf(700)
    const huge = settled(room.enter(5000))
    builder.pending = 60
    progress.notify()
    await turn()
    expect(huge.isDone).toBe(false)
    builder.isDrained = true
    progress.notify()
    await turn()
    expect(huge.isDone).toBe(true)
    expect(room.enter(1)).toBeInstanceOf(Promise)
  })

  test('says that there is room to spare once there is, not at the first that is built', async () => {
    const { room, builder, progress } = roomOf(1024)
    const spare = settled(room.spare(0.7))
    for (const pending of [1000, 900, 717]) {
      builder.pending = pending
      progress.notify()
      await turn()
      expect(spare.isDone).toBe(false)
    }
    builder.pending = 716
    progress.notify()
    await turn()
    expect(spare.isDone).toBe(true)
    expect(room.spare(0.7)).toBeUndefined()
    expect(room.spare(0.6)).toBeInstanceOf(Promise)
  })

  test('lets those behind go in when a large one gives up', async () => {
    const { room } = roomOf(1000)
    const giveUp = new AbortController()
    const large = room.enter(500, giveUp.signal)
    const small = settled(room.enter(20))
    giveUp.abort()
    await expect(large).rejects.toMatchObject({ code: 'ABORTED' })
    await turn()
    expect(small.isDone).toBe(true)
    await expect(room.enter(500, AbortSignal.abort())).rejects.toMatchObject({ code: 'ABORTED' })
    expect(room.load).toMatchObject({ waiting: 0, fill: 1020 / 1024 })
  })

  test('refuses who waits when building fails again, and lets go of all when it ends', async () => {
    const { room, builder, progress, cancel } = roomOf(1024)
    const early = room.enter(1)
    builder.attempt = 1
    builder.error = new Error('it died')
    progress.notify()
    await expect(early).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    const [entering, sparing] = [room.enter(1), room.spare(0.5)]
    cancel.raise()
    progress.notify()
    await entering
    await sparing
  })

  test('refuses who would wait for vectors that cannot be read, and lets others in', async () => {
    const { room, builder, progress } = roomOf(1000)
    const early = room.enter(100)
    builder.readError = new Error('frames are missing')
    progress.notify()

    const refused = { code: 'PROJECTION_STOPPED', message: expect.stringMatching(/are missing/) }
    await expect(early).rejects.toMatchObject(refused)
    await expect(room.enter(100)).rejects.toMatchObject(refused)
    expect(room.enter(20)).toBe(undefined)
  })

  test('lets everybody in once nothing is written any more', async () => {
    const { room } = roomOf(1024)
    const waiting = room.enter(10)

    room.open()

    await waiting
    expect(room.enter(5000)).toBe(undefined)
  })

  test('never holds more than it may, and keeps nobody waiting who fits', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('enter' as const), rows: fc.integer({ min: 1, max: 700 }) }),
      fc.record({ do: fc.constant('write' as const), at: fc.nat(20) }),
      fc.record({ do: fc.constant('build' as const), rows: fc.integer({ min: 1, max: 900 }) })
    )
    const run = fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { room, builder, progress } = roomOf(0)
      const inside: number[] = []
      const outside: number[] = []
      const enter = async (rows: number): Promise<void> => {
        outside.push(rows)
        await room.enter(rows)
        // First come, first served.
        expect(outside.shift()).toBe(rows)
        inside.push(rows)
      }
      const all: Promise<void>[] = []
      for (const one of steps) {
        if (one.do === 'enter') all.push(enter(one.rows))
        else if (one.do === 'build') {
          builder.pending = Math.max(0, builder.pending - one.rows)
          progress.notify()
        } else if (inside.length > 0) {
          const [rows = 0] = inside.splice(one.at % inside.length, 1)
          builder.pending += rows
          room.leave(rows)
        }
        await turn()
        const used = builder.pending + inside.reduce((sum, rows) => sum + rows, 0)
        expect(used).toBeLessThanOrEqual(room.max)
        if (outside[0] !== undefined) expect(used + outside[0]).toBeGreaterThan(room.max)
      }
      builder.isDamaged = true
      progress.notify()
      await Promise.all(all)
    })
    await fc.assert(run, { numRuns: 100, seed: random.seed })
  })
})

test('vectors that wait for the index are never more than they may, however many come at once', async () => {
  const dimensions = 4096
  await using store = await open(await temporaryPath(), {
    durability: 'os',
    vectors: { dimensions, connectivity: 2, expansionAdd: 2 }
  })
  const { pendingMax } = store.stats().vectors
  let most = 0
  const watch = setInterval(() => {
    most = Math.max(most, store.stats().vectors.pending)
  }, 1)
  try {
    const commits = Array.from({ length: 14 }, async (_, at) => {
      await store.commit(learns(at, 400, dimensions))
      most = Math.max(most, store.stats().vectors.pending)
    })
    await turn()
    expect(store.stats().pipeline.pressure).toBeGreaterThan(0.9)
    await store.ready()
    most = Math.max(most, store.stats().vectors.pending)
    expect(store.stats().vectors.pending).toBeLessThanOrEqual(0.7 * pendingMax)
    await Promise.all(commits)
  } finally {
    clearInterval(watch)
  }
  expect(most).toBeGreaterThan(pendingMax / 2)
  expect(most).toBeLessThanOrEqual(pendingMax)
  await expectFound(store, dimensions)
}, 60_000)

function learns(commit: number, count: number, dimensions: number): Command[] {
  return Array.from({ length: count }, (_, at) => {
    const key = `k${commit}-${at}`
    return { do: 'learn', id: { key }, content: key, embedding: vectorOf(commit, at, dimensions) }
  })
}

function vectorOf(commit: number, at: number, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions)
  vector[commit] = 1
  vector[20 + at] = 1
  return vector
}

async function expectFound(store: Store, dimensions: number): Promise<void> {
  const query = vectorOf(13, 399, dimensions)
  const [best] = await store.search(query, { k: 1, exact: true })
  expect(best?.key).toBe('k13-399')
}

function settled(promise: Promise<void> | undefined): { isDone: boolean } {
  const state = { isDone: promise === undefined }
  void promise?.then(() => {
    state.isDone = true
  })
  return state
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
