/**
 * A LevelDB database that is only read. LevelDB knows no such mode: opening one, it writes another
 * MANIFEST, makes table files of its log and removes what it no longer needs. So it is given a
 * directory of its own, of links to the files that it will read; whatever it writes stays there.
 *
 * Only what it reads is linked. A file that a crash left may have a name that LevelDB gives again,
 * and writing through the link would change the database.
 */
import { link, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { ioFailed } from '../errors.ts'
import { tableFiles } from './database-files.ts'
import { namesIn } from './files.ts'
import { pidSpace, processExists, startTime } from './processes.ts'

const PREFIX = 'sutra-read-'
/** Number and start of the process, and where its number counts. */
const LEFTOVER = /^sutra-read-(\d+)-(\d+)-(\d+)-/
const LOG_FILE = /^\d+\.log$/

export interface LevelMirror {
  readonly directory: string
  remove(): Promise<void>
}

let swept: Promise<void> | undefined

/** @throws StoreError `IO_FAILED` where no mirror can be made; else, what the system says of the database. */
export async function mirrorLevel(database: string): Promise<LevelMirror> {
  const paths = await filesToRead(resolve(database))
  try {
    // What others left is no reason to refuse a store: the next process looks again.
    swept ??= removeLeftovers().catch(() => undefined)
    await swept
    return await linkInto(await mkdtemp(join(tmpdir(), ownPrefix())), paths)
  } catch (error) {
    // Of the directory for temporary files: it says nothing about the database.
    throw ioFailed(error, 'open')
  }
}

async function linkInto(directory: string, paths: readonly string[]): Promise<LevelMirror> {
  const remove = async (): Promise<void> => rm(directory, { recursive: true, force: true })
  try {
    for (const path of paths) await linkTo(path, join(directory, basename(path)))
  } catch (error) {
    await remove()
    throw error
  }
  return { directory, remove }
}

/** Windows gives symbolic links to administrators alone; its files are linked within one volume. */
const linkTo = process.platform === 'win32' ? link : symlink

async function filesToRead(database: string): Promise<string[]> {
  const current = join(database, 'CURRENT')
  const manifest = (await readFile(current, 'utf8')).trim()
  const logs = (await namesIn(database)).filter((name) => LOG_FILE.test(name))
  const tables = await tableFiles(database)
  return [
    current,
    // Names are all that a CURRENT may hold: another path is for LevelDB to refuse.
    ...(manifest === basename(manifest) ? [join(database, manifest)] : []),
    ...logs.map((name) => join(database, name)),
    ...tables.map(({ path }) => path)
  ]
}

function ownPrefix(): string {
  return `${PREFIX}${process.pid}-${startOf(process.pid)}-${pidSpace()}-`
}

function startOf(pid: number): string {
  return startTime(pid, null) ?? '0'
}

/** Of processes of this user that were killed; those of another container are left to it. */
async function removeLeftovers(): Promise<void> {
  for (const name of await namesIn(tmpdir())) {
    const [, pid, started, space] = LEFTOVER.exec(name) ?? []
    if (pid === undefined || Number(space) !== pidSpace()) continue
    if (processExists(Number(pid)) && startOf(Number(pid)) === started) continue
    const path = join(tmpdir(), name)
    const { uid } = await stat(path)
    // Without users, as on Windows, the directory for temporary files is the user's own.
    if (process.getuid === undefined || uid === process.getuid()) {
      await rm(path, { recursive: true, force: true })
    }
  }
}
