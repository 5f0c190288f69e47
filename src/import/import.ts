import { isStoreError, StoreError, throwIfAborted } from '../errors.ts'
import { optionInvalid } from '../options.ts'
import type { ImportOptions, ImportReport, ImportSource } from '../types.ts'
import { Committer } from './committer.ts'
import { describeCut, Feed } from './feed.ts'
import { checkImportOptions } from './options.ts'
import { RejectFile } from './reject-file.ts'
import { Resume } from './resume.ts'
import { describeSource } from './resume-source.ts'
import { Rows } from './rows.ts'
import { Tally } from './tally.ts'
import type { ImportTarget } from './target.ts'

/**
 * Imports records, in order and in memory bounded by a few batches and what waits in the window,
 * whatever the size of the source. A bad line is left out and reported. When it resolves, everything
 * accepted is acknowledged; when it rejects, no commit is under way and none is half done, but those
 * before the error stay, and with a `resumeKey` the same call goes on behind them.
 *
 * @throws StoreError `OPTION_INVALID`, `UNSUPPORTED`, `IMPORT_SOURCE_INVALID`,
 *   `IMPORT_SOURCE_CHANGED`, `ABORTED`, `STORE_CLOSED`; when `strict`, `IMPORT_LINE_INVALID`; what a commit throws.
 *   What the source, `map` aside, throws.
 */
export async function importRecords(
  target: ImportTarget,
  source: ImportSource,
  options: ImportOptions
): Promise<ImportReport> {
  checkImportOptions(options)
  const { signal } = options
  throwIfAborted(signal, 'import')
  const { closing } = target
  // A source may never give its next item: a store that closes waits for it no longer than an abort.
  const either = signal === undefined ? closing : AbortSignal.any([signal, closing])
  try {
    return await importUntil(target, source, { ...options, signal: either })
  } catch (error) {
    const isClosed = closing.aborted && signal?.aborted !== true
    throw isClosed && isStoreError(error, 'ABORTED') ? storeClosed() : error
  }
}

async function importUntil(
  target: ImportTarget,
  source: ImportSource,
  options: ImportOptions
): Promise<ImportReport> {
  const { resumeKey } = options
  const rows = await Rows.of(source, options)
  if (resumeKey === undefined) return importRows(target, rows, options, undefined)
  if (target.resumable.has(resumeKey)) {
    throw optionInvalid('resumeKey', resumeKey, 'the key of no import that is under way')
  }
  target.resumable.add(resumeKey)
  try {
    return await importRows(target, rows, options, await findPlace(target, rows, options))
  } finally {
    target.resumable.delete(resumeKey)
  }
}

async function importRows(
  target: ImportTarget,
  rows: Rows,
  options: ImportOptions,
  resume: Resume | undefined
): Promise<ImportReport> {
  const { rejectFile: path } = options
  const bytes = resume?.place.rejectBytes ?? 0
  const rejectFile = path === undefined ? path : await RejectFile.open(path, rows.files, bytes)
  const tally = new Tally(rows, rejectFile, resume, options)
  const committer = new Committer(target, tally, resume, options)
  try {
    if (resume?.isDone !== true) {
      const feed = new Feed(target.limits, committer, tally, resume, options)
      await feed.readAll(rows)
      resume?.checkLength(tally.records)
    }
    await committer.finish()
  } catch (error) {
    await committer.settle()
    // A commit that failed says more than the abort or the broken source that came on top.
    throw committer.failure === undefined ? error : committer.failure.error
  } finally {
    await rejectFile?.close()
  }
  tally.tell(true)
  return tally.report(target.position)
}

async function findPlace(
  target: ImportTarget,
  rows: Rows,
  options: ImportOptions & { resumeKey?: string }
): Promise<Resume> {
  const { resumeKey: key = '', rejectFile } = options
  return Resume.find(target, {
    key,
    parts: await describeSource(rows.files, options),
    cut: describeCut(target.limits, options),
    rejectBytes: rejectFile === undefined ? undefined : await RejectFile.sizeOf(rejectFile)
  })
}

function storeClosed(): StoreError<'STORE_CLOSED'> {
  return new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'import' })
}
