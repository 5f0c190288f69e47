import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '../assert.ts'
import { ioFailed } from '../errors.ts'

const PAGE_BYTES = 64 * 1024
/** What is held in memory before anything is written: a small source never meets the disk. */
const MEMORY_BYTES = 32 * 1024 * 1024

/** Some lines of a stream, in memory or in the file. */
type Page = Buffer | { readonly at: number; readonly bytes: number }

interface Stream {
  readonly pages: Page[]
  /** The page that is being filled. */
  page: Buffer | undefined
  used: number
  bytes: number
}

/**
 * Lines on their way from one pass to the next, in any number of streams and one temporary file. On
 * POSIX its name is gone as soon as it is open: even a process that is killed leaves nothing behind.
 */
export class Spill {
  readonly #path: string
  readonly #memoryBytes: number
  readonly #streams: Stream[] = []
  /** Pages that are full and not in the file yet. */
  #full: { stream: Stream; index: number; bytes: number }[] = []
  #fullBytes = 0
  #handle: FileHandle | undefined
  #isNamed = false
  #end = 0

  constructor(directory: string = tmpdir(), memoryBytes: number = MEMORY_BYTES) {
    this.#path = join(directory, `sutra-import-${randomUUID()}`)
    this.#memoryBytes = memoryBytes
  }

  /** Begins a stream. */
  stream(): number {
    return this.#streams.push({ pages: [], page: undefined, used: 0, bytes: 0 }) - 1
  }

  bytesOf(stream: number): number {
    return this.#streams[stream]?.bytes ?? 0
  }

  /** Appends a line, which must hold no newline. Call `flush` when `isFull`. */
  append(id: number, line: string): void {
    const stream = this.#stream(id)
    // An upper bound, because counting would take as long as writing.
    const bytes = line.length * 3 + 1
    if (stream.page !== undefined && stream.used + bytes > stream.page.length) this.#seal(stream)
    stream.page ??= Buffer.allocUnsafe(Math.max(PAGE_BYTES, bytes))
    const begin = stream.used
    stream.used += stream.page.write(line, begin)
    stream.page[stream.used] = LF
    stream.used += 1
    stream.bytes += stream.used - begin
  }

  get isFull(): boolean {
    return this.#fullBytes > this.#memoryBytes
  }

  /** @throws StoreError `IO_FAILED` when the file cannot be written. */
  async flush(): Promise<void> {
    try {
      this.#handle ??= await this.#open()
      for (const { stream, index } of this.#full) {
        const page = stream.pages[index]
        assert(page instanceof Buffer, 'a page is written to the file once')
        await writeAll(this.#handle, page, this.#end)
        stream.pages[index] = { at: this.#end, bytes: page.length }
        this.#end += page.length
      }
    } catch (error) {
      throw ioFailed(error, 'import')
    }
    this.#full = []
    this.#fullBytes = 0
  }

  /** Yields the lines of a stream page by page, in the order in which they came. */
  async *pages(id: number): AsyncGenerator<string[], void> {
    const stream = this.#stream(id)
    for (const page of stream.pages) yield linesOf(await this.#read(page))
    if (stream.page !== undefined) yield linesOf(stream.page.subarray(0, stream.used))
  }

  /** Lets go of the memory of a stream that is not needed any more. */
  drop(id: number): void {
    const dropped = this.#stream(id)
    this.#streams[id] = { pages: [], page: undefined, used: 0, bytes: 0 }
    this.#full = this.#full.filter(({ stream }) => stream !== dropped)
    this.#fullBytes = this.#full.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Removes the file. Called on every path. */
  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
    if (this.#isNamed) await unlink(this.#path)
    this.#isNamed = false
  }

  async #open(): Promise<FileHandle> {
    const handle = await open(this.#path, 'wx+', 0o600)
    // Windows keeps the name of a file that is open; there it goes when the file is closed.
    this.#isNamed = await unlink(this.#path).then(
      () => false,
      () => true
    )
    return handle
  }

  async #read(page: Page): Promise<Buffer> {
    if (Buffer.isBuffer(page)) return page
    const bytes = Buffer.allocUnsafe(page.bytes)
    try {
      let done = 0
      while (done < page.bytes) {
        const from = page.at + done
        const { bytesRead } = (await this.#handle?.read(bytes, done, page.bytes - done, from)) ?? {}
        if (!bytesRead) throw Object.assign(new Error('a temporary file is cut'), { code: 'EIO' })
        done += bytesRead
      }
    } catch (error) {
      throw ioFailed(error, 'import')
    }
    return bytes
  }

  #stream(id: number): Stream {
    // Made by `stream`, which gave the id.
    return this.#streams[id] as Stream
  }

  #seal(stream: Stream): void {
    if (stream.page === undefined) return
    const page = stream.page.subarray(0, stream.used)
    const index = stream.pages.push(page) - 1
    const bytes = stream.page.length
    this.#full.push({ stream, index, bytes })
    this.#fullBytes += bytes
    stream.page = undefined
    stream.used = 0
  }
}

const LF = 10

function linesOf(page: Buffer): string[] {
  const lines = page.toString('utf8').split('\n')
  // Each line ends with a newline, so behind the last one nothing follows.
  lines.pop()
  return lines
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}
