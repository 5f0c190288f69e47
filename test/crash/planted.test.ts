/**
 * Each harness proves that it can fail: bugs are planted into a private copy of the built package,
 * and the harness that must catch each is run against it. `SUTRA_PLANTED=all` plants all of them.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryPath } from '../support/temp.ts'
import { BUGS, type Bug } from './bugs.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const ALL = process.env['SUTRA_PLANTED'] === 'all'
const chosen = ALL ? BUGS : BUGS.filter(({ quick }) => quick === true).slice(0, 2)

const BROKEN = /^(Error: Command failed|ReferenceError|SyntaxError)|is not (defined|a function)/

const PATIENCE = { timeout: 600_000 }

interface Report {
  numTotalTests: number
  numFailedTests: number
  numPassedTests: number
  testResults: { assertionResults: { status: string; failureMessages: string[] }[] }[]
}

/** Those that are planted in the long form alone must not fall out of step with the source. */
test.for(BUGS)('there is one place for $name', async (bug) => {
  await placeOf(join(ROOT, 'build', bug.file), bug)
})

/** Of a harness that fails anyway nothing is proved: each must pass where nothing is planted. */
const controls = new Map(chosen.map((bug) => [`${bug.harness} ${bug.only ?? ''}`, bug]))

test.for([...controls.values()])('$harness passes as it is', PATIENCE, async (bug) => {
  const report = await run(await copyPackage(), bug)

  expect(report).toMatchObject({ numFailedTests: 0, numPassedTests: expect.any(Number) })
  expect(report.numPassedTests, 'a harness that is skipped here proves nothing').toBeGreaterThan(0)
})

test.for(chosen)('$name is caught by $harness', PATIENCE, async (bug) => {
  const copy = await copyPackage()
  await plant(join(copy, 'dist', bug.file), bug)

  const report = await run(copy, bug)

  const failures = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .flatMap(({ failureMessages }) => failureMessages)
  console.log(`      ${bug.name}: ${failures[0]?.split('\n')[0]?.slice(0, 140)}`)
  expect(report.numTotalTests, 'the harness ran').toBeGreaterThan(0)
  // One that was planted badly ends in an error of its own, and what fails then caught nothing.
  const caught = failures.filter((message) => !BROKEN.test(message))
  expect(caught.length, `tests that caught it, of ${failures.length} that failed`).toBeGreaterThan(
    0
  )
})

async function copyPackage(): Promise<string> {
  const copy = await temporaryPath('planted')
  await mkdir(copy, { recursive: true })
  for (const part of ['package.json', 'vitest.config.ts', 'test']) {
    await cp(join(ROOT, part), join(copy, part), { recursive: true })
  }
  // A file for each module: what is put together has the same text in other places.
  await cp(join(ROOT, 'build'), join(copy, 'dist'), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

async function plant(path: string, bug: Bug): Promise<void> {
  const text = await placeOf(path, bug)
  await writeFile(path, text.replace(bug.from, bug.to))
}

/** A replacement that does not match would plant nothing, and prove nothing. */
async function placeOf(path: string, { from, name }: Bug): Promise<string> {
  const text = await readFile(path, 'utf8')
  expect(text.match(new RegExp(from, 'g')) ?? [], `${name}: where it is planted`).toHaveLength(1)
  return text
}

async function run(copy: string, { harness, only, env }: Bug): Promise<Report> {
  const output = join(copy, 'report.json')
  const args = [
    join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    harness,
    '--typecheck.enabled=false',
    '--reporter=json',
    `--outputFile=${output}`,
    ...(only === undefined ? [] : ['--testNamePattern', only])
  ]
  await new Promise<void>((resolve) => {
    // It is meant to end with an error: the report says which.
    const options = { cwd: copy, env: { ...ownEnv(), ...env }, maxBuffer: 2 ** 26 }
    execFile(process.execPath, args, options, () => resolve())
  })
  return JSON.parse(await readFile(output, 'utf8')) as Report
}

/** This runner's own variables would make another one believe that it is a part of it. */
function ownEnv(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env)
  return Object.fromEntries(entries.filter(([name]) => !/^(VITEST|SUTRA_|NODE_OPTIONS)/.test(name)))
}
