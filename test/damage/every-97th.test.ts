/**
 * One bit flipped at every 97th byte, and the end cut off at every 97th byte, of every file of a
 * small store: it answers as before, refuses with a code, or tells and heals. It is never wrong in
 * silence and never takes the process with it. `SUTRA_DAMAGE=all` tries every case, else a part.
 */
import { cp, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Child } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { makeSample, VECTORS } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'

const STEP = 97
const SHORT_CASES = 16
const WORKERS = 2
/** Of one case; a reader that hangs is as bad as one that dies. */
const PATIENCE_MS = 30_000
const ALL = process.env['SUTRA_DAMAGE'] === 'all'
const { seed } = new Random()

interface Case {
  number: number
  file: string
  at: number
  how: 'flip' | 'cut'
}

interface Outcome extends Case {
  outcome: string
  detail: string
}

describe('every 97th byte of every file', () => {
  for (const kind of ['flushed', 'unflushed'] as const) {
    test(`of a store whose logs are ${kind}, seed: ${seed}`, { timeout: 3_600_000 }, async () => {
      const { store, scratch } = await sample(kind)
      const answers = await answersOf(store, scratch)
      const every = await casesOf(store)
      const cases = ALL ? every : new Random(seed).shuffle(every).slice(0, SHORT_CASES)

      const outcomes = await examineAll(cases, { store, scratch, answers })

      console.log(`      ${JSON.stringify(tallyOf(outcomes))}`)
      const bad = outcomes.filter(({ outcome }) => !/^(same|healed|told|refused)$/.test(outcome))
      expect(bad.map(show)).toEqual([])
      expect(outcomes).toHaveLength(cases.length)
      // Were the damage not done, all would be the same.
      expect(new Set(outcomes.map(({ outcome }) => outcome)).size).toBeGreaterThan(1)
    })
  }
})

/** As it is closed, or as a process leaves it that dies once everything is acknowledged. */
async function sample(kind: 'flushed' | 'unflushed'): Promise<{ store: string; scratch: string }> {
  const made = await temporaryPath('made')
  await makeSample(made)
  const store = await temporaryPath('store')
  const scratch = await temporaryPath('scratch')
  const own = (path: string): boolean => !path.includes('OWNER')
  if (kind === 'flushed') {
    await cp(made, store, { recursive: true })
    return { store, scratch }
  }
  await using writing = await open(made, VECTORS)
  for (let n = 1; n <= 20; n++) {
    const embedding = Array.from({ length: 8 }, (_, i) => Math.sin(n + i))
    await writing.learn({ id: { key: `late${n}` }, type: 'odd', content: `Late ${n}`, embedding })
    await writing.associate({ source: { key: `late${n}` }, target: { key: 'k1' }, type: 'late' })
  }
  await writing.caughtUp()
  await cp(made, store, { recursive: true, filter: own })
  return { store, scratch }
}

/** Asked of a copy, in a process of its own: the same way as of the damaged ones. */
async function answersOf(store: string, scratch: string): Promise<unknown> {
  const copy = join(scratch, 'whole')
  await cp(store, copy, { recursive: true })
  const child = new Child('damage/answer.mjs', [copy])
  const { lines, stderr } = await child.ended
  expect(lines[0], stderr).toMatchObject({ told: [] })
  expect(lines[0]).not.toHaveProperty('error')
  return lines[0]?.['answers']
}

async function casesOf(store: string): Promise<Case[]> {
  const cases: Case[] = []
  const entries = await readdir(store, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name)
    const { size } = await stat(path)
    for (let at = 0; at < size; at += STEP) {
      const file = path.slice(store.length + 1)
      for (const how of ['flip', 'cut'] as const)
        cases.push({ number: cases.length, file, at, how })
    }
  }
  return cases
}

interface Work {
  store: string
  scratch: string
  answers: unknown
}

async function examineAll(cases: readonly Case[], work: Work): Promise<Outcome[]> {
  const share = Math.ceil(cases.length / WORKERS)
  const parts = Array.from({ length: WORKERS }, (_, i) => cases.slice(i * share, (i + 1) * share))
  return (await Promise.all(parts.map(async (part) => examine(part, work)))).flat()
}

/** Many cases to a process. One that dies is found out, and the rest goes on in another. */
async function examine(cases: readonly Case[], work: Work): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  let rest = cases
  while (rest.length > 0) {
    const list = join(work.scratch, `work-${rest[0]?.number}-${rest.length}.json`)
    await writeFile(list, JSON.stringify({ ...work, cases: rest }))
    const child = new Child('damage/every-97th.mjs', [list])
    const watch = watchdog(child)
    const { lines, signal, code, stderr } = await child.ended
    clearInterval(watch)
    const done = lines.filter((line) => 'outcome' in line)
    for (const [at, { outcome, wrong, told, error }] of done.entries()) {
      const of = rest[at]
      if (of === undefined) throw new Error('More outcomes than cases')
      outcomes.push({
        ...of,
        outcome: String(outcome),
        detail: JSON.stringify({ wrong, told, error })
      })
    }
    const broken = rest[done.length]
    if (broken === undefined) break
    const detail = `${signal ?? code} ${stderr.slice(-300)}`
    outcomes.push({ ...broken, outcome: signal === 'SIGTERM' ? 'hung' : 'died', detail })
    rest = rest.slice(done.length + 1)
  }
  return outcomes
}

function watchdog(child: Child): NodeJS.Timeout {
  let seen = 0
  let since = Date.now()
  return setInterval(() => {
    if (child.lines.length !== seen) {
      seen = child.lines.length
      since = Date.now()
    } else if (Date.now() - since > PATIENCE_MS) child.process.kill('SIGTERM')
  }, 500)
}

function tallyOf(outcomes: readonly Outcome[]): Record<string, number> {
  const tally: Record<string, number> = { cases: outcomes.length }
  for (const { outcome } of outcomes) tally[outcome] = (tally[outcome] ?? 0) + 1
  return tally
}

function show({ outcome, how, file, at, detail }: Outcome): string {
  return `${outcome}: ${how} ${file} at ${at}: ${detail}`
}
