/**
 * A LevelDB database that is only read. LevelDB knows no such mode: opening one, it writes another
 * MANIFEST, makes table files of its log and removes what it no longer needs. So it is given a
 * directory of its own, of links to the files that it will read; whatever it writes stays there.
 *
 * Only what it reads is linked. A file that a crash left may have a name that LevelDB gives again,
 * and writing through the link would change the database.
 */
import { link, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { ioFailed } from '../errors.ts'
import { tableFiles } from './database-files.ts'
import { isMissing, isUnwritable, namesIn } from './files.ts'
import { processExists } from './processes.ts'

const PREFIX = 'sutra-read-'
const LEFTOVER = /^sutra-read-(\d+)-/
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
    swept ??= removeLeftovers()
    await swept
    return await linkInto(await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`)), paths)
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

/** Of processes that were killed. One whose number was given again stays until that one ends too. */
async function removeLeftovers(): Promise<void> {
  for (const name of await namesIn(tmpdir())) {
    const pid = Number(LEFTOVER.exec(name)?.[1])
    if (Number.isNaN(pid) || processExists(pid)) continue
    try {
      await rm(join(tmpdir(), name), { recursive: true, force: true })
    } catch (error) {
      // Another user's is not ours to remove, and no reason not to read a store.
      if (isMissing(error) || isUnwritable(error)) continue
      throw error
    }
  }
}
