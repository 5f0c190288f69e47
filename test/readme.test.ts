/** What README.md says is true: its examples run, its tables agree with the code, its links lead somewhere. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { open, StoreError, type StoreErrorCode } from 'sutra-storage'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withOptionsTable } from './docs/options-table.ts'

const run = promisify(execFile)
const readme = readFileSync('README.md', 'utf8')

/** A directory in which this package is installed, as in a program that uses it. */
let program: string

beforeAll(async () => {
  program = await mkdtemp(join(tmpdir(), 'sutra-readme-'))
  await mkdir(join(program, 'node_modules'))
  await symlink(resolve('.'), join(program, 'node_modules', 'sutra-storage'), 'junction')
})

afterAll(async () => {
  await rm(program, { recursive: true, force: true })
})

describe('the examples', () => {
  test('the first one prints what it says, in fifteen lines of code', async () => {
    const [code = ''] = blocks(section('Example'), 'js')

    expect(await printedBy('example.mjs', code)).toEqual(promisedBy(code))
    expect(code.split('\n').filter((line) => line.trim() !== '')).toHaveLength(15)
  })

  test('those of the API follow one another and print what they say', async () => {
    const code = blocks(section('API'), 'js').join('\n')

    expect(await printedBy('api.mjs', code)).toEqual(promisedBy(code))
    expect(promisedBy(code).length).toBeGreaterThan(10)
  })

  test('those in TypeScript stand among the tests of types, word for word', () => {
    const checked = readFileSync('test/types/readme.test-d.ts', 'utf8')
    const flat = checked.replaceAll(/^ {2}/gm, '')

    for (const code of blocks(readme, 'ts')) expect(flat).toContain(code)
  })
})

describe('the tables', () => {
  test('errors: there is one row for each code, and no other', () => {
    const rows = errorRows().map(({ code }) => code)

    expect(rows.toSorted()).toEqual(codesInSource().toSorted())
    expect(new Set(rows).size).toBe(rows.length)
  })

  test('errors: each row tells the outcome, and says Retry exactly where that may help', () => {
    const told = errorRows().map(({ code, outcome, what }) => {
      return { code, outcome, retryable: what.startsWith('Retry') }
    })

    const made = told.map(({ code }) => {
      // Outcome and whether to retry follow from the code alone, so details are not needed.
      const { outcome, retryable } = new StoreError(code, '', {} as never)
      return { code, outcome, retryable }
    })

    expect(told).toEqual(made)
  })

  test('options: the table is the one that the rules make (npm run docs)', () => {
    expect(withOptionsTable(readme)).toBe(readme)
  })

  test('each member of a store has its heading', async () => {
    const store = await open(join(program, 'members'))
    const members = membersOf(store)
    await store.close()

    const headings = Array.from(readme.matchAll(/^### .*$/gm), ([line]) => line).join('\n')
    const described = new Set(
      Array.from(headings.matchAll(/\b(?:store|reader)\.([\w$]+)/g), ([, name]) => name)
    )

    expect([...described].sort()).toEqual(members.sort())
  })
})

describe('the links', () => {
  const FILES = ['README.md', 'src/README.md', 'migrations/README.md', 'CHANGELOG.md']

  test.each(FILES)('of %s lead to files and headings that exist', (file) => {
    const text = readFileSync(file, 'utf8')
    const links = Array.from(text.matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link ?? '')

    const broken = links.filter((link) => !/^https:/.test(link) && !leadsSomewhere(file, link))

    expect(broken).toEqual([])
  })
})

/** The text below a heading of the second level, up to the next one. */
function section(title: string): string {
  const [, rest = ''] = readme.split(`\n## ${title}\n`)
  return rest.split('\n## ')[0] ?? ''
}

function blocks(text: string, language: string): string[] {
  const fences = text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))
  return Array.from(fences, ([, code]) => code ?? '')
}

function promisedBy(code: string): string[] {
  return Array.from(code.matchAll(/\/\/ prints: (.*)$/gm), ([, text]) => text ?? '')
}

async function printedBy(name: string, code: string): Promise<string[]> {
  await writeFile(join(program, name), code)
  const { stdout, stderr } = await run(process.execPath, [name], { cwd: program })
  expect(stderr).toBe('')
  return stdout.split('\n').slice(0, -1)
}

function errorRows(): { code: StoreErrorCode; outcome: string; what: string }[] {
  const rows = section('Errors').matchAll(/^\| `([A-Z_]+)` \|(.*)\|$/gm)
  return Array.from(rows, ([, code, rest = '']) => {
    const [, , outcome = '', what = ''] = rest.split('|').map((cell) => cell.trim())
    // The first test of these tables compares the codes.
    return { code: code as StoreErrorCode, outcome, what }
  })
}

/** The codes are the keys of an interface, which leaves nothing behind when compiled. */
function codesInSource(): string[] {
  const source = readFileSync('src/errors.ts', 'utf8')
  const [, body = ''] = source.split('export interface StoreErrorDetails {')
  const [keys = ''] = body.split('\n}')
  return Array.from(keys.matchAll(/^ {2}([A-Z_]+):/gm), ([, code]) => code ?? '')
}

/** Public members: those of the prototypes, which `#private` ones are not. */
function membersOf(store: object): string[] {
  const internal = ['constructor', 'pin', 'host', 'operations', 'vectorIndex', 'hold', 'letGo']
  const names = new Set<string>()
  for (let at = store; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name)
  }
  return [...names].filter((name) => !internal.includes(name))
}

function leadsSomewhere(file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? file : join(dirname(file), path)
  if (!existsSync(target)) return false
  return anchor === undefined || anchorsOf(target).includes(anchor)
}

/** As GitHub makes them: lower case, spaces to hyphens, all else but letters and digits gone. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)
  return Array.from(headings, ([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
  )
}
