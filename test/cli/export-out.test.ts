/** What `sutra export --out` leaves in the place that it was given, whatever was there. */
import { execFile, execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs'
import { chmod, lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { open } from 'sutra-storage'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { writeOut } from '#sutra/cli/out-file.js'
import { sutra } from '../support/sutra.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname
const LINE = '{"kind":"concept","key":"a","content":"A"}\n'

let dir: string

beforeAll(async () => {
  dir = await lastingPath()
  const store = await open(dir)
  await store.learn({ id: { key: 'a' }, content: 'A' })
  await store.close()
})

describe.skipIf(process.platform === 'win32')('sutra export --out', () => {
  test('keeps the mode of the file whose place it takes', async () => {
    const out = await temporaryPath('all.jsonl')
    await writeFile(out, 'older')
    // Group and others may do what no umask leaves to a new file.
    for (const mode of [0o600, 0o666]) {
      await chmod(out, mode)

      expect(await exportTo(out)).toMatchObject({ code: 0, stderr: '' })

      expect((await stat(out)).mode & 0o777).toBe(mode)
      expect(await readFile(out, 'utf8')).toBe(LINE)
    }
  })

  test.each([
    ['to a file', 'older'],
    ['to nothing yet', undefined]
  ])('goes where a symbolic link leads: %s', async (_, before) => {
    const link = await temporaryPath('link.jsonl')
    const target = join(dirname(link), 'elsewhere', 'real.jsonl')
    await mkdir(dirname(target))
    if (before !== undefined) await writeFile(target, before)
    await symlink('between.jsonl', link)
    await symlink(join('elsewhere', 'real.jsonl'), join(dirname(link), 'between.jsonl'))

    expect(await exportTo(link)).toMatchObject({ code: 0, stderr: '' })

    expect((await lstat(link)).isSymbolicLink()).toBe(true)
    expect(await readFile(target, 'utf8')).toBe(LINE)
    expect(readdirSync(dirname(target))).toEqual(['real.jsonl'])
  })

  test('refuses links that lead nowhere, and a directory', async () => {
    const loop = await temporaryPath('loop.jsonl')
    await symlink(loop, loop)

    expect(await exportTo(loop)).toMatchObject({ code: 1, stdout: '' })
    expect(await exportTo(dirname(loop), '--format', 'jsonl')).toMatchObject({ code: 1 })

    expect(readdirSync(dirname(loop))).toEqual(['loop.jsonl'])
  })

  test('writes into a named pipe and leaves it one', async () => {
    const pipe = await namedPipe()
    const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
    onTestFinished(() => closeSync(fd))

    const run = await exportTo(pipe, '--json')

    expect(JSON.parse(run.stdout)).toMatchObject({ file: pipe, concepts: 1, bytes: LINE.length })
    const buffer = Buffer.alloc(1024)
    expect(buffer.toString('utf8', 0, readSync(fd, buffer))).toBe(LINE)
    expect((await lstat(pipe)).isFIFO()).toBe(true)
    expect(readdirSync(dirname(pipe))).toEqual(['all.jsonl'])
  })

  test('waits for a reader of a named pipe, and is called off meanwhile', async () => {
    const pipe = await namedPipe()
    const { signal } = new AbortController()

    const written = writeOut(pipe, chunks, signal)
    const { stdout } = await promisify(execFile)('cat', [pipe])

    expect(stdout).toBe(LINE)
    expect(await written).toBe(LINE.length)
    const controller = new AbortController()
    const calledOff = writeOut(pipe, chunks, controller.signal)
    controller.abort()
    await expect(calledOff).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('writes to what a shell has opened for it', async () => {
    // Both are pipes; the second is the output of the command itself, without a report in it.
    for (const redirected of ['--out /dev/fd/3 3>&1 >/dev/null', '--out /dev/fd/1']) {
      const command = `"$0" "$1" export --dir "$2" --format jsonl ${redirected} | cat`

      const run = await promisify(execFile)('sh', ['-c', command, process.execPath, MAIN, dir])

      expect(run).toEqual({ stdout: LINE, stderr: '' })
    }
  })

  test('adds to a file that a shell has opened, and leaves what stood there', async () => {
    const out = await temporaryPath('all.jsonl')
    await writeFile(out, 'older\n')
    const command = `"$0" "$1" export --dir "$2" --format jsonl --out /dev/fd/3 3>>"$3"`

    await promisify(execFile)('sh', ['-c', command, process.execPath, MAIN, dir, out])

    expect(await readFile(out, 'utf8')).toBe(`older\n${LINE}`)
  })
})

describe('two exports to one file', () => {
  test('do not write into each other, and leave one of them whole', async () => {
    const out = await temporaryPath('all.jsonl')
    const { signal } = new AbortController()
    const [first, second] = [gate(), gate()]
    const write = (content: string, { opened, begun }: Gate) =>
      writeOut(
        out,
        async function* () {
          begun()
          await opened
          yield Buffer.from(content)
        },
        signal
      )

    const writes = [write('first\n', first), write('the second\n', second)]
    await Promise.all([first.hasBegun, second.hasBegun])
    first.open()
    await writes[0]
    expect(await readFile(out, 'utf8')).toBe('first\n')
    second.open()
    await writes[1]

    expect(await readFile(out, 'utf8')).toBe('the second\n')
    expect(readdirSync(dirname(out))).toEqual(['all.jsonl'])
  })

  test('of which one fails leave the other alone', async () => {
    const out = await temporaryPath('all.jsonl')
    const { signal } = new AbortController()
    const held = gate()
    const good = writeOut(
      out,
      async function* () {
        held.begun()
        await held.opened
        yield* chunks()
      },
      signal
    )
    await held.hasBegun
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half')
      throw new Error('broken')
    }

    await expect(writeOut(out, failing, signal)).rejects.toThrow('broken')
    held.open()
    await good

    expect(await readFile(out, 'utf8')).toBe(LINE)
    expect(readdirSync(dirname(out))).toEqual(['all.jsonl'])
  })
})

async function exportTo(out: string, ...args: string[]) {
  return sutra('export', '--dir', dir, '--out', out, ...args)
}

async function namedPipe(): Promise<string> {
  const path = await temporaryPath('all.jsonl')
  execFileSync('mkfifo', [path])
  return path
}

async function* chunks(): AsyncGenerator<Uint8Array> {
  yield Buffer.from(LINE)
}

interface Gate {
  readonly hasBegun: Promise<void>
  readonly opened: Promise<void>
  begun(): void
  open(): void
}

function gate(): Gate {
  let begun = (): void => undefined
  let open = (): void => undefined
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve
  })
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { hasBegun, opened, begun, open }
}
