/** `sutra search` with filters, weights and what surrounds a match; `sutra vectors check`. */
import { open } from 'sutra-storage'
import { beforeAll, describe, expect, test } from 'vitest'
import { sutra as inProcess, type Ran } from '../support/sutra.ts'
import { lastingPath } from '../support/temp.ts'

let dir: string

beforeAll(async () => {
  dir = await lastingPath()
  await using store = await open(dir, { vectors: { dimensions: 2 } })
  await store.commit([
    { do: 'learn', id: { key: 'dog' }, content: 'A dog', embedding: [1, 0], metadata: { n: 1 } },
    { do: 'learn', id: { key: 'wolf' }, content: 'A wolf', embedding: [1, 1], strength: 0.5 },
    { do: 'learn', id: { key: 'cat' }, content: 'A cat', embedding: [0, 1], metadata: { n: 3 } },
    {
      do: 'associate',
      source: { key: 'dog' },
      target: { key: 'cat' },
      type: 'chases',
      strength: 0.25
    },
    { do: 'associate', source: { key: 'wolf' }, target: { key: 'dog' }, type: 'became' }
  ])
})

describe('sutra search', () => {
  const near = ['search', '--vector', '[1, 0]']

  test('keeps to a filter', async () => {
    const { stdout } = await sutra(...near, '--where', '{"n":{"gt":0}}')

    expect(lines(stdout)).toEqual(['1.00  dog  A dog', '0.00  cat  A cat'])
  })

  test('ranks by what else is known', async () => {
    const weights = ['--weight', 'similarity=1', '--weight', 'strength=3']

    const { stdout } = await sutra(...near, ...weights)

    expect(lines(stdout)).toEqual(['1.00  dog   A dog', '0.88  cat   A cat', '0.59  wolf  A wolf'])
  })

  test('shows what the matches are associated with', async () => {
    const { stdout } = await sutra(...near, '-k', '1', '--hops', '1')
    const chosen = await sutra(...near, '-k', '1', '--hops', '1', '--type', 'chases', '--json')

    expect(lines(stdout)).toEqual([
      '1.00  dog     A dog',
      '1.00    wolf  became: A wolf',
      '0.25    cat   chases: A cat'
    ])
    expect(JSON.parse(chosen.stdout).related).toMatchObject([{ key: 'cat', hops: 1 }])
  })

  test.each([
    ['a filter that is no JSON', ['--where', '{n:1}'], '--where is not valid JSON'],
    ['a weight without a number', ['--weight', 'strength'], 'a part and a number'],
    ['a type without hops', ['--type', 'chases'], '--type goes with --hops'],
    ['two ways to choose ef', ['--ef', '9', '--recall', '1'], 'one of']
  ])('refuses %s', async (_, args, reason) => {
    const run = await sutra(...near, ...args)

    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).toContain(reason)
  })

  test.each([
    ['an unknown part', ['--weight', 'age=1'], 'score.age'],
    ['a weight that is no number', ['--weight', 'strength=much'], 'score.strength'],
    ['too many hops', ['--hops', '4'], 'expand.hops'],
    ['a filter that makes no sense', ['--where', '{"n":{"near":1}}'], 'near'],
    ['a recall nobody has measured', ['--recall', '0.9'], 'sutra vectors check']
  ])('fails on %s and names it', async (_, args, reason) => {
    const run = await sutra(...near, ...args)

    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).toContain(reason)
    expect(run.stderr).toContain('(QUERY_INVALID)')
  })
})

describe('sutra vectors check', () => {
  test('prints what it measured, and a search can then ask for a recall', async () => {
    const table = await sutra('vectors', 'check', '--sample', '2', '-k', '1')
    const json = await sutra('vectors', 'check', '--json')
    const search = await sutra('search', '--vector', '[1, 0]', '--recall', '0.9', '-k', '1')
    const stats = await sutra('stats', '--json')

    const [title, header, first] = lines(table.stdout)
    expect(table.code).toBe(0)
    expect(title).toMatch(/^2 searches for 1 in 3 vectors, at position \d+$/)
    expect(header).toMatch(/^ *ef +recall@1 +p50 +p99$/)
    expect(first).toMatch(/^ *16 +1\.0000 +[\d.]+ (µs|ms) +[\d.]+ (µs|ms)$/)
    expect(lines(table.stdout).at(-1)).toMatch(/^exact +1\.0000 /)
    expect(JSON.parse(json.stdout)).toMatchObject({ vectors: 3, sample: 3, k: 10 })
    expect(lines(search.stdout)).toEqual(['1.00  dog  A dog'])
    expect(JSON.parse(stats.stdout).vectors.recall).toEqual(JSON.parse(json.stdout))
  })

  test('fails on a sample of nothing', async () => {
    const run = await sutra('vectors', 'check', '--sample', '0')

    expect(run).toMatchObject({ code: 2, stdout: '' })
    expect(run.stderr).toContain('(QUERY_INVALID)')
  })
})

async function sutra(...args: string[]): Promise<Ran> {
  return inProcess(...args, '--dir', dir)
}

function lines(text: string): string[] {
  return text.trimEnd().split('\n')
}
