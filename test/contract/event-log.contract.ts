/** What every implementation of the log must do. Run by one test file for each of them. */
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ConceptId } from '#sutra/ids.js'
import type { Frame } from '#sutra/log/frame.js'
import type { EventLog } from '#sutra/log/log.js'
import { commitOf, contentsOf, EVENTS, framesOf, TIME } from '../support/commits.ts'

/** One empty log, and what can happen to what it lies on. */
export interface LogUnderTest {
  log: EventLog
  /** From here on, a durable write fails. `heal` ends that. */
  breakStorage(): Promise<void>
  heal(): Promise<void>
  /** Closes the log and opens what it left. */
  reopen(): Promise<EventLog>
}

export function describeEventLog(name: string, make: () => Promise<LogUnderTest>): void {
  const setUp = async (): Promise<LogUnderTest> => {
    const made = await make()
    onTestFinished(async () => made.log.close())
    return made
  }

  describe(`${name}: appending and reading`, () => {
    test('an empty log has head 0 and no frames', async () => {
      const { log } = await setUp()

      expect({ head: log.head, durableHead: log.durableHead }).toEqual({ head: 0, durableHead: 0 })
      expect(log.poison).toBeUndefined()
      expect(await framesOf(log.read(1))).toEqual([])
    })

    test('positions follow each other without a gap', async () => {
      const { log } = await setUp()

      const frames = [
        await log.append([commitOf(1, ['a'])], { durable: true }),
        await log.append([commitOf(2, ['b', 'c']), commitOf(4, ['d'])], { durable: false }),
        await log.append([commitOf(5, ['e'])], { durable: true })
      ]

      expect(frames.map(({ first, last }) => [first, last])).toEqual([
        [1, 1],
        [2, 4],
        [5, 5]
      ])
      expect(log.head).toBe(5)
      const read = await framesOf(log.read(1))
      expect(read.map(({ first, last, count }) => [first, last, count])).toEqual([
        [1, 1, 1],
        [2, 4, 3],
        [5, 5, 1]
      ])
      expect(read.map(({ bytes }) => bytes)).toEqual(frames.map(({ bytes }) => bytes))
    })

    test('each frame names the checksum of the one before', async () => {
      const { log } = await setUp()
      await fill(log, 5)

      const frames = await framesOf(log.read(1))

      expectChain(frames)
      expect(new Set(frames.map(({ checksum }) => checksum)).size).toBe(5)
    })

    test('reading begins with the frame that holds the position', async () => {
      const { log } = await setUp()
      await log.append([commitOf(1, ['a', 'b', 'c'])], { durable: true })
      await log.append([commitOf(4, ['d'])], { durable: true })

      const contents = async (from: number) => (await framesOf(log.read(from))).map(contentsOf)

      expect(await contents(2)).toEqual([['a', 'b', 'c'], ['d']])
      expect(await contents(4)).toEqual([['d']])
      expect(await contents(5)).toEqual([])
    })

    test('reading ends with the frame that holds the last position asked for', async () => {
      const { log } = await setUp()
      await log.append([commitOf(1, ['a', 'b', 'c'])], { durable: true })
      await log.append([commitOf(4, ['d'])], { durable: true })

      const contents = async (from: number, to: number) =>
        (await framesOf(log.read(from, to))).map(contentsOf)

      expect(await contents(2, 2)).toEqual([['a', 'b', 'c']])
      expect(await contents(3, 4)).toEqual([['a', 'b', 'c'], ['d']])
      expect(await contents(4, 9)).toEqual([['d']])
      expect(await contents(4, 3)).toEqual([])
    })

    test('reading ends at the head of the moment it began', async () => {
      const { log } = await setUp()
      await fill(log, 2)
      const read = log.read(1)[Symbol.asyncIterator]()
      const first: IteratorResult<Frame> = await read.next()
      await log.append([commitOf(3, ['late'])], { durable: true })

      const second: IteratorResult<Frame> = await read.next()
      const end: IteratorResult<Frame> = await read.next()

      expect([first.value?.first, second.value?.first, end.done]).toEqual([1, 2, true])
    })

    test('gives back commits, their metadata and every type of event as they were', async () => {
      const { log } = await setUp()
      const idempotency = {
        key: 'once',
        digest: Buffer.alloc(16, 3),
        results: [{ id: ConceptId.fromContent('a'), version: 1, created: true }]
      }
      const meta = { subject: 'ann', headers: { via: 'test' }, idempotency }
      const commits = [{ time: TIME, first: 1, meta, events: EVENTS }]

      await log.append(commits, { durable: true })

      const [frame] = await framesOf(log.read(1))
      expect(frame?.commits).toEqual(commits)
    })

    test('a commit that leaves a gap is a bug, and nothing is written', async () => {
      const { log } = await setUp()
      await fill(log, 1)

      const append = log.append([commitOf(3, ['gap'])], { durable: true })

      await expect(append).rejects.toMatchObject({ name: 'InvariantError' })
      expect(log.head).toBe(1)
      await log.append([commitOf(2, ['b'])], { durable: true })
      expectChain(await framesOf(log.read(1)))
    })

    test('a second append at the same time is a bug, and does not disturb the first', async () => {
      const { log } = await setUp()
      const first = log.append([commitOf(1, ['a'])], { durable: true })

      const second = log.append([commitOf(1, ['b'])], { durable: true })

      await expect(second).rejects.toMatchObject({ name: 'InvariantError' })
      await first
      expect((await framesOf(log.read(1))).map(contentsOf)).toEqual([['a']])
    })
  })

  describe(`${name}: durability`, () => {
    test('a frame that is not durable moves the head alone', async () => {
      const { log } = await setUp()
      await log.append([commitOf(1, ['a'])], { durable: true })

      await log.append([commitOf(2, ['b'])], { durable: false })

      expect([log.head, log.durableHead]).toEqual([2, 1])
    })

    test('a durable frame makes everything before it durable', async () => {
      const { log } = await setUp()
      await log.append([commitOf(1, ['a'])], { durable: false })
      await log.append([commitOf(2, ['b'])], { durable: false })

      await log.append([commitOf(3, ['c'])], { durable: true })

      expect([log.head, log.durableHead]).toEqual([3, 3])
    })

    test('sync makes everything durable, and does nothing when all of it is', async () => {
      const { log } = await setUp()
      await log.sync()
      await log.append([commitOf(1, ['a'])], { durable: false })

      await log.sync()
      await log.sync()

      expect([log.head, log.durableHead]).toEqual([1, 1])
    })

    test('a sync beside appends never moves the durable head beyond what it covers', async () => {
      const { log } = await setUp()
      for (let first = 1; first <= 40; first++) {
        const syncing = log.sync()
        await log.append([commitOf(first, ['x'])], { durable: first % 7 === 0 })
        expect(log.durableHead).toBeLessThanOrEqual(log.head)
        await syncing
        expect(log.durableHead).toBeGreaterThanOrEqual(first - 1)
      }
    })

    test('goes on where it ended when it is opened again', async () => {
      const made = await setUp()
      await fill(made.log, 3)
      await made.log.append([commitOf(4, ['d'])], { durable: false })
      await made.log.checkpoint()

      const log = await made.reopen()

      onTestFinished(async () => log.close())
      expect([log.head, log.durableHead]).toEqual([4, 4])
      await log.append([commitOf(5, ['e'])], { durable: true })
      const frames = await framesOf(log.read(1))
      expectChain(frames)
      expect(frames.flatMap(contentsOf)).toEqual(['c1', 'c2', 'c3', 'd', 'e'])
    })
  })

  describe(`${name}: tailing`, () => {
    test('catches up, then follows, without a gap or a double', async () => {
      const { log } = await setUp()
      const stop = new AbortController()
      await fill(log, 20)
      const seen: number[] = []
      const tailing = (async () => {
        for await (const frame of log.tail(1, stop.signal)) {
          seen.push(frame.first)
          if (frame.first === 60) stop.abort()
          // Now and then slower than the writer, so that it falls behind and catches up again.
          if (frame.first % 8 === 0) await turn()
        }
      })()

      for (let first = 21; first <= 60; first++) {
        await log.append([commitOf(first, ['x'])], { durable: false })
        if (first % 10 === 0) await turn()
      }
      await tailing

      expect(seen).toEqual(Array.from({ length: 60 }, (_, index) => index + 1))
    })

    test('begins with the frame that holds the position', async () => {
      const { log } = await setUp()
      const stop = new AbortController()
      await log.append([commitOf(1, ['a', 'b'])], { durable: false })
      await log.append([commitOf(3, ['c'])], { durable: false })

      const seen: string[][] = []
      for await (const frame of log.tail(2, stop.signal)) {
        seen.push(contentsOf(frame))
        if (frame.last === 3) stop.abort()
      }

      expect(seen).toEqual([['a', 'b'], ['c']])
    })

    test('waits for a position that is not there yet', async () => {
      const { log } = await setUp()
      const stop = new AbortController()
      await fill(log, 1)
      const tail = log.tail(3, stop.signal)[Symbol.asyncIterator]()
      const next = tail.next()

      await log.append([commitOf(2, ['b'])], { durable: false })
      await log.append([commitOf(3, ['c'])], { durable: false })

      const found: IteratorResult<Frame> = await next
      expect(found.value?.first).toBe(3)
      stop.abort()
      expect(await tail.next()).toMatchObject({ done: true })
    })

    test('ends when its signal fires and when the log closes', async () => {
      const { log } = await setUp()
      const stop = new AbortController()
      const aborted = framesOf(log.tail(1, stop.signal))
      const closed = framesOf(log.tail(1, new AbortController().signal))
      await turn()

      stop.abort()
      expect(await aborted).toEqual([])
      await log.close()
      expect(await closed).toEqual([])
    })
  })

  describe(`${name}: failing`, () => {
    test('the first failed write poisons it: nothing is written, reads go on', async () => {
      const made = await setUp()
      const { log } = made
      await fill(log, 2)
      await log.append([commitOf(3, ['c'])], { durable: false })
      await made.breakStorage()

      const failed = log.append([commitOf(4, ['d'])], { durable: true })

      const details = { first: 4, last: 4 }
      await expect(failed).rejects.toMatchObject({ code: 'WRITE_FAILED', details })
      await expect(failed).rejects.toMatchObject({ outcome: 'unknown', retryable: false })
      expect([log.head, log.durableHead]).toEqual([3, 2])
      expect(log.poison).toMatchObject({ code: 'WRITE_FAILED' })
      await made.heal()
      const again = log.append([commitOf(4, ['d'])], { durable: true })
      const poisoned = { code: 'STORE_POISONED', details: { durableHead: 2 }, outcome: 'none' }
      await expect(again).rejects.toMatchObject(poisoned)
      await expect(log.sync()).rejects.toMatchObject(poisoned)
      expect((await framesOf(log.read(1))).flatMap(contentsOf)).toEqual(['c1', 'c2', 'c'])
      expect([log.head, log.durableHead]).toEqual([3, 2])
    })

    test('a failed sync poisons it as well', async () => {
      const made = await setUp()
      const { log } = made
      await log.append([commitOf(1, ['a'])], { durable: false })
      await made.breakStorage()

      const failed = log.sync()

      const details = { first: 1, last: 1 }
      await expect(failed).rejects.toMatchObject({ code: 'WRITE_FAILED', details })
      await made.heal()
      const append = log.append([commitOf(2, ['b'])], { durable: false })
      await expect(append).rejects.toMatchObject({ code: 'STORE_POISONED' })
      expect([log.head, log.durableHead]).toEqual([1, 0])
    })

    test('opening it again heals it', async () => {
      const made = await setUp()
      await fill(made.log, 2)
      await made.log.append([commitOf(3, ['c'])], { durable: false })
      await made.breakStorage()
      await expect(made.log.sync()).rejects.toMatchObject({ code: 'WRITE_FAILED' })
      await made.heal()

      const log = await made.reopen()

      onTestFinished(async () => log.close())
      expect(log.poison).toBeUndefined()
      expect(log.head).toBeGreaterThanOrEqual(2)
      await log.append([commitOf(log.head + 1, ['d'])], { durable: true })
      expectChain(await framesOf(log.read(1)))
    })
  })

  describe(`${name}: closing`, () => {
    test('refuses to write afterwards, and may be closed twice', async () => {
      const { log } = await setUp()
      await log.close()
      await log.close()

      const append = log.append([commitOf(1, ['a'])], { durable: true })

      await expect(append).rejects.toMatchObject({ code: 'STORE_CLOSED' })
      await expect(log.sync()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    })
  })
}

/** Durable frames of one event each. */
async function fill(log: EventLog, frames: number): Promise<void> {
  for (let first = log.head + 1, left = frames; left > 0; first++, left--) {
    await log.append([commitOf(first, [`c${first}`])], { durable: true })
  }
}

function expectChain(frames: readonly Frame[]): void {
  let position = 0
  let checksum = 0
  for (const frame of frames) {
    expect(frame.first).toBe(position + 1)
    expect(frame.previous).toBe(checksum)
    position = frame.last
    checksum = frame.checksum
  }
}
