import { type FileHandle, open, stat } from 'node:fs/promises'
import { StoreError } from '../errors.ts'
import type { SourceFile } from './files.ts'

/** The file that gets every rejected line: JSON Lines of `line`, `reason` and, of text, `text`. */
export class RejectFile {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /**
   * Creates the file, or empties it: what stands in it afterwards is of this import alone.
   *
   * @throws StoreError `OPTION_INVALID` when it cannot be written or is itself a source.
   */
  static async open(path: string, sources: readonly SourceFile[]): Promise<RejectFile> {
    const found = await stat(path).catch(() => undefined)
    const identity = found && `${found.dev}:${found.ino}`
    if (identity !== undefined && sources.some((source) => source.identity === identity)) {
      throw invalid(path, new Error('it is a source of this import'))
    }
    try {
      return new RejectFile(await open(path, 'w'))
    } catch (cause) {
      throw invalid(path, cause)
    }
  }

  async write(rejected: readonly { line: number; reason: string; text?: string }[]): Promise<void> {
    const lines = rejected.map((one) => `${JSON.stringify(one)}\n`)
    await this.#handle.appendFile(lines.join(''))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

function invalid(path: string, cause: unknown): StoreError<'OPTION_INVALID'> {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const details = { option: 'rejectFile', received: path, expected: 'a file that can be written' }
  const message = `Option 'rejectFile' names '${path}', which cannot be written: ${reason}`
  return new StoreError('OPTION_INVALID', message, details, { cause })
}
