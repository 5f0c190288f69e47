import { createHash, hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { StoreError } from '../errors.ts'
import type { ImportOptions } from '../types.ts'
import { type SourceFile, sourceInvalid } from './files.ts'

/** Bytes at each end of a file that are compared: a file that was changed mostly shows it there. */
const END_BYTES = 64 * 1024

/**
 * Says in words what is imported and how: the options that change what records mean, and of each
 * file its size and a checksum of both ends. Two sources with the same words are taken for the same.
 */
export async function describeSource(
  files: readonly SourceFile[],
  options: ImportOptions
): Promise<string[]> {
  const parts = [`options ${meaningOf(options)}`]
  if (files.length === 0) parts.push('what the program hands over')
  for (const [index, file] of files.entries()) {
    const name = `file ${index + 1} of ${files.length}`
    // Standard input and pipes can be read only once, so nothing is known of them before.
    if (file.bytes === undefined) parts.push(`${name}: ${file.format}, a stream`)
    else parts.push(`${name}: ${file.format}, ${file.bytes} bytes, ends ${await hashEnds(file)}`)
  }
  return parts
}

export function digestOfSource(parts: readonly string[]): string {
  return hash('sha256', parts.join('\n'), 'hex').slice(0, 16)
}

/** The first part that differs, as it was and as it is. */
export function sourceChanged(
  resumeKey: string,
  before: readonly string[],
  now: readonly string[]
): StoreError<'IMPORT_SOURCE_CHANGED'> {
  const at = before.findIndex((part, index) => part !== now[index])
  // They differ, so where the older words all agree the newer ones go on.
  const index = at < 0 ? before.length : at
  const details = {
    resumeKey,
    before: before[index] ?? 'nothing more',
    now: now[index] ?? 'nothing more'
  }
  const message =
    `The import '${resumeKey}' was begun with another source: ` +
    `it was ${details.before}, now it is ${details.now}`
  return new StoreError('IMPORT_SOURCE_CHANGED', message, details)
}

/** All options but those that leave the outcome as it is. */
function meaningOf(options: ImportOptions): string {
  const { signal, onProgress, rejectFile, strict, dryRun, durability, ...rest } = options
  const { resumeKey, window, map, ntriples, ...meaning } = rest
  // A function cannot be compared, only whether there is one.
  const all = { ...meaning, map: map !== undefined, ntriples: { ...ntriples, tempDirectory: '' } }
  return JSON.stringify(Object.fromEntries(Object.entries(all).sort()))
}

async function hashEnds({ path, bytes = 0 }: SourceFile): Promise<string> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path)
    const digest = createHash('sha256')
    const head = Buffer.alloc(Math.min(END_BYTES, bytes))
    await handle.read(head, 0, head.length, 0)
    digest.update(head)
    const tail = Buffer.alloc(Math.min(END_BYTES, bytes - head.length))
    await handle.read(tail, 0, tail.length, bytes - tail.length)
    return digest.update(tail).digest('hex').slice(0, 16)
  } catch (cause) {
    throw sourceInvalid(path, cause)
  } finally {
    await handle?.close()
  }
}
