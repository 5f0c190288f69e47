import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Makes the names in a directory durable. Windows cannot sync a directory and needs no such call. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Fills memory from a place of a file on. One read may give less than is there: before a sector that
 * cannot be read, the system gives what it has, and says so only when it is asked again.
 *
 * @returns How many bytes there are; fewer than asked for only where the file ends.
 */
export async function readFully(file: FileHandle, into: Buffer, from: number): Promise<number> {
  let read = 0
  while (read < into.length) {
    const { bytesRead } = await file.read(into, read, into.length - read, from + read)
    if (bytesRead === 0) break
    read += bytesRead
  }
  return read
}

/**
 * Writes all of it. One write may take less than it was given, as before a disk that is full; the next
 * one says why.
 */
export function writeFullySync(descriptor: number, bytes: Uint8Array, at: number): void {
  let written = 0
  while (written < bytes.length) {
    const more = writeSync(descriptor, bytes, written, bytes.length - written, at + written)
    if (more === 0) throw notWritten(written, bytes.length)
    written += more
  }
}

function notWritten(written: number, length: number): Error {
  const message = `EIO: ${written} of ${length} bytes written, and no more`
  return Object.assign(new Error(message), { code: 'EIO' })
}

/**
 * Replaces a file as a whole: after a crash the old or the new content is there, never a mix.
 * Resolves when the new content and its name are durable.
 */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx')
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}

/** Makes the data of the files of a directory durable, of those whose name passes. */
export async function syncFiles(
  directory: string,
  accept: (name: string) => boolean
): Promise<void> {
  const names = (await readdir(directory)).filter(accept)
  for (const name of names) {
    const handle = await openIfThere(join(directory, name))
    if (handle === undefined) continue
    try {
      await handle.datasync()
    } finally {
      await handle.close()
    }
  }
}

// Windows syncs only what is open for writing, so that is asked for everywhere.
async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** Whether nothing can be written there, by us at least. */
export function isUnwritable(error: unknown): boolean {
  return error instanceof Error && 'code' in error && UNWRITABLE.includes(String(error.code))
}
const UNWRITABLE: readonly string[] = ['EROFS', 'EACCES', 'EPERM']

/** Whether a directory is where a file should be, or a file where a directory should be. */
export function isMisplaced(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'EISDIR' || error.code === 'ENOTDIR')
  )
}

/** Names in a directory; none when it is not there. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Whether it is a directory; `undefined` when nothing is there. */
export async function isDirectory(path: string): Promise<boolean | undefined> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** The value of a JSON text; undefined for text that is cut short, or that is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined
    throw cause
  }
}
