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
import { identityOf, processExists } from './processes.ts'

const PREFIX = 'sutra-read-'
const LEFTOVER = /^sutra-read-(\d+)-(\d*-\d*)-/
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
    return await linkInto(await mkdtemp(join(tmpdir(), prefixOf(process.pid))), paths)
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

function prefixOf(pid: number): string {
  return `${PREFIX}${pid}-${identityOf(pid) || '-'}-`
}

/** Of processes of this user that were killed; those of another container are left to it. */
async function removeLeftovers(): Promise<void> {
  const [, here] = identityOf(process.pid).split('-')
  for (const name of await namesIn(tmpdir())) {
    const [, pid = '', identity = ''] = LEFTOVER.exec(name) ?? []
    if (pid === '' || identity.split('-')[1] !== here) continue
    if (processExists(Number(pid)) && name.startsWith(prefixOf(Number(pid)))) continue
    const path = join(tmpdir(), name)
    const { uid } = await stat(path)
    if (uid === process.getuid?.()) await rm(path, { recursive: true, force: true })
  }
}
