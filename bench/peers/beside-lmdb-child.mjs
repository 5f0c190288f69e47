/** Runs the questions of the store and of lmdb by turns, over what the race loaded. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize } from 'node:v8'

const { drivers, folder, commits, questions: path, isSmoke } = JSON.parse(process.argv[2])
const [ours, lmdb] = await Promise.all([import(drivers.ours), import(drivers.lmdb)])
const ROUNDS = isSmoke ? 3 : 11
/** So few that every cache holds them. */
const HOT = 100
const HOT_TIMES = isSmoke ? 3 : 20
const IN_FLIGHT = 64
const COMMITS_EACH = isSmoke ? 5 : 200

try {
  const compared = [...(await reads()), await singleCommits()]
  await tell({ compared })
} catch (error) {
  await tell({ error: `${error.name}: ${error.message}` })
}
process.exit(0)

async function reads() {
  const { gets, hops, pairs } = deserialize(await readFile(path))
  const sides = {
    ours: await ours.open(join(folder, 'ours')),
    lmdb: await lmdb.open(join(folder, 'lmdb'))
  }
  const hot = Array.from({ length: HOT * HOT_TIMES }, (_, n) => gets[n % HOT])
  const figures = [
    await byTurns(sides, 'get of a hot concept, p50', 'get', hot, (key) => [key]),
    await byTurns(sides, 'get of a random concept, p50', 'get', gets, (key) => [key]),
    await byTurns(sides, 'out-neighbours, p50', 'hop', hops, (key) => [key]),
    await byTurns(sides, 'shortest path, both directions, p50', 'path', pairs, (pair) => [
      pair.source,
      pair.target
    ])
  ]
  await sides.ours.close()
  await sides.lmdb.close()
  return figures
}

/** The same questions to both, the order turned around each round; the middle round counts. */
async function byTurns(sides, what, task, asked, argumentsOf) {
  const p50s = { ours: [], lmdb: [] }
  const names = ['ours', 'lmdb']
  // One round that does not count: code is compiled, caches are filled.
  for (let round = -1; round < ROUNDS; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const us = []
      for (const question of asked) {
        const started = performance.now()
        const answer = sides[name][task](...argumentsOf(question))
        if (typeof answer?.then === 'function') await answer
        us.push((performance.now() - started) * 1000)
      }
      if (round >= 0) p50s[name].push(median(us))
    }
  }
  return compared(what, 'µs', median(p50s.ours), median(p50s.lmdb))
}

/** Each is on disk before it is acknowledged, and as many wait at once. */
async function singleCommits() {
  const sides = {
    ours: await ours.openForCommits(commits),
    lmdb: await lmdb.openForCommits(commits)
  }
  const rates = { ours: [], lmdb: [] }
  const names = ['ours', 'lmdb']
  let next = 0
  for (let round = -1; round < ROUNDS; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const writers = Array.from({ length: IN_FLIGHT }, async () => {
        for (let i = 0; i < COMMITS_EACH; i++) {
          const n = next++
          await sides[name].commit(`commit-${n}`, contentOf(n))
        }
      })
      const started = performance.now()
      await Promise.all(writers)
      const seconds = (performance.now() - started) / 1000
      if (round >= 0) rates[name].push((IN_FLIGHT * COMMITS_EACH) / seconds)
    }
  }
  await sides.ours.close()
  await sides.lmdb.close()
  const what = `single commits, ${IN_FLIGHT} in flight, fsync`
  return compared(what, 'commits/s', median(rates.ours), median(rates.lmdb))
}

function compared(what, unit, oursFigure, lmdbFigure) {
  return { what, unit, ours: oursFigure, lmdb: lmdbFigure, ratio: oursFigure / lmdbFigure }
}

function contentOf(n) {
  return `Concept ${n} `.padEnd(100, 'what there is to say about it, ')
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

async function tell(message) {
  await new Promise((resolve, reject) => {
    process.send(message, (error) => (error ? reject(error) : resolve()))
  })
}
