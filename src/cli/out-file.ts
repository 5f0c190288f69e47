/** Where an export goes: the place of a file is taken as a whole, all else is written to as it is. */
import { randomBytes } from 'node:crypto'
import { constants, openSync, rmSync, type Stats } from 'node:fs'
import { type FileHandle, open, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { basename, dirname, isAbsolute, join, sep } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** The system follows no more either. */
const LINKS_MAX = 40
/** What a process has open, under a name that is a link to it and no place of its own. */
const DESCRIPTORS = /^\/(proc|dev\/fd)\//
const READER_POLL_MS = 20

/** @returns How many bytes were written. */
export async function writeOut(
  name: string,
  chunks: () => AsyncIterable<Uint8Array>,
  signal: AbortSignal
): Promise<number> {
  const path = await follow(name)
  const found = await stat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  let bytes = 0
  const counted = async function* () {
    for await (const chunk of chunks()) {
      bytes += chunk.byteLength
      yield chunk
    }
  }
  if (!DESCRIPTORS.test(path) && found?.isFile() !== false) {
    await replaceFile(path, found, async (file) => {
      for await (const chunk of counted()) await file.appendFile(chunk)
    })
  } else {
    // A rename would put a file in the place of a pipe or a device.
    const isPipe = found?.isFIFO() === true
    const stream = isPipe ? await openPipe(path, signal) : await openAsItIs(path)
    await pipeline(Readable.from(counted(), { objectMode: false }), stream, { signal })
  }
  return bytes
}

/** The file that a name stands for, over symbolic links, of which the last may lead to none yet. */
async function follow(name: string): Promise<string> {
  let path = name
  for (let links = 0; links < LINKS_MAX; links++) {
    const directory = await realpath(dirname(path))
    path = join(directory, basename(path))
    if (DESCRIPTORS.test(path)) return path
    // What is no link, or not there, is told by whoever opens it.
    const link = await readlink(path).catch(() => undefined)
    if (link === undefined) return path
    path = isAbsolute(link) ? link : `${directory}${sep}${link}`
  }
  return path
}

/**
 * Writes beside the file and takes its place at the end, so that there is never half a file under
 * its name. Killed before that, it leaves a file that ends in `.partial`.
 */
async function replaceFile(
  path: string,
  found: Stats | undefined,
  fill: (file: FileHandle) => Promise<void>
): Promise<void> {
  // Two exports to one file must not write into each other's.
  const partial = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.partial`
  const handle = await open(partial, 'wx', found && found.mode & 0o777)
  // Ctrl-C a second time ends the process at once.
  const remove = (): void => rmSync(partial, { force: true })
  process.on('exit', remove)
  try {
    if (found !== undefined) await resemble(handle, found)
    await fill(handle)
    await handle.sync()
    await handle.close()
    await rename(partial, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await handle.close()
    await rm(partial, { force: true })
    throw error
  } finally {
    process.off('exit', remove)
  }
}

/** Lets the same people read and write it as the file whose place it takes. */
async function resemble(handle: FileHandle, { mode, uid, gid }: Stats): Promise<void> {
  const own = await handle.stat()
  if (own.uid !== uid || own.gid !== gid) {
    // Only root may give a file away.
    await handle.chown(uid, gid).catch(() => undefined)
  }
  await handle.chmod(mode & 0o777)
}

/** Without it, a power cut may undo the rename. Windows has no such thing. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Waits for somebody who reads. Opened as a file, it would block a thread until then, and a process
 * that is told to end waits for its threads.
 */
async function openPipe(path: string, signal: AbortSignal): Promise<Writable> {
  for (;;) {
    try {
      const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
      return new Socket({ fd, readable: false, writable: true })
    } catch (error) {
      if (!hasCode(error, 'ENXIO')) throw error
    }
    await sleep(READER_POLL_MS, undefined, { signal })
  }
}

/** Makes nothing and cuts nothing off: what a shell opened may hold what others wrote. */
async function openAsItIs(path: string): Promise<Writable> {
  const handle = await open(path, constants.O_WRONLY | constants.O_APPEND)
  return handle.createWriteStream()
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
