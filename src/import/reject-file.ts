import { type FileHandle, open, stat } from 'node:fs/promises'
import { StoreError } from '../errors.ts'
import type { Rejection } from './batch.ts'
import type { SourceFile } from './files.ts'

/** The file that gets every rejected line: JSON Lines of `line`, `reason` and, of text, `text`. */
export class RejectFile {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /**
   * Creates the file, or cuts it down to what an import that is resumed had written: what stands in
   * it afterwards is of this import alone.
   *
   * @throws StoreError `OPTION_INVALID` when it cannot be written or is itself a source.
   */
  static async open(
    path: string,
    sources: readonly SourceFile[],
    bytesKept: number
  ): Promise<RejectFile> {
    const found = await stat(path).catch(() => undefined)
    const identity = found && `${found.dev}:${found.ino}`
    if (identity !== undefined && sources.some((source) => source.identity === identity)) {
      throw invalid(path, new Error('it is a source of this import'))
    }
    let handle: FileHandle | undefined
    try {
      handle = await open(path, 'a')
      // Of a pipe or a terminal nothing can be taken back.
      if (found?.isFile() !== false) await handle.truncate(bytesKept)
      return new RejectFile(handle)
    } catch (cause) {
      await handle?.close()
      throw invalid(path, cause)
    }
  }

  /** Bytes of the file as it is; 0 if there is none. */
  static async sizeOf(path: string): Promise<number> {
    const found = await stat(path).catch(() => undefined)
    return found?.size ?? 0
  }

  async write(rejections: readonly Rejection[]): Promise<void> {
    await this.#handle.appendFile(rejectLines(rejections))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** One line each: the same every time, because a resumed import counts their bytes. */
export function rejectLines(rejections: readonly Rejection[]): string {
  return rejections
    .map(({ line, reason, text }) => `${JSON.stringify({ line, reason, text })}\n`)
    .join('')
}

function invalid(path: string, cause: unknown): StoreError<'OPTION_INVALID'> {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const details = { option: 'rejectFile', received: path, expected: 'a file that can be written' }
  const message = `Option 'rejectFile' names '${path}', which cannot be written: ${reason}`
  return new StoreError('OPTION_INVALID', message, details, { cause })
}
