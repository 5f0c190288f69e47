/** Imports from a named pipe whose writer stays open and writes nothing more. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import type { ImportOptions, ImportRecord } from 'sutra-storage'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

const LINE = '{"kind":"concept","key":"a","content":"A"}\n'

describe.skipIf(process.platform === 'win32')('an import from a pipe that is idle', () => {
  test.each<[what: string, name: string, bytes: string | Buffer, options: ImportOptions]>([
    ['a bad line, where strict', 'a.jsonl', `${LINE}{"kind":"nope"}\n`, { strict: true }],
    ['a bad line, packed', 'a.jsonl.gz', gzipSync('{"kind":"nope"}\n'), { strict: true }],
    ['a broken gzip', 'a.jsonl.gz', 'not packed at all', {}],
    ['a broken zstd', 'a.jsonl.zst', 'not packed at all', {}],
    ['a bad header', 'a.csv', 'key,key,content\na,b,c\n', {}]
  ])('rejects at once for %s', async (_, name, bytes, options) => {
    await using temporary = await openTemporaryStore()
    const pipe = await namedPipe(name)
    pipe.write(bytes)

    const error: unknown = await temporary.store
      .import(pipe.path, options)
      .catch((thrown: unknown) => thrown)

    expect(error).toBeInstanceOf(Error)
    // What is still being read then is closed as soon as that ends.
    pipe.close()
    await expect.poll(() => openFilesOf(pipe.path)).toBe(0)
  })

  test('ends with the store', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const pipe = await namedPipe('a.jsonl')
    let imported: Promise<unknown> = Promise.resolve()
    await new Promise<void>((resolve) => {
      imported = store
        .import(pipe.path, { map: () => void resolve() })
        .catch((thrown: unknown) => thrown)
      pipe.write(LINE)
    })

    await store.close()

    expect(await imported).toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('has closed the pipe when it resolves', async () => {
    await using temporary = await openTemporaryStore()
    const pipe = await namedPipe('a.jsonl')
    // Closed only while it is read: opening waits for somebody who writes.
    const map = (record: unknown): ImportRecord => {
      pipe.close()
      // The line below, as it is.
      return record as ImportRecord
    }
    pipe.write(LINE)

    const report = await temporary.store.import(pipe.path, { map })

    expect(report).toMatchObject({ concepts: 1 })
    expect(openFilesOf(pipe.path)).toBe(0)
  })
})

interface NamedPipe {
  readonly path: string
  write(bytes: string | Buffer): void
  close(): void
}

async function namedPipe(name: string): Promise<NamedPipe> {
  const path = await temporaryPath(name)
  execFileSync('mkfifo', [path])
  // Both ends, so that opening it waits for nobody.
  const fd = openSync(path, 'r+')
  let isOpen = true
  const close = (): void => {
    if (isOpen) closeSync(fd)
    isOpen = false
  }
  onTestFinished(close)
  return { path, write: (bytes) => void writeSync(fd, Buffer.from(bytes)), close }
}

/** How often this process has a path open, where the system tells. */
function openFilesOf(path: string): number {
  if (process.platform !== 'linux') return 0
  return readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === path).length
}

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    // It was closed since the directory was read.
    return undefined
  }
}
