import { writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { type Command, open, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { Child } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { Clusters } from './clusters.ts'
import { applyTo, type Concepts, expectExact, recallOf } from './vector-model.ts'

const DIMENSIONS = 16
const FIRST = 1500
const KEYS = 2500
const COMMITS = 1500
const LIVES = 6

test('whatever instant the process dies at, searches find what was acknowledged, as it was', async () => {
  const random = new Random()
  const directory = await temporaryPath()
  const commits = planOf(random)
  const plan = await temporaryPath('plan.json')
  await writeFile(plan, JSON.stringify(commits))
  const recalls: number[] = []
  try {
    const begin = await fill(directory, commits[0] ?? [])
    let done = 1
    for (let life = 0; life < LIVES && done < commits.length; life++) {
      const child = new Child('vectors/writer.mjs', [directory, plan, String(done)])
      await child.line('acknowledged')
      await setTimeout(random.below(900))
      const { lines } = await child.kill()

      // A life may be followed by another one that nobody looks at in between.
      const store = await open(directory)
      const before = commitsUpTo(commits, store.head - begin)
      const sent = lines.map((line) => Number(line['acknowledged'] ?? -1))
      expect(before, 'commits that are there').toBeGreaterThan(Math.max(...sent))
      done = before
      await check(store, conceptsAfter(commits, done), random, recalls)
      if (random.below(2) === 0) await store.caughtUp()
      await store.close()
    }
    expect(recalls.reduce((sum, one) => sum + one, 0) / recalls.length).toBeGreaterThanOrEqual(0.95)
  } catch (cause) {
    throw new Error(`With SUTRA_TEST_SEED=${random.seed}`, { cause })
  }
})

/** The first commit fills the store: it is made here, with a graph. Returns the head before it. */
async function fill(directory: string, commands: readonly Command[]): Promise<number> {
  await using store = await open(directory, {
    vectors: { dimensions: DIMENSIONS },
    limits: { commitCommands: FIRST }
  })
  await store.commit([...commands], { durability: 'os' })
  await store.caughtUp()
  return store.head - commands.length
}

async function check(
  store: Store,
  concepts: Concepts,
  random: Random,
  recalls: number[]
): Promise<void> {
  const clusters = new Clusters(random, DIMENSIONS)
  const metric = 'cosine'
  const vectors = [...concepts.values()].filter((vector) => vector !== undefined)
  for (let round = 0; round < 12; round++) {
    // A stored one half of the time: its own neighbourhood is asked for, dead ones included.
    const query = round % 2 === 0 ? clusters.next() : random.pick(vectors)
    const exact = await store.search(query, { k: 30, exact: true })
    expectExact(exact, concepts, { query, k: 30, metric })
    const found = await store.search(query, { k: 10, ef: 256 })
    recalls.push(recallOf(found, concepts, { query, k: 10, metric }))
  }
  expect((await store.counts()).vectors).toBe(vectors.length)
  for (let round = 0; round < 20; round++) {
    const key = `k${random.below(KEYS)}`
    expect(await store.vector({ key })).toEqual(concepts.get(key))
  }
}

/** One event for each command, so that the head tells how far a plan got. */
function planOf(random: Random): Command[][] {
  const clusters = new Clusters(random, DIMENSIONS)
  const live = new Set<string>()
  const learn = (key: string): Command => {
    live.add(key)
    return { do: 'learn', id: { key }, content: key, embedding: Array.from(clusters.next()) }
  }
  const commits = [Array.from({ length: FIRST }, (_, at) => learn(`k${at}`))]
  while (commits.length < COMMITS) {
    const keys = new Set(Array.from({ length: 10 }, () => `k${random.below(KEYS)}`))
    commits.push(
      Array.from(keys, (key): Command => {
        if (!live.has(key)) return learn(key)
        if (random.below(3) > 0) {
          return { do: 'revise', target: { key }, embedding: Array.from(clusters.next()) }
        }
        live.delete(key)
        return { do: 'forget', id: { key } }
      })
    )
  }
  return commits
}

/** How many commits so many events are: never a part of one. */
function commitsUpTo(commits: readonly (readonly Command[])[], events: number): number {
  let sum = 0
  let count = 0
  for (const commands of commits) {
    if (sum >= events) break
    sum += commands.length
    count += 1
  }
  expect(sum, 'the last commit is whole').toBe(events)
  return count
}

function conceptsAfter(commits: readonly (readonly Command[])[], count: number): Concepts {
  const concepts = new Map<string, Float32Array | undefined>()
  for (const command of commits.slice(0, count).flat()) applyTo(concepts, command)
  return concepts
}
