import { throwIfAborted } from '../errors.ts'
import type { Limits } from '../options.ts'
import type { Command, ImportOptions, ImportReport, ImportSource } from '../types.ts'
import { Batch, type BatchLimits } from './batch.ts'
import { Committer } from './committer.ts'
import { DRY_RUN_EXTRA } from './dry-run.ts'
import { checkImportOptions } from './options.ts'
import { RecordError, toCommand } from './record.ts'
import { RejectFile } from './reject-file.ts'
import { type Row, Rows } from './rows.ts'
import { Tally } from './tally.ts'
import type { ImportTarget } from './target.ts'
import { Turns } from './turns.ts'

/** Large enough that a commit's own cost vanishes, small enough to be checked in one stretch. */
const BATCH_ROWS = 100
const BATCH_BYTES = 1024 * 1024
/** The size of a command is estimated, so a batch stays well below the limit of a commit. */
const BYTES_MARGIN = 4

/**
 * Imports records, in order and in memory bounded by a few batches, whatever the size of the
 * source. A bad line is left out and reported. When it resolves, everything accepted is
 * acknowledged; when it rejects, no commit is under way and none is half done, but those before
 * the error stay.
 *
 * @throws StoreError `OPTION_INVALID`, `UNSUPPORTED`, `IMPORT_SOURCE_INVALID`, `ABORTED`; when
 *   `strict`, `IMPORT_LINE_INVALID`; what a commit throws. What the source, `map` aside, throws.
 */
export async function importRecords(
  target: ImportTarget,
  source: ImportSource,
  options: ImportOptions
): Promise<ImportReport> {
  checkImportOptions(options)
  const { signal, format, rejectFile: rejectPath } = options
  throwIfAborted(signal, 'import')
  const rows = await Rows.of(source, { format, signal })
  const rejectFile = rejectPath && (await RejectFile.open(rejectPath, rows.files))
  const tally = new Tally(rows, rejectFile || undefined, options)
  const committer = new Committer(target, tally, options)
  try {
    await readAll(rows, committer, tally, { ...options, limits: batchLimits(target, options) })
    await committer.finish()
  } catch (error) {
    await committer.settle()
    // A commit that failed says more than the abort or the broken source that came on top.
    throw committer.failure === undefined ? error : committer.failure.error
  } finally {
    if (rejectFile) await rejectFile.close()
  }
  tally.tell(true)
  return tally.report(target.position)
}

async function readAll(
  rows: Rows,
  committer: Committer,
  tally: Tally,
  options: ImportOptions & { limits: BatchLimits }
): Promise<void> {
  const { signal, strict, map, ifExists } = options
  const turns = new Turns()
  let batch = new Batch(options.limits)
  const turn = async () => {
    await turns.next()
    throwIfAborted(signal, 'import')
    tally.tell()
  }
  const commit = async () => {
    // Committing takes a stretch of the main thread of its own.
    await turn()
    await committer.add(batch)
    batch = new Batch(options.limits)
  }
  for await (const group of rows.groups()) {
    for (const row of group) {
      for (const record of recordsOf(row, map)) {
        const found = commandOf(record, ifExists)
        tally.records += 1
        if (!batch.add(row, found)) {
          await commit()
          batch.add(row, found)
        }
        if (strict === true && batch.hasFault) await commit()
        // One row may be mapped to any number of records.
        if (turns.step(0)) await turn()
      }
      if (turns.step(row.bytes)) await turn()
    }
  }
  throwIfAborted(signal, 'import')
  if (!batch.isEmpty) await committer.add(batch)
}

/** What a row holds: no record if it is blank, one, or what `map` makes of it, or what is wrong. */
function recordsOf({ text, value, fault }: Row, map: ImportOptions['map']): readonly unknown[] {
  if (fault !== undefined) return [new RecordError(fault)]
  if (text === '') return NONE
  let row = value
  try {
    if (text !== undefined) row = JSON.parse(text)
  } catch (cause) {
    // Looked at only here, so that a line that is not blank pays nothing for it.
    if (text?.trim() === '') return NONE
    return [new RecordError(`not valid JSON: ${toError(cause).message}`, { cause })]
  }
  if (map === undefined) return [row]
  try {
    const mapped: unknown = map(row)
    if (mapped === undefined) return NONE
    return Array.isArray(mapped) ? mapped : [mapped]
  } catch (cause) {
    return [new RecordError(`map threw: ${toError(cause).message}`, { cause })]
  }
}

const NONE: readonly unknown[] = []

function commandOf(record: unknown, ifExists: ImportOptions['ifExists']): Command | Error {
  if (record instanceof RecordError) return record
  try {
    return toCommand(record, ifExists)
  } catch (error) {
    return toError(error)
  }
}

function batchLimits(
  { limits }: { limits: Readonly<Limits> },
  options: ImportOptions
): BatchLimits {
  const share = options.dryRun === true ? 1 + DRY_RUN_EXTRA : 1
  return {
    rows: Math.max(1, Math.floor(Math.min(BATCH_ROWS, limits.commitCommands) / share)),
    bytes: Math.min(BATCH_BYTES, limits.commitBytes / BYTES_MARGIN)
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
