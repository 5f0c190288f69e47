/**
 * The directory of kept telemetry. The log of a store never forgets, so what is to be forgotten is cut into
 * segments, each a store of its own, and whole old ones are removed.
 *
 *     OWNER                           who writes here; readers take only the segment that they read
 *     WINDOW                          sums of the moments that no segment holds yet (`recorder.ts`)
 *     20260131T120000000Z/            a segment, named after when it begins
 *     20260131T120000000Z.damaged/    one that could not be opened for writing; goes when it is old
 *     20260131T120000000Z.removed/    one that is being removed; the next owner removes the rest
 */
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isStoreError } from '../errors.ts'
import { isMissing, namesIn, syncDirectory } from '../storage/files.ts'
import { Ownership } from '../storage/owner.ts'

/** Within the directory of the store that is told of. */
export const TELEMETRY_DIRECTORY = 'telemetry'
export const WINDOW_FILE = 'WINDOW'

const REMOVED = '.removed'
const DAMAGED = '.damaged'
const SEGMENT = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z(\.damaged)?$/

/** Something that takes up room, whether or not it can be read. */
export interface Kept {
  readonly name: string
  /** When it begins, in milliseconds since 1970. */
  readonly since: number
  readonly isDamaged: boolean
}

export function segmentName(since: number): string {
  return new Date(since).toISOString().replaceAll(/[-:.]/g, '')
}

/** All segments, oldest first. */
export async function keptIn(directory: string): Promise<Kept[]> {
  const kept = (await namesIn(directory)).flatMap((name) => {
    const since = sinceOf(name)
    return since === undefined ? [] : [{ name, since, isDamaged: name.endsWith(DAMAGED) }]
  })
  return kept.sort((a, b) => a.since - b.since)
}

/** Those that can be read. */
export async function segmentsIn(directory: string): Promise<Kept[]> {
  return (await keptIn(directory)).filter(({ isDamaged }) => !isDamaged)
}

/**
 * Removes a segment, unless another process reads it. It is renamed first: what a crash leaves of it is
 * never taken for a segment again.
 *
 * @returns Whether it is gone.
 */
export async function removeSegment(directory: string, name: string): Promise<boolean> {
  const path = join(directory, name)
  try {
    // Vanishes with the directory: nobody is to open it from here on.
    await Ownership.take(path)
  } catch (error) {
    if (isStoreError(error, 'STORE_LOCKED')) return false
    throw error
  }
  const removed = `${path}${REMOVED}`
  await rename(path, removed)
  await rm(removed, { recursive: true, force: true })
  return true
}

/** Removes what a process left that died while it removed something. */
export async function sweepRemoved(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    if (!name.endsWith(REMOVED)) continue
    if (sinceOf(name.slice(0, -REMOVED.length)) === undefined) continue
    await rm(join(directory, name), { recursive: true, force: true })
  }
}

/** Takes a segment out of the way that cannot be opened. What is in it stays for whoever wants to look. */
export async function setAside(directory: string, name: string): Promise<void> {
  await rename(join(directory, name), join(directory, `${name}${DAMAGED}`))
  await syncDirectory(directory)
}

/** Files come and go while LevelDB works, so one that has vanished counts nothing. */
export async function bytesBelow(path: string): Promise<number> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) return found.size
    let bytes = 0
    for (const name of await readdir(path)) bytes += await bytesBelow(join(path, name))
    return bytes
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}

function sinceOf(name: string): number | undefined {
  const found = SEGMENT.exec(name)
  if (found === null) return undefined
  const [, year, month, day, hour, minute, second, ms] = found
  const since = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`)
  return Number.isNaN(since) ? undefined : since
}
