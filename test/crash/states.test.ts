/**
 * Every state in which a crash may leave a store: a short life is recorded call by call, what may
 * be left at each instant is built from it, opened, and compared with what had been told by then.
 * `SUTRA_STATES` sets how many distinct ones.
 */
import { deepStrictEqual as same } from 'node:assert'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { type CrashState, Journal } from './journal.ts'
import { type Call, record, whyNotRecord } from './recording.ts'

const STATES = Number(process.env['SUTRA_STATES'] ?? 24)
/** States by chance at each instant, besides the six extremes: enough of them to choose from. */
const BY_CHANCE = Math.ceil(8 + STATES / 60)
/** Opening an index takes ten times as long, and most of what can go wrong needs none. */
const LIVES = [
  { life: 'without vectors', vectors: false, share: 0.7 },
  { life: 'with vectors', vectors: true, share: 0.3 }
]
/** Of so many states, one is verified: that takes longer than all the rest. */
const VERIFY_EACH = 10
const { seed } = new Random()

/** What had been told when the power went. */
interface Told {
  sent: number
  /** The last commit that was acknowledged as durable. */
  durable: number
  forgotten: boolean
}

describe(`every crash state, seed: ${seed}`, () => {
  test.for(LIVES)('of a life $life', { timeout: 7_200_000 }, async (life, context) => {
    const missing = whyNotRecord()
    if (missing !== undefined) return context.skip(missing)
    const { vectors, share } = life
    const root = await temporaryPath('recorded')
    const calls = await record('scripted.mjs', root, vectors ? ['vectors'] : [])
    const cases = casesOf(calls, root)
    const wanted = Math.ceil(STATES * share)
    const home = await temporaryPath('states')
    await mkdir(home, { recursive: true })
    const failures: string[] = []
    const outcome = { calls: calls.length, distinct: cases.length, states: 0, commits: 0 }

    const chosen = new Random(seed).shuffle(cases).slice(0, wanted)
    for (const [number, { state, told, at }] of chosen.entries()) {
      const directory = join(home, String(number))
      const asked = { vectors, verify: number % VERIFY_EACH === 0 }
      try {
        await state.writeTo(root, directory)
        outcome.commits += await judge(directory, told, asked)
      } catch (error) {
        const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
        const when = `behind call ${at} (${describeCall(calls[at])}), ${JSON.stringify(told)}`
        failures.push(`${when}: ${said}`)
      }
      outcome.states += 1
      await rm(directory, { recursive: true, force: true })
    }

    console.log(`      ${JSON.stringify({ ...outcome, failures: failures.length })}`)
    expect(failures).toEqual([])
    expect(outcome.states).toBe(wanted)
    // Were nothing of the life in the states, nothing of it could be missed.
    expect(outcome.commits).toBeGreaterThan(wanted)
  })
})

interface Case {
  state: CrashState
  told: Told
  /** The last call before the crash. */
  at: number
}

/** Distinct directories. Of two that are the same, the one behind which more had been told. */
function casesOf(calls: readonly Call[], root: string): Case[] {
  const random = new Random(seed)
  const journal = new Journal()
  const found = new Map<string, Case>()
  let told: Told = { sent: 0, durable: 0, forgotten: false }
  calls.forEach((call, at) => {
    journal.apply(call, at)
    if (call.do === 'tell') told = hear(told, call.line)
    for (const state of journal.states(random, BY_CHANCE)) {
      if (state.entries.has(root)) found.set(state.digest, { state, told, at })
    }
  })
  return [...found.values()]
}

function hear(told: Told, line: Record<string, unknown>): Told {
  if ('sent' in line) return { ...told, sent: Number(line['sent']) }
  if ('forgotten' in line) return { ...told, forgotten: true, durable: told.sent }
  if (line['durability'] !== 'fsync') return told
  return { ...told, durable: Number(line['acknowledged']) }
}

/** Opens it, and compares it with what had been told. @returns Commits that are there. */
async function judge(
  directory: string,
  { sent, durable, forgotten }: Told,
  { vectors, verify }: { vectors: boolean; verify: boolean }
): Promise<number> {
  const store = await open(directory)
  try {
    expectSound(store)
    const isForgotten = store.head > 1 && !(await store.has({ key: 'k1' }))
    // The declaration of vectors, three events a commit, and the forgetting.
    const others = Number(vectors) + Number(isForgotten)
    const commits = Math.max(0, (store.head - others) / 3)
    same(Number.isInteger(commits), true, `${store.head} events: a commit is half there`)
    if (commits < durable || commits > sent) throw new Error(`${commits} commits are there`)
    if (forgotten) same(isForgotten, true, 'what was forgotten is there')
    for (let n = isForgotten ? 2 : 1; n <= commits; n++) await expectWhole(store, n, vectors)
    const living = commits - Number(isForgotten)
    const counts = { concepts: living, associations: living, vectors: vectors ? living : 0 }
    const { types: _, ...found } = await store.counts()
    same(found, counts)
    if (vectors && living > 0)
      same((await store.search([1, 1, 0, 0], { k: 100 })).length, living, 'found')
    await store.learn({ id: { key: 'later' }, content: 'Later' })
    if (verify) same((await store.verify()).problems, [])
    return commits
  } finally {
    await store.close()
  }
}

/** A crash is no damage: nothing that heals it must have been needed. */
function expectSound(store: Store): void {
  const found: string[] = []
  const watching = store.telemetry$.subscribe((event) => {
    if (event.type === 'damage-found') found.push(`${event.part}: ${event.reason}`)
  })
  watching.unsubscribe()
  same(found, [], 'damage was found')
}

async function expectWhole(store: Store, n: number, vectors: boolean): Promise<void> {
  const id = { key: `k${n}` }
  const concept = await store.get(id)
  same([concept?.content, concept?.strength], [`Content ${n}`, 0.5], `concept ${n}`)
  same(await store.association({ source: id, target: id, type: 'self' }).then(Boolean), true)
  if (vectors) same(await store.vector(id), Float32Array.of(n, 1, 0, 0))
}

function describeCall(call: Call | undefined): string {
  if (call === undefined) return 'none'
  return 'path' in call ? `${call.do} ${call.path.split('/').slice(-3).join('/')}` : call.do
}
