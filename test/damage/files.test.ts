/** Bits flipped in LevelDB's own files: what is read is what was written, or somebody is told. */
import { stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { run } from '../support/child.ts'
import { copyStore, filesOf, flipFile, logOf, tablesOf } from '../support/raw.ts'
import { sampleStore } from '../support/sample.ts'

const FLIPS = 6

test('a bit flipped in a table file of the log is told, or harmless', async () => {
  const outcomes = await flipMany(async (directory) => logOf(directory), '.ldb')

  expect(outcomes.filter(isAllowed)).toEqual(outcomes)
  expect(outcomes).toContainEqual(expect.stringMatching(/^(told|refused LOG_DAMAGED)/))
})

test('a bit flipped in a table file of the tables is told, healed or harmless', async () => {
  const outcomes = await flipMany(tablesOf, '.ldb')

  expect(outcomes.filter(isAllowed)).toEqual(outcomes)
  expect(outcomes).toContainEqual(expect.stringMatching(/^(told|healed)/))
})

test('a bit flipped in the list of files of the tables is told, healed or harmless', async () => {
  const outcomes = await flipMany(tablesOf, '')

  expect(outcomes.filter(isAllowed)).toEqual(outcomes)
})

/** Each flip in a copy of its own, examined by a process of its own. */
async function flipMany(
  where: (directory: string) => Promise<string>,
  end: string
): Promise<string[]> {
  const { directory, before } = await sampleStore()
  const flip = async (part: number): Promise<string> => {
    const copy = await copyStore(directory, `copy-${part}`)
    const files = await filesOf(await where(copy), end)
    const file = end === '' ? files.find((path) => path.includes('MANIFEST')) : files[0]
    if (file === undefined) throw new Error('There is no such file')
    const { size } = await stat(file)
    await flipFile(file, Math.floor((size * part) / FLIPS))
    const { lines, signal } = await run('damage/examine.mjs', [copy, before.stateHash])
    // LevelDB checks its assertions and ends the process: rude, but nothing wrong was read.
    return signal === null ? String(lines[0]?.['outcome']) : `died of ${signal}`
  }
  const outcomes: string[] = []
  for (let part = 0; part < FLIPS; part += 2) {
    outcomes.push(...(await Promise.all([flip(part), flip(part + 1)])))
  }
  return outcomes
}

function isAllowed(outcome: string): boolean {
  return /^(told|healed|harmless|refused (LOG|STORE|TABLES)_DAMAGED|died of SIGABRT)/.test(outcome)
}
