import { isStoreError, throwIfAborted } from '../errors.ts'
import { IdTable } from '../projections/id-table.ts'
import { Pinned } from '../projections/pinned.ts'
import { countsAt } from '../query/counts.ts'
import { stateHashAt } from '../query/hash.ts'
import { checkOptions } from '../query/read-options.ts'
import type { LongOptions, VerifyReport } from '../types.ts'
import type { Engine } from './engine.ts'
import { discard, projectAside } from './rebuild.ts'

/**
 * Checks every frame and the chain from the first one on, then projects the log once more and
 * compares the outcome with the tables. Changes nothing.
 */
export async function verify(engine: Engine, options: LongOptions): Promise<VerifyReport> {
  checkOptions(options, ['onProgress'])
  const started = performance.now()
  const { log } = engine.parts
  await log.sync()
  const position = log.durableHead
  const report: VerifyReport = {
    ok: true,
    position,
    frames: 0,
    events: 0,
    problems: [],
    seconds: 0
  }
  // Pinned before the log is read: the store goes on meanwhile, and the tables with it.
  const live = engine.pin(position)
  live.snapshot.hold()
  try {
    await verifyLog(engine, position, options, report)
    if (report.problems.length === 0) await verifyTables(engine, live, options, report)
  } finally {
    await live.snapshot.release()
  }
  report.ok = report.problems.length === 0
  report.seconds = (performance.now() - started) / 1000
  return report
}

async function verifyLog(
  engine: Engine,
  position: number,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  let checksum = 0
  try {
    for await (const frame of engine.parts.log.read(1)) {
      throwIfAborted(options.signal, 'verify')
      if (frame.first > position) return
      if (frame.previous !== checksum) {
        const { first: from, last: to } = frame
        report.problems.push({ part: 'log', reason: 'the chain is broken', from, to })
      }
      checksum = frame.checksum
      report.frames += 1
      report.events += frame.count
      options.onProgress?.({ phase: 'log', done: frame.last, total: position })
    }
  } catch (error) {
    if (!isStoreError(error, 'LOG_DAMAGED')) throw error
    const { from, to, reason } = error.details
    report.problems.push({ part: 'log', reason, from, to })
  }
}

async function verifyTables(
  engine: Engine,
  live: Pinned,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  const { position } = live
  try {
    const aside = await projectAside(engine, options, position)
    const snapshot = aside.snapshot()
    try {
      const nothing = { segments: [], dead: await snapshot.dead() }
      const rebuilt = new Pinned(position, snapshot, nothing, new IdTable(0))
      // Vectors are compared by revision here; their bytes come from the log alone.
      const noVectors = async (): Promise<undefined[]> => []
      const { signal } = options
      options.onProgress?.({ phase: 'compare', done: 0 })
      await live.snapshot.checkRows(signal)
      const compare = (what: string, actual: string, expected: string): void => {
        if (actual === expected) return
        const reason = `${what} ${actual}, rebuilt from the log ${expected}`
        report.problems.push({ part: 'tables', reason })
      }
      const sides = ['out', 'in'] as const
      const expected = await stateHashAt(rebuilt, noVectors, signal, sides)
      compare('state hash', await stateHashAt(live, noVectors, signal, sides), expected)
      compare('counts', await countsTextAt(live, signal), await countsTextAt(rebuilt, signal))
    } finally {
      await snapshot.release()
      await discard(engine.parts.directory, aside)
    }
  } catch (error) {
    if (!isStoreError(error, 'TABLES_DAMAGED')) throw error
    report.problems.push({ part: 'tables', reason: error.message })
  }
}

async function countsTextAt(pinned: Pinned, signal: AbortSignal | undefined): Promise<string> {
  const { types, ...counts } = await countsAt(pinned, signal)
  const sorted = Object.entries(types).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify({ ...counts, types: Object.fromEntries(sorted) })
}
