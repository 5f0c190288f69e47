/** The tables' worker thread: reads frames from the log, folds them, writes the tables. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import { assert } from '../../assert.ts'
import type { Frame } from '../../log/frame.ts'
import { LOG_DIRECTORY, LOG_TUNING } from '../../log/level-log.ts'
import { FrameReader } from '../../log/reader.ts'
import { Level } from '../../storage/level.ts'
import { endWorker, notify, runInBackground, serve } from '../../storage/worker-link.ts'
import { generationPath, readWriterState, tablesTuning } from './generation.ts'
import type {
  IndexNotice,
  ProjectedBatch,
  SweepNotice,
  TablesRequest,
  TablesWorkerData
} from './protocol.ts'
import { TablesWriter } from './tables-writer.ts'

/** Encoded bytes of frames gathered for one batch, at most, unless one frame is larger. */
const BATCH_BYTES = 8 * 1024 * 1024

/** A sweep rests this many times as long as it worked: erasing is never urgent. */
const SWEEP_REST = 4

/** An index is waited for, but not before the program's own threads and the next batch. */
const INDEX_REST = 1

runInBackground()

const data = workerData as TablesWorkerData
const log = await Level.open(join(data.directory, LOG_DIRECTORY), LOG_TUNING)
const tables = await Level.open(
  generationPath(data.directory, data.generation),
  tablesTuning(data.cacheBytes)
)
const reader = new FrameReader(log, Buffer.from(data.storeId))
const writer = new TablesWriter(tables, await readWriterState(tables), data.indexes)

// Batches, sweeps and steps of indexes take turns: there is one writer of the tables.
let turn: Promise<unknown> = Promise.resolve()
let sweeping = false
let closing = false

serve(async (body) => {
  // What the main thread sends has the shape of its own type.
  const request = body as TablesRequest
  switch (request.do) {
    case 'project': {
      const batch = await inTurn(async () => project(request.to))
      if (!sweeping && writer.hasDead) void sweepAll()
      return batch
    }
    case 'close':
      closing = true
      await inTurn(async () => {
        if (request.flush) await tables.flush()
        await tables.close()
        await log.close()
      })
      endWorker()
      return undefined
  }
})

if (writer.hasDead) void sweepAll()
if (writer.hasIndexWork) void indexAll()

async function project(to: number): Promise<ProjectedBatch> {
  const started = performance.now()
  const from = writer.checkpoint + 1
  const frames: Frame[] = []
  let next = from
  let bytes = 0
  while (next <= to && next - from < data.batchEventsMax && bytes < BATCH_BYTES) {
    const frame = reader.frameAt(next)
    if (frame === undefined) throw await reader.holeAt(next)
    assert(frame.last <= to, 'a batch never passes the durable head (invariant 3)')
    frames.push(frame)
    bytes += frame.bytes
    next = frame.last + 1
  }
  const events = frames.length === 0 ? 0 : await writer.apply(frames)
  return { from, to: writer.checkpoint, events, ms: performance.now() - started }
}

async function sweepAll(): Promise<void> {
  sweeping = true
  try {
    while (!closing && writer.hasDead) {
      const started = performance.now()
      const step = await inTurn(async () => (closing ? undefined : writer.sweep()))
      if (step !== undefined) {
        const notice: SweepNotice = { about: 'sweep', ...step, checkpoint: writer.checkpoint }
        notify(notice)
      }
      await sleep((performance.now() - started) * SWEEP_REST)
    }
  } catch {
    // Nobody asked for the sweep. The writer remembers why it failed and tells the next batch.
  } finally {
    sweeping = false
  }
}

async function indexAll(): Promise<void> {
  const began = performance.now()
  try {
    while (!closing && writer.hasIndexWork) {
      const started = performance.now()
      const fields = await inTurn(async () => (closing ? [] : writer.index()))
      const ms = performance.now() - began
      const notice: IndexNotice = { about: 'index', fields, progress: writer.indexProgress, ms }
      notify(notice)
      // A thread that is to end does not wait for the rest.
      await sleep((performance.now() - started) * INDEX_REST, undefined, { ref: false })
    }
  } catch {
    // Nobody asked for it. The writer remembers why it failed and tells the next batch.
  }
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(work)
  // A failure belongs to whoever asked; the next in turn starts all the same.
  turn = mine.catch(() => undefined)
  return mine
}
