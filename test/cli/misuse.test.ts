/** What makes no sense is refused with exit code 2, before anything is done; damage exits with 1. */
import { existsSync } from 'node:fs'
import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { attach, open, readTelemetry, repair } from 'sutra-storage'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Ran, sutra } from '../support/sutra.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'

let store = ''
let file = ''

beforeAll(async () => {
  store = await lastingPath()
  file = await lastingPath('records.jsonl')
  const good = '{"kind":"concept","key":"a","content":"A"}'
  await writeFile(file, `${good}\nnonsense\n`)
  await using made = await open(store)
  await made.learn({ id: { key: 'a' }, content: 'A' })
})

const COMMANDS = [
  ['import', 'x.jsonl'],
  ['export', '--out', '-'],
  ['get', 'a'],
  ['neighbors', 'a'],
  ['path', 'a', 'a'],
  ['search', '--like', 'a'],
  ['events'],
  ['stats'],
  ['metrics'],
  ['telemetry'],
  ['vectors', 'check'],
  ['verify'],
  ['repair'],
  ['rebuild'],
  ['migrate', '--no-backup'],
  ['backup', 'b'],
  ['restore', 'b']
]

describe('misuse', () => {
  test('an import of files that are not there makes no store', async () => {
    const missing = join(store, '..', 'missing')
    const sources = [['missing.jsonl'], [file, 'missing.jsonl'], [file, store], [join(file, 'x')]]
    const imports = sources.map((files) => ['import', ...files, '--dir', missing])

    for (const [args, run] of await each(imports)) {
      expect(run, args.join(' ')).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/^sutra: .*\(IMPORT_SOURCE_INVALID\)$/m)
      })
      expect(existsSync(missing), args.join(' ')).toBe(false)
    }
  })

  test('an import that cannot begin is refused and learns nothing', async () => {
    const cases = [
      ['-', '--format', 'parquet'],
      [file, '--reject-file', file],
      [file, '--reject-file', join('missing', 'rejects.jsonl')],
      [file, '--reject-file', store],
      [file, '--delimiter', 'ab'],
      [file, '--column', 'name'],
      [file, '--prefix', 'name'],
      [file, '--resume-key', '']
    ]
    const refused = cases.map((args, at) => {
      return ['import', ...args, '--dir', join(store, '..', `refused-${at}`)]
    })

    for (const [args, run] of await each(refused)) {
      const directory = args.at(-1) ?? ''
      expect(run.code, args.join(' ')).not.toBe(0)
      expect(run, args.join(' ')).toMatchObject({
        stdout: '',
        stderr: expect.stringMatching(/^sutra: /)
      })
      if (!existsSync(directory)) continue
      await using made = await open(directory, { readOnly: true })
      expect((await made.counts()).concepts, args.join(' ')).toBe(0)
    }
  })

  test('an empty path, of a variable that was never set perhaps', async () => {
    const empty = [
      ...COMMANDS.map((command) => [...command, '--dir', '']),
      ...[
        ['backup', ''],
        ['restore', ''],
        ['import', '']
      ].map((one) => [...one, '--dir', store]),
      ['export', '--out', '', '--dir', store],
      ['migrate', '--backup', '', '--dir', store],
      ['import', file, '--reject-file', '', '--dir', store],
      ['search', 'a', '--embed', '', '--dir', store],
      ['verify', '--backup', '']
    ]
    for (const [args, run] of await each(empty)) {
      expect(run, args.join(' ')).toMatchObject({ code: 2, stdout: '' })
      expect(run.stderr, args.join(' ')).toContain('Expected a path.')
    }
  })

  test('numbers that are no plain decimal ones', async () => {
    const options = [
      ['restore', 'b', '--to-position'],
      ['events', '--from'],
      ['events', '--last'],
      ['neighbors', 'a', '--limit'],
      ['neighbors', 'a', '--min-strength'],
      ['search', '--like', 'a', '--ef'],
      ['search', '--like', 'a', '--recall'],
      ['stats', '--watch', '--interval']
    ]
    const numbers = ['1e1', '0x10', ' 1', '', 'Infinity', '1_0', '0b1']
    const runs = options.flatMap((option, i) => {
      // Each option with some of them, each of them with some option.
      return numbers
        .filter((_, j) => (i + j) % 3 === 0)
        .map((number) => [...option, number, '--dir', store])
    })
    for (const [args, run] of await each(runs)) {
      expect(run, args.join(' ')).toMatchObject({ code: 2, stdout: '' })
    }
    // The store says which part it is, as for every part that it refuses.
    const weighted = ['search', '--like', 'a', '--weight', 'strength=1e1', '--dir', store]
    expect(await sutra(...weighted)).toMatchObject({ code: 2, stdout: '' })
  })

  test('a migration with a backup and with none', async () => {
    const ways = [
      ['--backup', 'b', '--no-backup'],
      ['--no-backup', '--backup', 'b']
    ]
    for (const [args, run] of await each(ways.map((way) => ['migrate', ...way, '--dir', store]))) {
      expect(run, args.join(' ')).toMatchObject({ code: 2, stdout: '' })
    }
  })
})

describe('a failure', () => {
  test('says its code once', async () => {
    const { code, stderr } = await sutra('import', file, '--strict', '--dir', await temporaryPath())

    expect(code).toBe(1)
    expect(stderr.match(/IMPORT_LINE_INVALID/g)).toHaveLength(1)
  })

  test('of a file in the place of a store is no error of the system', async () => {
    const following = [
      ['telemetry', '--follow'],
      ['events', '--follow'],
      ['stats', '--watch']
    ]
    const commands = [...COMMANDS.slice(1, -1), ...following]
    for (const [args, run] of await each(commands.map((one) => [...one, '--dir', file]))) {
      expect(run, args.join(' ')).toMatchObject({ code: 1, stdout: '' })
      expect(run.stderr, args.join(' ')).toMatch(/\(NOT_A_STORE\)\n$/)
    }
    const refused = { name: 'StoreError', code: 'NOT_A_STORE' }
    await expect(attach(file)).rejects.toMatchObject(refused)
    await expect(repair(file)).rejects.toMatchObject(refused)
    const reading = readTelemetry(file)[Symbol.asyncIterator]().next()
    await expect(reading).rejects.toMatchObject(refused)
  })

  test.each(['HEAD', 'FORMAT', 'log/CURRENT'])(
    'a dry run of repair finds that %s is lost, and exits as verify does',
    async (lost) => {
      const directory = await temporaryPath()
      await cp(store, directory, { recursive: true })
      const whole = await sutra('repair', '--dry-run', '--dir', directory)
      expect(whole).toMatchObject({ code: 0, stderr: '' })
      expect(whole.stdout).toContain('The log is whole')
      await rm(join(directory, lost))
      const names = await readdir(directory, { recursive: true })

      const dry = await sutra('repair', '--dry-run', '--dir', directory, '--json')
      const told = await sutra('repair', '--dry-run', '--dir', directory)

      expect(dry).toMatchObject({ code: 1, stderr: '' })
      const name = lost === 'log/CURRENT' ? 'log' : lost
      expect(JSON.parse(dry.stdout)).toMatchObject({ changed: false, files: [{ file: name }] })
      expect(told.code).toBe(1)
      expect(told.stdout).toContain('The log is damaged')
      expect(await readdir(directory, { recursive: true })).toEqual(names)
      expect((await sutra('repair', '--dir', directory)).code).toBe(0)
      expect((await sutra('repair', '--dry-run', '--dir', directory)).code).toBe(0)
      expect((await sutra('verify', '--dir', directory)).code).toBe(0)
    }
  )
})

async function each(commands: readonly string[][]): Promise<[string[], Ran][]> {
  const runs: [string[], Ran][] = []
  for (const args of commands) runs.push([args, await sutra(...args)])
  return runs
}
