import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { ConceptId } from 'sutra-storage'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { sutra } from '../support/sutra.ts'

let home: string
let dir: string

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'sutra-cli-'))
  dir = join(home, 'store')
  await writeFile(join(home, 'graph.jsonl'), GRAPH.map((one) => JSON.stringify(one)).join('\n'))
  await writeFile(join(home, 'embed.mjs'), EMBED_MODULE)
  await sutra('import', join(home, 'graph.jsonl'), '--dir', dir, '--dimensions', '2')
})
afterAll(async () => {
  await rm(home, { recursive: true })
})

describe('sutra import', () => {
  test('creates a store, reports what it did and what it rejected', async () => {
    const run = await sutra(
      ...['import', join(home, 'graph.jsonl'), '--dir', join(home, 'other')],
      ...['--dimensions', '2', '--json']
    )

    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(run.stdout)).toMatchObject({
      records: 6,
      concepts: 3,
      associations: 2,
      rejectedCount: 1,
      rejected: [{ line: 6, reason: expect.stringContaining('CONCEPT_NOT_FOUND') }]
    })
  })

  test('tells people the same', async () => {
    const run = await sutra(
      ...['import', join(home, 'graph.jsonl'), '--dir', join(home, 'told')],
      ...['--dimensions', '2']
    )

    expect(run.stdout).toContain('3 concepts and 2 associations imported')
    expect(run.stdout).toContain('1 line rejected')
    expectToFit(run.stdout)
  })

  test('reads standard input', async () => {
    const args = ['import', '-', '--dir', join(home, 'piped'), '--json']

    const run = await sutraWith({ stdin: '{"kind":"concept","key":"a","content":"A"}\n' }, args)

    expect(run.code).toBe(0)
    expect(JSON.parse(run.stdout)).toMatchObject({ concepts: 1, rejectedCount: 0 })
  })

  test('fails on a bad line when it is strict', async () => {
    const strict = join(home, 'strict')

    const run = await sutra(
      ...['import', join(home, 'graph.jsonl'), '--dir', strict, '--strict'],
      ...['--dimensions', '2']
    )

    expect(run.code).toBe(1)
    expect(run.stderr).toMatch(/^sutra: .*\(IMPORT_LINE_INVALID\)\n$/)
  })

  test('leaves out lines whose values are refused, and nothing else', async () => {
    const concept = { kind: 'concept', content: 'x' }
    const lines = [
      { ...concept, key: 'good' },
      { ...concept, key: 'empty', content: '' },
      { ...concept, key: 'strong', strength: 2 },
      { ...concept, key: 'long', embedding: [1, 2, 3] },
      { ...concept, key: 'zero', embedding: [0, 0] },
      { ...concept, key: 'text', embedding: ['1', '2'] },
      { ...concept, key: 'also good', embedding: [0, 1] }
    ]
    const stdin = lines.map((one) => JSON.stringify(one)).join('\n')
    const args = ['import', '-', '--dir', join(home, 'refused'), '--dimensions', '2', '--json']

    const run = await sutraWith({ stdin }, args)

    expect(run.code).toBe(0)
    const report = JSON.parse(run.stdout)
    expect(report).toMatchObject({ records: 7, concepts: 2, rejectedCount: 5 })
    expect(report.rejected.map((one: { line: number }) => one.line)).toEqual([2, 3, 4, 5, 6])
  })

  test('leaves the store as it was in a dry run', async () => {
    const tried = join(home, 'tried')
    const graph = join(home, 'graph.jsonl')
    await sutra('import', graph, '--dir', tried, '--dimensions', '2')

    const run = await sutra('import', graph, '--dir', tried, '--dry-run')

    expect(run.code).toBe(0)
    expect(run.stdout).toContain('3 concepts and 2 associations would be imported')
    const stats = JSON.parse((await sutra('stats', '--dir', tried, '--json')).stdout)
    expect(stats.position).toBe(6)
  })

  test('makes no store in a dry run', async () => {
    const missing = join(home, 'dry')

    const aside = await mkdtemp(join(home, 'aside-'))
    vi.stubEnv('TMPDIR', aside)
    const dry = ['import', join(home, 'graph.jsonl'), '--dir', missing, '--dry-run']
    const run = await sutra(...dry)
    const declared = await sutra(...dry, '--dimensions', '2', '--json')

    expect(run).toMatchObject({ code: 0, stderr: expect.stringContaining('There is no store in') })
    expect(run.stdout).toContain('would be imported')
    expect(JSON.parse(declared.stdout)).toMatchObject({ concepts: 3, associations: 2 })
    expect(existsSync(missing)).toBe(false)
    expect(await readdir(aside)).toEqual([])
    vi.unstubAllEnvs()
  })

  test.skipIf(process.platform === 'win32')('stops at Ctrl-C with nothing half done', async () => {
    const interrupted = join(home, 'interrupted')
    const child = start(['import', '-', '--dir', interrupted])
    const stdin = child.stdin
    if (stdin === null) throw new Error('The child has a standard input')
    stdin.on('error', () => undefined)
    for (let i = 0; i < 5000; i++) {
      stdin.write(`${JSON.stringify({ kind: 'concept', key: `k${i}`, content: `c ${i}` })}\n`)
    }
    await waitFor(() => existsSync(join(interrupted, 'FORMAT')))

    child.kill('SIGINT')
    const run = await end(child)

    expect(run).toMatchObject({ code: 130, stderr: 'sutra: Interrupted\n' })
    const stats = JSON.parse((await sutra('stats', '--dir', interrupted, '--json')).stdout)
    expect(stats.counts.concepts).toBe(stats.position)
  })

  test.skipIf(process.platform === 'win32')('goes on after Ctrl-C where it was', async () => {
    const interrupted = join(home, 'resumed')
    const source = join(home, 'many.jsonl')
    const lines = Array.from({ length: 30_000 }, (_, i) =>
      JSON.stringify({ kind: 'concept', key: `k${i}`, content: `c ${i}` })
    )
    await writeFile(source, lines.join('\n'))
    const args = ['import', source, '--dir', interrupted, '--resume-key', 'many']
    const child = start(args)
    await waitFor(() => existsSync(join(interrupted, 'FORMAT')))
    child.kill('SIGINT')
    const first = await end(child)
    const stats = JSON.parse((await sutra('stats', '--dir', interrupted, '--json')).stdout)

    const report = JSON.parse((await sutra(...args, '--json')).stdout)
    const again = await sutra(...args)

    expect(first).toMatchObject({ code: 130, stderr: expect.stringContaining('Interrupted') })
    expect(first.stderr).toContain('The same command will go on from here')
    expect(report).toMatchObject({ concepts: 30_000, position: 30_000 })
    expect(report.resumedFrom).toBe(stats.position)
    expect(again.stdout).toContain('An earlier run had imported all of it')
  })
})

describe('sutra get', () => {
  test('shows a concept by its key', async () => {
    const run = await sutra('get', 'dog', '--dir', dir)

    expect(run.code).toBe(0)
    expect(run.stdout).toContain('a domesticated animal that barks')
    expect(run.stdout).toContain(ConceptId.fromKey('dog'))
    expect(run.stdout).not.toContain('\u001b')
    expectToFit(run.stdout)
  })

  test('prints JSON, by id, with the vector when asked', async () => {
    const run = await sutra('get', ConceptId.fromKey('dog'), '--dir', dir, '--json', '--vector')

    expect(JSON.parse(run.stdout)).toMatchObject({
      id: ConceptId.fromKey('dog'),
      key: 'dog',
      type: 'animal',
      metadata: { lang: 'en' },
      vector: [1, 0]
    })
  })

  test('fails on a concept that is not there', async () => {
    const run = await sutra('get', 'unicorn', '--dir', dir)

    expect(run).toMatchObject({ code: 1, stdout: '' })
    expect(run.stderr).toBe("sutra: There is no concept 'unicorn' (CONCEPT_NOT_FOUND)\n")
  })
})

describe('sutra neighbors', () => {
  test('lists associations in one direction', async () => {
    const run = await sutra('neighbors', 'dog', '--dir', dir)

    expect(run.code).toBe(0)
    expect(run.stdout).toMatch(/^→ +is-a +canine +0\.50 +a family of mammals\n$/)
  })

  test('prints one JSON object a line', async () => {
    const run = await sutra('neighbors', 'canine', '--dir', dir, '--direction', 'both', '--json')

    const found = run.stdout.trim().split('\n')
    expect(found.map((one) => JSON.parse(one).other.key).toSorted()).toEqual(['animal', 'dog'])
  })

  test('fails on a concept that is not there', async () => {
    const run = await sutra('neighbors', 'unicorn', '--dir', dir)

    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('(CONCEPT_NOT_FOUND)') })
  })
})

describe('sutra path', () => {
  test('shows each step', async () => {
    const run = await sutra('path', 'dog', 'animal', '--dir', dir)

    expect(run.code).toBe(0)
    expect(run.stdout).toMatch(/dog.*\n.*→ is-a +canine.*\n.*→ is-a +animal/)
    expect(run.stdout).toContain('2 hops')
    expectToFit(run.stdout)
  })

  test('prints JSON, null where there is none', async () => {
    const there = await sutra('path', 'dog', 'animal', '--dir', dir, '--json')
    const back = await sutra('path', 'animal', 'dog', '--dir', dir, '--json')

    expect(JSON.parse(there.stdout).keys).toEqual(['dog', 'canine', 'animal'])
    expect(back).toMatchObject({ code: 0, stdout: 'null\n' })
  })
})

describe('sutra search', () => {
  test('finds what is near a vector', async () => {
    const run = await sutra('search', '--vector', '[0.9, 0.1]', '--dir', dir, '--limit', '2')

    expect(run.code).toBe(0)
    expect(run.stdout).toMatch(/^\d\.\d\d {2}dog .*\n\d\.\d\d {2}canine .*\n$/)
  })

  test('finds what is near a vector of a file, and near a concept', async () => {
    const file = join(home, 'vector.json')
    await writeFile(file, '[0, 1]')

    const byFile = await sutra('search', '--vector', file, '--dir', dir, '-k', '1', '--json')
    const byKey = await sutra('search', '--like', 'animal', '--dir', dir, '--json')

    expect(JSON.parse(byFile.stdout)).toMatchObject({ key: 'animal', similarity: 1 })
    expect(byKey.stdout.trim().split('\n').length).toBeGreaterThan(0)
  })

  test('finds what a text means, by the module that embeds it', async () => {
    const module = join(home, 'embed.mjs')

    const run = await sutra('search', 'bark', '--embed', module, '--dir', dir, '-k', '1', '--json')

    expect(run).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(run.stdout)).toMatchObject({ key: 'dog' })
  })

  test.each([
    ['a text without a module', ['bark'], '--embed'],
    ['nothing to search', [], 'one of'],
    ['two things to search', ['bark', '--like', 'dog'], 'one of'],
    ['a vector that is none', ['--vector', '["x"]'], 'JSON array of numbers'],
    ['a module that is not there', ['bark', '--embed', 'missing.mjs'], 'cannot be loaded']
  ])('refuses %s', async (_, args, reason) => {
    const run = await sutra('search', ...args, '--dir', dir)

    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).toContain(reason)
  })
})

describe('sutra events', () => {
  test('prints the log in order', async () => {
    const run = await sutra('events', '--dir', dir, '--json')

    const events = run.stdout.trim().split('\n')
    const positions = events.map((one) => JSON.parse(one).position)
    expect(positions).toEqual(Array.from({ length: 6 }, (_, i) => i + 1))
  })

  test('prints what was asked for', async () => {
    const run = await sutra('events', '--dir', dir, '--type', 'concept-learned', '--to', '3')

    expect(run.stdout.trim().split('\n')).toHaveLength(2)
    expect(run.stdout).toContain('dog  a domesticated animal')
    expectToFit(run.stdout)
  })

  test('takes 0 for the beginning, as the API does', async () => {
    const [zero, one] = [
      await sutra('events', '--dir', dir, '--json', '--from', '0'),
      await sutra('events', '--dir', dir, '--json', '--from', '1')
    ]
    expect(zero).toMatchObject({ code: 0, stdout: one.stdout })
  })

  test.each([
    [['--types', 'nonsense'], 'concept-learned, concept-reinforced'],
    [['--type', 'concept-learned', '--type', 'concept-learnt'], "'concept-learnt' is none of"],
    [['--types', ','], '--types'],
    [['--to', '0'], '--to'],
    [['--from', '3', '--to', '2'], '--from']
  ])('refuses %j', async (args, reason) => {
    const run = await sutra('events', '--dir', dir, ...args)
    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).toContain(reason)
  })

  test.skipIf(process.platform === 'win32')('follows until Ctrl-C', async () => {
    const child = start(['events', '--dir', dir, '--json', '--follow'])
    if (child.stdout === null) throw new Error('The child has a standard output')
    await once(child.stdout, 'data')

    child.kill('SIGINT')

    expect((await end(child)).code).toBe(130)
  })
})

test('sutra ends quietly when the reader of its output goes away', async () => {
  const many = join(home, 'many')
  const lines = Array.from({ length: 20_000 }, (_, i) => {
    return JSON.stringify({ kind: 'concept', key: `k${i}`, content: `concept ${i}` })
  })
  await sutraWith({ stdin: lines.join('\n') }, ['import', '-', '--dir', many])
  const child = start(['events', '--dir', many, '--json'])
  if (child.stdout === null) throw new Error('The child has a standard output')

  await once(child.stdout, 'data')
  child.stdout.destroy()

  const [code] = await once(child, 'close')
  expect(code).toBe(0)
})

test('sutra stats shows counts', async () => {
  const people = await sutra('stats', '--dir', dir)
  const json = await sutra('stats', '--dir', dir, '--json')

  expect(people.code).toBe(0)
  expect(people.stdout).toMatch(/concepts +3\n/)
  expectToFit(people.stdout)
  expect(JSON.parse(json.stdout)).toMatchObject({
    position: 6,
    counts: { concepts: 3, associations: 2, vectors: 3 }
  })
})

test('sutra verify finds a sound store whole', async () => {
  const run = await sutra('verify', '--dir', dir)

  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(run.stdout).toContain('The store is whole')
  expectToFit(run.stdout)
})

test('sutra rebuild makes the same store again', async () => {
  const run = await sutra('rebuild', '--dir', dir)

  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(run.stdout).toContain('Rebuilt')
  expect((await sutra('get', 'dog', '--dir', dir)).code).toBe(0)
})

describe('sutra is told apart from misuse by its exit code', () => {
  test.each([
    ['no command', []],
    ['an unknown command', ['fly', '--dir', 'x']],
    ['no directory', ['get', 'dog']],
    ['no argument', ['get', '--dir', 'x']],
    ['an unknown option', ['get', 'dog', '--dir', 'x', '--fast']],
    ['a limit that is no number', ['neighbors', 'dog', '--dir', 'x', '--limit', 'many']],
    ['a direction that is none', ['path', 'a', 'b', '--dir', 'x', '--direction', 'up']]
  ])('2 for %s', async (_, args) => {
    const run = await sutra(...args)

    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).not.toBe('')
    expect(run.stderr).not.toMatch(/\n {4}at /)
  })

  test('1 for a store that is not there, which is not made', async () => {
    const missing = join(home, 'missing')

    const run = await sutra('stats', '--dir', missing)

    expect(run).toMatchObject({ code: 1, stdout: '' })
    expect(run.stderr).toMatch(/^sutra: .*\(STORE_NOT_FOUND\)\n$/)
    expect(existsSync(missing)).toBe(false)
  })

  test('0 for help and version', async () => {
    expect(await sutra('--help')).toMatchObject({ code: 0, stderr: '' })
    expect(await sutra('path', '--help')).toMatchObject({ code: 0, stderr: '' })
    expect((await sutra('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('with a stack trace only for those who ask', async () => {
    const args = ['stats', '--dir', join(home, 'missing')]

    const run = await sutraWith({ environment: { SUTRA_DEBUG: '1' } }, args)

    expect(run.stderr).toMatch(/\n {4}at /)
  })
})

const GRAPH = [
  {
    kind: 'concept',
    key: 'dog',
    type: 'animal',
    content: 'a domesticated animal that barks',
    metadata: { lang: 'en' },
    embedding: [1, 0]
  },
  { kind: 'concept', key: 'canine', content: 'a family of mammals', embedding: [1, 1] },
  { kind: 'concept', key: 'animal', content: 'a living thing that moves', embedding: [0, 1] },
  { kind: 'association', sourceKey: 'dog', targetKey: 'canine', type: 'is-a', strength: 0.5 },
  { kind: 'association', sourceKey: 'canine', targetKey: 'animal', type: 'is-a' },
  { kind: 'association', sourceKey: 'dog', targetKey: 'unicorn', type: 'is-a' }
]

const EMBED_MODULE = `
export async function createEmbed({ directory }) {
  if (typeof directory !== 'string') throw new Error('no directory')
  return async (texts) => texts.map((text) => Float32Array.of(text === 'bark' ? 1 : 0, 0.1))
}
`

interface Run {
  code: number
  stdout: string
  stderr: string
}

async function sutraWith(
  options: { stdin?: string; environment?: NodeJS.ProcessEnv },
  args: string[]
): Promise<Run> {
  const child = start(args, options.environment)
  // A command that reads nothing may be gone before its input is written.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(options.stdin ?? '')
  return end(child)
}

function start(args: string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  const env = { ...process.env, ...environment }
  return spawn(process.execPath, ['dist/cli/main.js', ...args], { env })
}

async function end(child: ChildProcess): Promise<Run> {
  if (child.stdout === null || child.stderr === null) throw new Error('The child has its output')
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close')
  ])
  return { code, stdout, stderr }
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}

function expectToFit(stdout: string): void {
  for (const line of stdout.split('\n')) expect([...line].length).toBeLessThanOrEqual(80)
}
