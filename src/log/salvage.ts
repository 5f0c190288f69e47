/**
 * What is left of a log whose files are damaged, read from LevelDB's files without LevelDB: it gives
 * up at the first thing it does not understand, ends the process at others, and tells of none.
 *
 * A frame proves itself by its own checksum, so where it was found does not matter.
 */
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { throwIfAborted } from '../errors.ts'
import { checkTableFile, tableFiles } from '../storage/database-files.ts'
import { namesIn } from '../storage/files.ts'
import { readManifest } from '../storage/level-manifest.ts'
import { type TableEntry, TableFile } from '../storage/table-file.ts'
import { entriesOf } from '../storage/write-ahead-file.ts'
import { STRETCH_MS, turn } from '../turn.ts'
import type { LogEvent } from './event.ts'
import { type Frame, FrameDamage, follows } from './frame.ts'
import { decodeFrame } from './frame-decode.ts'
import { lostWrites } from './replayed-frames.ts'

/** Offset and length of the id of the store in every frame. */
const STORE_ID = [16, 32] as const

/** An intact frame, without its events. */
export interface SalvagedFrame
  extends Pick<
    Frame,
    'first' | 'last' | 'count' | 'checksum' | 'previous' | 'time' | 'gap' | 'format' | 'bytes'
  > {
  /** LevelDB's number of the write: of two frames with the same position the later one counts. */
  sequence: bigint
  /** Whether one of its events declares vectors, and whether one of them holds a vector. */
  declares: boolean
  embeds: boolean
}

/** Positions that no intact frame holds. */
export interface LostRange {
  from: number
  to: number
  reason: string
}

export interface Survey {
  storeId: Buffer | undefined
  /** In order; they follow one another but for what `lost` names. */
  frames: SalvagedFrame[]
  lost: LostRange[]
  /** Files with damaged parts, and what is wrong. */
  files: { file: string; reason: string }[]
}

export interface SalvageOptions {
  /** Frames of another store do not count; taken from the first intact frame if not known. */
  storeId: Buffer | undefined
  /** Positions up to here were acknowledged. */
  promised: number
  onFile?: ((done: number, total: number) => void) | undefined
  signal?: AbortSignal | undefined
}

/**
 * Reads all files of the log and finds the frames that stand.
 *
 * @param log The directory of its LevelDB.
 */
export async function survey(log: string, options: SalvageOptions): Promise<Survey> {
  const paths = await filesOf(log)
  const live = new Set((await tableFiles(log)).map(({ path }) => path))
  const files: Survey['files'] = []
  const newest = new Map<number, SalvagedFrame | Deleted>()
  let { storeId } = options
  for (const [index, path] of paths.entries()) {
    options.onFile?.(index, paths.length)
    // Files that LevelDB does not name may be cut off: a crash leaves them so.
    const problem = live.has(path) ? (await checkTableFile(path))?.problem : undefined
    if (problem !== undefined) {
      files.push({ file: basename(path), reason: `${problem.reason}, at byte ${problem.offset}` })
    }
    for await (const entry of entriesOfFile(path, options.signal)) {
      storeId ??= idIn(entry)
      const first = Number(entry.key.readBigUInt64BE())
      const known = newest.get(first)
      if (known !== undefined && known.sequence >= entry.sequence) continue
      newest.set(first, frameOf(entry, storeId) ?? { sequence: entry.sequence, deleted: true })
    }
  }
  files.push(...(await missingFiles(log, paths)))
  if (storeId !== undefined) files.push(...(await damagedWrites(log, storeId)))
  const frames = chainOf([...newest.values()].filter(isFrame))
  return { storeId, frames, lost: lostBetween(frames, options.promised, files), files }
}

/** The bytes of the frames that `survey` found, file by file, not in order. */
export async function* salvagedBytes(
  log: string,
  frames: readonly SalvagedFrame[],
  signal: AbortSignal | undefined
): AsyncGenerator<{ key: Buffer; value: Buffer }> {
  const wanted = new Map(frames.map(({ first, sequence }) => [first, sequence]))
  for (const path of await filesOf(log)) {
    for await (const { key, value, sequence } of entriesOfFile(path, signal)) {
      const first = Number(key.readBigUInt64BE())
      if (value === undefined || wanted.get(first) !== sequence) continue
      // A compaction may have left the same write in two files.
      wanted.delete(first)
      yield { key, value }
    }
  }
}

interface Deleted {
  sequence: bigint
  deleted: true
}

function isFrame(found: SalvagedFrame | Deleted): found is SalvagedFrame {
  return !('deleted' in found)
}

/** Files that LevelDB names and that are not there: what they held may be lost without another sign. */
async function missingFiles(log: string, paths: readonly string[]): Promise<Survey['files']> {
  const there = new Set(paths.map((path) => basename(path)))
  const named = [...((await readManifest(log))?.tables.keys() ?? [])]
  return named
    .map((number) => `${String(number).padStart(6, '0')}.ldb`)
    .filter((file) => !there.has(file))
    .map((file) => ({ file, reason: 'it is missing' }))
}

/** Torn ends are left out: what stands behind them was never written. */
async function damagedWrites(log: string, storeId: Buffer): Promise<Survey['files']> {
  const files: Survey['files'] = []
  for await (const { file, offset, reason, isWhole, to } of lostWrites(log, storeId)) {
    if (isWhole || to !== undefined) {
      files.push({ file: basename(file), reason: `${reason}, at byte ${offset}` })
    }
  }
  return files
}

async function filesOf(log: string): Promise<string[]> {
  const names = (await namesIn(log)).filter((name) => /\.(ldb|log)$/.test(name))
  return names.sort().map((name) => join(log, name))
}

async function* entriesOfFile(
  path: string,
  signal: AbortSignal | undefined
): AsyncGenerator<TableEntry> {
  const isTable = path.endsWith('.ldb')
  const entries = isTable ? (await TableFile.read(path)).entries() : entriesOf(await readFile(path))
  let began = performance.now()
  for (;;) {
    let next: IteratorResult<TableEntry>
    try {
      next = entries.next()
    } catch (error) {
      // What is left of this file makes no sense although its checksums hold: nothing to save here.
      if (error instanceof RangeError) return
      throw error
    }
    if (next.done === true) return
    if (next.value.key.length === 8) yield next.value
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    throwIfAborted(signal, 'repair')
    began = performance.now()
  }
}

function idIn({ value }: TableEntry): Buffer | undefined {
  return value === undefined ? undefined : Buffer.from(value.subarray(...STORE_ID))
}

function frameOf(entry: TableEntry, storeId: Buffer | undefined): SalvagedFrame | undefined {
  const { key, value, sequence } = entry
  if (value === undefined || storeId === undefined) return undefined
  try {
    // Decoded whole: a frame that no projection can read is no better than a lost one.
    const { commits, kind: _, ...frame } = decodeFrame(key, value, storeId)
    const events = commits.flatMap((commit) => commit.events)
    const declares = events.some(({ type }) => type === 'vectors-declared')
    const embeds = events.some(holdsVector)
    return { ...frame, sequence, declares, embeds }
  } catch (error) {
    if (!(error instanceof FrameDamage)) throw error
    return undefined
  }
}

function holdsVector(event: LogEvent): boolean {
  return 'ordinal' in event && 'fields' in event && (event.fields.vector ?? null) !== null
}

/**
 * The frames that are part of one log. What a torn tail left behind has the positions of later
 * frames, or is not what the next one names; the older write of two that contradict each other goes.
 */
function chainOf(found: SalvagedFrame[]): SalvagedFrame[] {
  const chain: SalvagedFrame[] = []
  for (const frame of found.sort((a, b) => a.first - b.first)) {
    let before = chain.at(-1)
    while (before !== undefined && contradicts(before, frame) && before.sequence < frame.sequence) {
      chain.pop()
      before = chain.at(-1)
    }
    if (before === undefined || !contradicts(before, frame)) chain.push(frame)
  }
  return chain
}

function contradicts(before: SalvagedFrame, frame: SalvagedFrame): boolean {
  if (frame.first <= before.last) return true
  return frame.first === before.last + 1 && !follows(before, frame)
}

function lostBetween(
  frames: readonly SalvagedFrame[],
  promised: number,
  files: Survey['files']
): LostRange[] {
  const [damage] = files
  const reason = damage === undefined ? 'frames are missing' : `${damage.file}: ${damage.reason}`
  const lost: LostRange[] = []
  let last = 0
  for (const frame of frames) {
    if (frame.first > last + 1) lost.push({ from: last + 1, to: frame.first - 1, reason })
    last = frame.last
  }
  if (promised > last) lost.push({ from: last + 1, to: promised, reason })
  return lost
}
