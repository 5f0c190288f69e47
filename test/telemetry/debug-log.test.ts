import { expect, test } from 'vitest'
import { debugLine } from '#sutra/telemetry/debug-log.js'
import { run } from '../support/child.ts'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

async function linesWith(NODE_DEBUG: string): Promise<string[]> {
  const directory = await temporaryPath('knowledge')
  const { code, stderr } = await run('telemetry/observed-child.mjs', [directory], { NODE_DEBUG })
  expect(code, stderr).toBe(0)
  return stderr.split('\n').filter((line) => line !== '')
}

test('NODE_DEBUG=sutra prints a line for each event, from the opening to the end', async () => {
  const lines = await linesWith('sutra')
  const pattern = /^SUTRA \d+: \d{4}-\d\d-\d\dT[\d:.]+Z knowledge ([a-z-]+)( [a-zA-Z]+=\S.*)?$/
  const types = lines.map((line) => pattern.exec(line)?.[1] ?? line)
  expect(types).toEqual(expect.arrayContaining(['opened', 'group-commit', 'commit', 'query']))
  expect(types.every((type) => /^[a-z-]+$/.test(type))).toBe(true)
  expect(types.at(-1)).toBe('closed')
  expect(lines.find((line) => line.includes(' query '))).toMatch(/ kind=get us=[\d.]+ results=1/)
})

test('Some kinds can be chosen, by name or by pattern', async () => {
  const lines = await linesWith('sutra:query,sutra:group-*')
  const types = lines.map((line) => line.split(' ')[4])
  expect(new Set(types)).toEqual(new Set(['query', 'group-commit']))
  expect(lines[0]).toMatch(/^SUTRA:GROUP-COMMIT \d+: /)
})

test('Without it, or with the names of others, nothing is printed', async () => {
  expect(await linesWith('')).toEqual([])
  expect(await linesWith('sutra-like')).toEqual([])
})

test('Words with spaces are quoted, parts are told in short, and a line stays one', async () => {
  const time = Date.UTC(2026, 0, 31, 12)
  const event = {
    type: 'heal-failed',
    v: 1,
    time,
    part: 'tables',
    reason: 'no\nroom left'
  } as const
  expect(debugLine('knowledge', event)).toBe(
    '2026-01-31T12:00:00.000Z knowledge heal-failed part=tables reason="no\\nroom left"'
  )
  await using temporary = await openTemporaryStore()
  const stats = temporary.store.stats()
  const line = debugLine('knowledge', { type: 'metrics', v: 1, time, stats })
  expect(line).toMatch(/ metrics position=\d+ queueDepth=\d+ .* rssBytes=\d+ diskBytes=\d+$/)
  const fields = ['a.b', 'c']
  expect(debugLine('k', { type: 'fields-indexed', v: 1, time, fields, ms: 1.23456 })).toMatch(
    / fields=a\.b,c ms=1\.235$/
  )
})
