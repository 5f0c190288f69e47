import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import zlib from 'node:zlib'
import { type Command, open } from 'sutra-storage'
import { beforeAll, describe, expect, test } from 'vitest'
import { lastingPath, temporaryPath } from '../support/temp.ts'

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname
const LINES = [
  '{"kind":"concept","key":"a","type":"word","content":"A"}',
  '{"kind":"concept","key":"b","content":"B","metadata":{"n":1}}',
  '{"kind":"association","sourceKey":"a","targetKey":"b","type":"to"}',
  ''
]

let dir: string

beforeAll(async () => {
  dir = await lastingPath()
  const store = await open(dir)
  await store.learn({ id: { key: 'a' }, type: 'word', content: 'A' })
  await store.learn({ id: { key: 'b' }, content: 'B', metadata: { n: 1 } })
  await store.associate({ source: { key: 'a' }, target: { key: 'b' }, type: 'to' })
  await store.close()
})

describe('sutra export', () => {
  test('writes a file that an import takes back, and reports', async () => {
    const out = await temporaryPath('all.jsonl')
    const run = await sutra('export', '--dir', dir, '--out', out, '--json')

    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(await readFile(out, 'utf8')).toBe(LINES.join('\n'))
    expect(JSON.parse(run.stdout)).toEqual({
      ...{ file: out, format: 'jsonl', position: 3, concepts: 2, associations: 1 },
      ...{ bytes: LINES.join('\n').length, seconds: expect.any(Number) }
    })
  })

  test('compresses by extension, or when told to', async () => {
    const named = await temporaryPath('all.jsonl.gz')
    const told = await temporaryPath('all')

    await sutra('export', '--dir', dir, '--out', named)
    const run = await sutra('export', '--dir', dir, '--out', told, '--gzip')

    expect(run.stdout).toContain('2 concepts and 1 association exported')
    for (const path of [named, told]) {
      expect(zlib.gunzipSync(await readFile(path)).toString()).toBe(LINES.join('\n'))
    }
  })

  test('writes to standard output and nothing else', async () => {
    const run = await sutra('export', '--dir', dir, '--out', '-', '--no-associations')

    expect(run).toEqual({ code: 0, stderr: '', stdout: `${LINES.slice(0, 2).join('\n')}\n` })
  })

  test('exports one type alone', async () => {
    const run = await sutra('export', '--dir', dir, '--out', '-', '--type', 'word')

    expect(run.stdout).toBe(`${LINES[0]}\n`)
  })

  test.each([
    ['--json beside standard output', ['--out', '-', '--json'], 2],
    ['a compressed Parquet file', ['--out', 'x.parquet.gz'], 2],
    ['an unknown format', ['--out', 'x', '--format', 'xml'], 2],
    ['an unknown ending', ['--out', 'x.xlsx'], 2],
    ['an unknown ending, packed', ['--out', 'x.txt.gz'], 2],
    ['a name of a directory', ['--out', join('missing', '/')], 2],
    ['a directory that is not there', ['--out', join('missing', 'x.jsonl')], 1]
  ])('refuses %s', async (_, args, code) => {
    const run = await sutra('export', '--dir', dir, ...args)

    expect(run).toMatchObject({ code, stdout: '' })
  })

  test('says so where this Node has no zstd, and leaves nothing behind', async () => {
    const out = await temporaryPath('all.jsonl.zst')
    const run = await sutra('export', '--dir', dir, '--out', out)

    if ('createZstdCompress' in zlib) {
      expect(run.code).toBe(0)
    } else {
      expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('UNSUPPORTED') })
      expect(readdirSync(dirname(out))).toEqual([])
    }
  })

  test('that is interrupted keeps the file that was there and leaves no other', async () => {
    const large = await temporaryPath()
    const store = await open(large)
    for (let part = 0; part < 50; part++) {
      const commands = Array.from(
        { length: 1000 },
        (_, i): Command => ({ do: 'learn', content: `number ${part * 1000 + i}` })
      )
      await store.commit(commands, { durability: 'os' })
    }
    await store.close()
    const out = await temporaryPath('all.jsonl.gz')
    await writeFile(out, 'older')

    const child = start('export', '--dir', large, '--out', out)
    const exited = once(child, 'exit')
    const hasBegun = () => readdirSync(dirname(out)).some((name) => name.endsWith('.partial'))
    while (!hasBegun() && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    child.kill('SIGINT')
    const [code] = await exited

    // It may have been through by then.
    expect([0, 130]).toContain(code)
    expect(readdirSync(dirname(out))).toEqual(['all.jsonl.gz'])
    if (code === 130) expect(await readFile(out, 'utf8')).toBe('older')
  })
})

function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  return child
}

async function sutra(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = start(...args)
  const exited = once(child, 'exit')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await exited
  return { code: code as number, stdout, stderr }
}
