/**
 * The worker that owns the vector index of one store: building, saving, checking and searching
 * happen here. Long work is done in slices, so that searches are answered in between.
 */
import { join } from 'node:path'
import { workerData } from 'node:worker_threads'
import { assert } from '../../assert.ts'
import { StoreError } from '../../errors.ts'
import { LOG_DIRECTORY, LOG_TUNING } from '../../log/level-log.ts'
import { FrameReader } from '../../log/reader.ts'
import { Level } from '../../storage/level.ts'
import { endWorker, notify, runInBackground, serve } from '../../storage/worker-link.ts'
import { VectorEngine } from './engine.ts'
import { Pace } from './pace.ts'
import type { Answer, Question, VectorsWorkerData } from './protocol.ts'
import { GraphFactory } from './vector-index.ts'

// What a save writes at most when a store closes, without the graph: about a second of work. With
// 384 dimensions 131 072 vectors, with 100 dimensions half a million.
const SEAL_BYTES = 192 * 1024 * 1024
const SEAL_ROWS_MAX = 500_000

type Work = Exclude<Question, { do: 'open' | 'cancel' | 'close' }>

// Only our own client starts this module.
runInBackground()

const data = workerData as VectorsWorkerData

const running = new Map<number, Promise<unknown>>()
const cancelled = new Set<number>()
let opened: { level: Level; engine: VectorEngine } | undefined
let closing = false
let turn: Promise<unknown> = Promise.resolve()

serve(async (body): Promise<Answer> => {
  // What the main thread sends has the shape of its own type.
  const question = body as Question
  const reply = await answer(question)
  assert(opened !== undefined, 'the first question opens the index')
  return { reply, report: opened.engine.report() }
})

async function answer(question: Question): Promise<Answer['reply']> {
  switch (question.do) {
    case 'open':
      opened = await open()
      return undefined
    case 'cancel':
      if (running.has(question.ask.ticket)) cancelled.add(question.ask.ticket)
      return undefined
    case 'close':
      await close()
      return undefined
    case 'project':
    case 'search':
    case 'among':
    case 'vectors':
    case 'save':
    case 'check':
      return perform(question)
  }
}

async function open(): Promise<NonNullable<typeof opened>> {
  let level: Level | undefined
  try {
    level = await Level.open(join(data.directory, LOG_DIRECTORY), LOG_TUNING)
    return { level, engine: await openEngine(level) }
  } catch (error) {
    await level?.close()
    endWorker()
    throw error
  }
}

async function openEngine(level: Level): Promise<VectorEngine> {
  const { declaration, storeId } = data
  const rows = Math.floor(SEAL_BYTES / (4 * declaration.dimensions))
  return VectorEngine.open(
    {
      reader: new FrameReader(level, Buffer.from(storeId)),
      factory: await GraphFactory.load(declaration),
      directory: join(data.directory, 'vectors'),
      storeId: Buffer.from(storeId).toString('hex'),
      declaration,
      readOnly: data.readOnly,
      expansionSearch: data.expansionSearch,
      sealRows: data.sealRows ?? Math.min(SEAL_ROWS_MAX, rows),
      emit: notify
    },
    new Pace(() => {})
  )
}

/** Cuts off what is going on, then lets go of every file. */
async function close(): Promise<void> {
  closing = true
  await Promise.allSettled(running.values())
  try {
    opened?.engine.close()
    await opened?.level.close()
  } finally {
    // After the answer, which a closed port would not let through.
    endWorker()
  }
}

async function perform(work: Work): Promise<Answer['reply']> {
  const { ticket } = work
  const task = carryOut(work)
  running.set(ticket, task)
  try {
    return await task
  } finally {
    running.delete(ticket)
    cancelled.delete(ticket)
  }
}

async function carryOut(work: Work): Promise<Answer['reply']> {
  assert(opened !== undefined, 'the first question opens the index')
  const { engine } = opened
  const pace = paceOf(work)
  pace.check()
  switch (work.do) {
    case 'search':
      return engine.search(work.ask, pace)
    case 'among':
      return engine.among(work.ask, pace)
    case 'vectors':
      return engine.vectors(work.ask.revisions, work.ask.position, pace)
    case 'project':
      return inTurn(pace, () => engine.project(work.ask.to, pace))
    case 'save':
      await inTurn(pace, () => engine.save(work.ask.durableHead, pace))
      return undefined
    case 'check':
      // A save deletes files that are no longer named: not while they are read.
      return inTurn(pace, () => engine.check(pace))
  }
}

function paceOf({ do: operation, ticket }: Work): Pace {
  return new Pace(() => {
    if (closing) {
      throw new StoreError('STORE_CLOSED', `The ${operation} was cut off by close`, { operation })
    }
    if (cancelled.has(ticket)) {
      throw new StoreError('ABORTED', `The ${operation} was aborted`, { operation })
    }
  })
}

/** What changes the index happens one after the other; reading goes on beside it. */
async function inTurn<T>(pace: Pace, work: () => Promise<T>): Promise<T> {
  const mine = turn.then(async () => {
    pace.check()
    return work()
  })
  // A failure belongs to whoever asked; the next in turn starts all the same.
  turn = mine.catch(() => undefined)
  return mine
}
