/** What only shows beside a log and a disk that do as they are told. */
import { type StoredEvent, StoreError } from 'sutra-storage'
import { expect, test } from 'vitest'
import { encodeCheckpoint, newEpoch, SLOT_BYTES } from '#sutra/pipeline/subscriptions/checkpoint.js'
import { Cursor } from '#sutra/pipeline/subscriptions/cursor.js'
import { CheckpointKeeper } from '#sutra/pipeline/subscriptions/keeper.js'
import { type LoopHost, SubscriptionLoop } from '#sutra/pipeline/subscriptions/loop.js'
import { checkSubscription } from '#sutra/pipeline/subscriptions/options.js'
import { SlotFile } from '#sutra/storage/slot-file.js'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import { temporaryPath } from '../support/temp.ts'

type Frames = ReturnType<LoopHost['source']['read']>
type Frame = Frames extends AsyncIterable<infer T> ? T : never

/** A log of frames of ten events, which counts how many were asked for and are not let go of. */
class CountingLog {
  readonly frames: number
  durable: number
  taken = 0
  open = 0

  constructor(frames: number) {
    this.frames = frames
    this.durable = frames * 10
  }

  head(): number {
    return this.frames * 10
  }

  durableHead(): number {
    return this.durable
  }

  async *read(from: number): AsyncGenerator<Frame> {
    this.open += 1
    try {
      for (let at = Math.floor((from - 1) / 10); at < this.frames; at++) {
        this.taken += 1
        yield frameOf(at)
      }
    } finally {
      this.open -= 1
    }
  }
}

function frameOf(at: number): Frame {
  const first = at * 10 + 1
  const events = Array.from({ length: 10 }, () => ({ type: 'commit-noted' as const }))
  const last = first + 9
  const commits = [{ first, time: 1000 + at, meta: undefined, events }]
  const header = { format: 2, kind: 'normal', count: 10, first, last, time: 1000 + at } as const
  return { ...header, previous: 0, checksum: 0, bytes: 1000, commits, gap: undefined }
}

test('a slow handler: one frame is read ahead, however long the log is', async () => {
  const log = new CountingLog(1000)
  const blocked = gate()
  await using running = await run(log, async ({ position }) => {
    if (position === 25) await blocked.opened
  })
  await until(() => running.loop.position === 24)
  await new Promise((resolve) => setTimeout(resolve, 20))

  expect(log.taken).toBe(3)
  blocked.open()
  await running.loop.reached(10_000, undefined)
  expect(log.taken).toBe(1000)
})

test('while it is paused or waits for a retry, nothing of the log is held open', async () => {
  const log = new CountingLog(10)
  await using running = await run(log, ({ position }) => {
    if (position === 5) running.loop.pause()
    if (position === 15) throw new Error('not now')
  })
  await until(() => running.loop.stats().state === 'paused' && log.open === 0)

  running.loop.resume()
  await until(() => running.loop.stats().state === 'retrying' && log.open === 0)

  expect(running.loop.position).toBe(14)
})

test('what is not durable is not delivered, a part of a frame neither', async () => {
  const log = new CountingLog(3)
  log.durable = 20
  const cursor = new Cursor(log, { types: undefined, concept: undefined }, 'one', 0)
  const seen: number[] = []
  for (;;) {
    const batch = await cursor.next(7)
    if (batch === undefined && log.durable === 30) break
    if (batch === undefined) {
      expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
      log.durable = 30
    }
    seen.push(...(batch?.events ?? []).map(({ position }: StoredEvent) => position))
  }
  await cursor.release()

  expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
  expect(log.open).toBe(0)
})

test('an event that cannot be set aside stops it in front, with the cause', async () => {
  const log = new CountingLog(2)
  const full = new StoreError('DISK_LOW', 'full', { freeBytes: 0, reserveBytes: 1 })
  const options = { retry: { times: 0 } }
  const handler = ({ position }: StoredEvent): void => {
    if (position === 7) throw new Error('poison')
  }
  await using running = await run(log, handler, options, () => Promise.reject(full))

  await expect(running.done).rejects.toMatchObject({
    code: 'SUBSCRIPTION_STOPPED',
    details: { position: 6 },
    cause: full
  })
  expect(running.loop.position).toBe(6)
})

test('a checkpoint that cannot be kept stops it', async () => {
  const log = new CountingLog(2)
  const broken = Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' })
  await using running = await run(log, ({ position }) => {
    if (position === 4) running.failWrites(broken)
  })

  await expect(running.done).rejects.toMatchObject({ code: 'SUBSCRIPTION_STOPPED', cause: broken })
  expect(running.loop.stats().delivered).toBe(4)
})

test('handlers that wait for nothing leave the event loop to others', async () => {
  const log = new CountingLog(3000)
  let turns = 0
  const timer = setInterval(() => {
    turns += 1
  }, 1)
  await using running = await run(log, () => undefined, { checkpointEvery: { events: 1000 } })
  await running.loop.reached(30_000, undefined)
  clearInterval(timer)

  // However fast the machine is, thirty thousand events take more than a few stretches of 2 ms.
  expect(turns).toBeGreaterThan(2)
})

interface Running extends AsyncDisposable {
  loop: SubscriptionLoop
  done: Promise<void>
  failWrites(error: Error): void
}

async function run(
  source: CountingLog,
  handler: (event: StoredEvent) => unknown,
  options: object = {},
  note: LoopHost['note'] = async () => 1
): Promise<Running> {
  const checkpoint = {
    name: 'one',
    storeId: 'store',
    epoch: newEpoch(),
    position: 0,
    time: 0,
    isClean: true,
    quarantined: []
  }
  const path = await temporaryPath('slots')
  const file = await SlotFile.create(path, SLOT_BYTES, encodeCheckpoint(checkpoint))
  const setup = checkSubscription('one', options)
  const failed = (error: unknown): void => loop.fail(error)
  const keeper = new CheckpointKeeper(file, checkpoint, setup.checkpointEvery, failed)
  const host: LoopHost = {
    source,
    hub: new TelemetryHub(),
    note,
    durableBeyond: async () => undefined,
    durableNow: async () => source.head(),
    eventAt: async () => undefined,
    eventCursor: () => async () => undefined
  }
  const loop = new SubscriptionLoop(host, { setup, handler, keeper, seenBefore: 0 })
  const done = loop.run()
  done.catch(() => undefined)
  const write = file.write.bind(file)
  return {
    loop,
    done,
    failWrites(error) {
      file.write = () => {
        file.write = write
        throw error
      }
    },
    async [Symbol.asyncDispose]() {
      await loop.end()
      await done.catch(() => undefined)
    }
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1))
}

function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}
