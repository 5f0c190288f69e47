import { basename, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { ioFailed, isStoreError, throwIfAborted } from '../errors.ts'
import { logFileDamaged } from '../log/damaged-files.ts'
import { follows } from '../log/frame.ts'
import { LOG_DIRECTORY } from '../log/level-log.ts'
import type { Tables } from '../projections/tables/client.ts'
import { compareTables } from '../projections/tables/compare.ts'
import { generationPath } from '../projections/tables/generation.ts'
import { digestRanges, type TablesDigest } from '../projections/tables/range-digest.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import { checkOptions } from '../query/read-options.ts'
import { checkTableFile, type DamagedFile, tableFiles } from '../storage/database-files.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { LongOptions, VerifyReport } from '../types.ts'
import { type Link, linkOf } from './backup-frames.ts'
import { verifySubscriptions } from './check-subscriptions.ts'
import type { Engine } from './engine.ts'
import { discard, projectAside } from './rebuild.ts'
import { livingRevisions } from './vector-census.ts'
import { verifyProjections } from './verify-projections.ts'

/**
 * Checks every block of every table file, every frame and the chain from the first one on; then
 * projects the log once more and compares every row of the tables; then the files of the vectors, and
 * each vector with the log.
 * Changes nothing. Memory grows with the logarithm of the store alone.
 */
export async function verify(engine: Engine, options: LongOptions): Promise<VerifyReport> {
  checkOptions(options, ['onProgress'])
  try {
    return await verifyAll(engine, options)
  } catch (error) {
    // A file that the system would not read, or the disk, of which what is made aside takes as much as
    // the tables.
    throw ioFailed(error, 'verify')
  }
}

async function verifyAll(engine: Engine, options: LongOptions): Promise<VerifyReport> {
  const started = performance.now()
  const { log } = engine.parts
  await log.sync()
  const report: VerifyReport = {
    ok: true,
    position: log.durableHead,
    frames: 0,
    events: 0,
    bytes: 0,
    problems: [],
    seconds: 0
  }
  await verifyLogFiles(engine, options, report)
  // A damaged file is not read through LevelDB any more: it may end the process.
  if (report.problems.length === 0) await verifyFrames(engine, options, report)
  if (report.problems.length === 0) {
    await engine.inTurn(async () => verifyTables(engine, options, report))
  }
  await verifyVectors(engine, options, report)
  await verifyProjections(engine, options, report)
  await verifySubscriptions(engine, options, report)
  report.ok = report.problems.length === 0
  report.seconds = (performance.now() - started) / 1000
  return report
}

async function verifyLogFiles(
  engine: Engine,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  const { directory, format, log } = engine.parts
  const path = join(directory, LOG_DIRECTORY)
  for (const damage of await damagedFiles(path, 'log files', options, report)) {
    const { details } = await logFileDamaged(damage, format.storeId, log.head)
    const { from, to, reason } = details
    report.problems.push({ part: 'log', reason, from, to })
  }
}

async function damagedFiles(
  directory: string,
  phase: string,
  options: LongOptions,
  report: VerifyReport
): Promise<DamagedFile[]> {
  const found: DamagedFile[] = []
  const files = await tableFiles(directory)
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  let done = 0
  for (const { path, bytes } of files) {
    throwIfAborted(options.signal, 'verify')
    const problem = (await checkTableFile(path))?.problem
    if (problem !== undefined) found.push(problem)
    done += bytes
    report.bytes += bytes
    options.onProgress?.({ phase, done, total })
  }
  if (files.length === 0) options.onProgress?.({ phase, done, total })
  return found
}

async function verifyFrames(
  engine: Engine,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  const { position, problems } = report
  let before: Link | undefined
  let began = performance.now()
  try {
    // Their checksums alone: what is in them is read when the tables are projected once more.
    for await (const frame of engine.parts.log.reader.rawFramesFrom(1, position)) {
      if (!follows(before, frame)) {
        const { first: from, last: to } = frame
        problems.push({ part: 'log', reason: 'the chain is broken', from, to })
      }
      before = linkOf(frame, engine.parts.format.storeId)
      report.frames += 1
      report.events += frame.kind === 'gap' ? 0 : frame.count
      if (performance.now() - began < STRETCH_MS) continue
      options.onProgress?.({ phase: 'log', done: frame.last, total: position })
      await turn()
      throwIfAborted(options.signal, 'verify')
      began = performance.now()
    }
    options.onProgress?.({ phase: 'log', done: position, total: position })
  } catch (error) {
    if (!isStoreError(error, 'LOG_DAMAGED')) throw error
    const { from, to, reason } = error.details
    problems.push({ part: 'log', reason, from, to })
  }
}

async function verifyTables(
  engine: Engine,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  const { directory, log } = engine.parts
  // Tables that stopped stay behind: what they hold is checked all the same.
  const stopped = engine.pipeline.stats().projections['tables']?.error
  if (stopped !== undefined) report.problems.push({ part: 'tables', reason: stopped })
  else await engine.pipeline.caughtUp(log.durableHead, options.signal, ['tables'])

  const { tables } = engine.parts
  const live = tables.snapshot()
  try {
    const path = generationPath(directory, tables.generation)
    for (const { file, offset, reason } of await damagedFiles(
      path,
      'table files',
      options,
      report
    )) {
      const where = `${basename(file)}, byte ${offset}: ${reason}`
      report.problems.push({ part: 'tables', reason: where })
    }
    if (report.problems.length === 0) await compareWithLog(engine, live, options, report)
  } catch (error) {
    if (!isStoreError(error, 'TABLES_DAMAGED')) throw error
    report.problems.push({ part: 'tables', reason: error.message })
  } finally {
    await live.release()
  }
}

async function compareWithLog(
  engine: Engine,
  live: TablesSnapshot,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  const pace = pacer(engine, options)
  const { aside, digest } = await projectAndDigest(engine, live, options)
  const rebuilt = aside.snapshot()
  try {
    const differences = await compareTables(live, rebuilt, {
      digest,
      sums: await aside.sums(),
      helper: async (slice) => aside.compare(slice),
      async pace(rows) {
        await pace(() => options.onProgress?.({ phase: 'compare', done: rows }))
      }
    })
    for (const reason of differences) report.problems.push({ part: 'tables', reason })
    const [actual, expected] = [live.counts(), rebuilt.counts()]
    if (!isDeepStrictEqual(actual, expected)) {
      const reason = `counts ${JSON.stringify(actual)}, by the log ${JSON.stringify(expected)}`
      report.problems.push({ part: 'tables', reason })
    }
  } finally {
    await rebuilt.release()
    await discard(engine.parts.directory, aside)
  }
}

/**
 * While the worker projects the log once more, this thread reads the live tables. The one that fails
 * stops the other, and nobody reads the snapshot or writes aside any more when this settles.
 */
async function projectAndDigest(
  engine: Engine,
  live: TablesSnapshot,
  options: LongOptions
): Promise<{ aside: Tables; digest: TablesDigest }> {
  const stop = new AbortController()
  const ends = [stop.signal, ...(options.signal === undefined ? [] : [options.signal])]
  const ended = { ...options, signal: AbortSignal.any(ends) }
  let failure: { cause: unknown } | undefined
  const orStop = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work
    } catch (cause) {
      // What the other one ends with then is no news.
      failure ??= { cause }
      stop.abort()
      return undefined
    }
  }
  const pace = pacer(engine, ended)
  const [aside, digest] = await Promise.all([
    orStop(projectAside(engine, ended, live.checkpoint)),
    orStop(digestRanges(live, async () => pace()))
  ])
  if (aside !== undefined && digest !== undefined) return { aside, digest }
  if (aside !== undefined) await discard(engine.parts.directory, aside)
  throw failure?.cause
}

/** Gives the event loop back after each stretch of work, and ends the work when it is to end. */
function pacer(engine: Engine, { signal }: LongOptions): (tell?: () => void) => Promise<void> {
  let began = performance.now()
  return async (tell) => {
    if (performance.now() - began < STRETCH_MS) return
    tell?.()
    await turn()
    throwIfAborted(signal, 'verify')
    throwIfAborted(engine.closing.signal, 'verify')
    began = performance.now()
  }
}

async function verifyVectors(
  engine: Engine,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  const { vectors } = engine.parts
  if (vectors === undefined) return
  throwIfAborted(options.signal, 'verify')
  options.onProgress?.({ phase: 'vectors', done: 0 })
  const { bytes, problems } = await vectors.check()
  report.bytes += bytes
  const found = problems.length > 0 ? problems : await compareVectors(engine, options, report)
  for (const reason of found) report.problems.push({ part: 'vectors', reason })
}

/** Seals and checksums say that these vectors were written, not that they are those of this log. */
async function compareVectors(
  engine: Engine,
  options: LongOptions,
  { position, problems }: VerifyReport
): Promise<string[]> {
  const { vectors } = engine.parts
  if (vectors === undefined || problems.some(({ part }) => part === 'log')) return []
  const pace = pacer(engine, options)
  let differences: string[] = []
  try {
    differences = await vectors.compare({
      position,
      live: async (pairs) => livingRevisions(engine, pairs, pace),
      pace: (done) => {
        options.onProgress?.({ phase: 'vectors', done, total: position })
        throwIfAborted(options.signal, 'verify')
      }
    })
  } catch (error) {
    // Or another index has taken the place of this one, made from the log.
    if (!isStoreError(error, 'STORE_CLOSED')) throw error
  }
  throwIfAborted(engine.closing.signal, 'verify')
  return differences
}
