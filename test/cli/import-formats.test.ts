import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { open } from 'sutra-storage'
import { expect, test } from 'vitest'
import { temporaryPath } from '../support/temp.ts'

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname

test('sutra import takes a table without names of columns', async () => {
  const file = await temporaryPath('words.txt')
  await writeFile(file, "1\t'one\tand more'\n2\ttwo\n")
  const dir = await temporaryPath()

  const run = await sutra(
    ...['import', file, '--dir', dir, '--format', 'csv', '--delimiter', '\\t', '--quote', "'"],
    ...['--no-header', '--column', '1=key', '--column', '2=content', '--json']
  )

  expect(run).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(run.stdout)).toMatchObject({ concepts: 2, rejectedCount: 0 })
  await using store = await open(dir)
  expect(await store.get({ key: '1' })).toMatchObject({ content: 'one\tand more' })
})

test('sutra import takes triples with prefixes and languages', async () => {
  const file = await temporaryPath('words.nt')
  const label = '<http://www.w3.org/2000/01/rdf-schema#label>'
  await writeFile(file, `<urn:w:1> ${label} "one"@en .\n<urn:w:1> ${label} "eins"@de .\n`)
  const dir = await temporaryPath()

  const run = await sutra(
    ...['import', file, '--dir', dir, '--prefix', 'w=urn:w:', '--language', 'de', '--json']
  )

  expect(run).toMatchObject({ code: 0, stderr: '' })
  await using store = await open(dir)
  expect(await store.get({ key: 'w:1' })).toMatchObject({ content: 'eins' })
})

test('sutra import refuses a column without a field', async () => {
  const run = await sutra('import', 'x.csv', '--dir', await temporaryPath(), '--column', 'a')

  expect(run).toMatchObject({ code: 2, stderr: expect.stringMatching(/--column takes two names/) })
})

async function sutra(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close')
  ])
  return { code: Number(code), stdout, stderr }
}
