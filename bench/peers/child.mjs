/**
 * Does with one peer what the parent asks, and tells what it took. A process for each phase, so
 * that memory and files are the peer's own and whatever it breaks is only this process.
 *
 *   load    fills an empty directory with the dataset
 *   serve   opens it and answers the questions of some tasks
 *   reopen  opens it and answers one question; the parent keeps the time, from before Node started
 */
import { readFile } from 'node:fs/promises'
import { deserialize } from 'node:v8'

const asked = JSON.parse(process.argv[2])
async function load(driver) {
  const data = deserialize(await readFile(asked.files.data))
  const baseBytes = process.memoryUsage.rss()
  const started = performance.now()
  const parts = {}
  let last = started
  const mark = (part, at = performance.now()) => {
    parts[part] = (at - last) / 1000
    last = at
  }
  const close = await driver.load(data, asked.directory, mark)
  const ready = last
  const closing = performance.now()
  await close()
  const closeSeconds = (performance.now() - closing) / 1000
  const readySeconds = (ready - started) / 1000
  await tell({ event: 'loaded', readySeconds, closeSeconds, parts, baseBytes, peakBytes: peak() })
}

async function serve(driver) {
  const questions = deserialize(await readFile(asked.files.questions))
  const started = performance.now()
  const session = await driver.open(asked.directory)
  await tell({ event: 'opened', seconds: (performance.now() - started) / 1000 })
  for (const task of asked.tasks) {
    await tell({ event: 'task', task })
    if (session[task] === undefined) {
      await tell({ event: 'answered', task, cannot: true })
      continue
    }
    try {
      await tell({ event: 'answered', task, ...(await TASKS[task](session, questions)) })
    } catch (error) {
      await tell({ event: 'answered', task, error: describe(error) })
    }
  }
  await tell({ event: 'served', peakBytes: peak() })
  await session.close()
}

async function reopen(driver) {
  const session = await driver.open(asked.directory)
  let answer
  if (asked.task === 'knn') {
    await session.useEf?.(asked.ef)
    answer = await session.knn(Float32Array.from(asked.query), asked.k)
  } else {
    answer = await session.get(asked.key)
  }
  await tell({ event: 'first', answer: session.read?.[asked.task]?.(answer) ?? answer })
  await session.close()
}

const TASKS = {
  async get(session, { warmUp, gets }) {
    await each(warmUp, session.get)
    return timed(session, 'get', gets)
  },

  async hop(session, { warmUp, hops }) {
    await each(warmUp, session.hop)
    return timed(session, 'hop', hops)
  },

  async path(session, { pairs }) {
    const ask = ({ source, target }) => session.path(source, target)
    // The same number of warm-up walks for all, between ends that are asked for again.
    await each(pairs.slice(0, 20), ask)
    return timed(session, 'path', pairs, ask)
  },

  async knn(session, questions) {
    const { queries, dimensions } = questions
    const vectors = Array.from({ length: queries.length / dimensions }, (_, n) =>
      queries.slice(n * dimensions, (n + 1) * dimensions)
    )
    const ask = (vector) => session.knn(vector, asked.k)
    const { ef, recall } = await tune(session, vectors, ask, questions)
    if (ef !== undefined) await session.useEf(ef)
    await each(vectors.slice(0, 20), ask)
    return { ...(await timed(session, 'knn', vectors, ask)), ef, recall }
  }
}

// Nobody is left to tell: whoever asked was killed.
process.once('disconnect', () => process.exit(1))

const PHASES = { load, serve, reopen }

try {
  const driver = await import(asked.driver)
  await PHASES[asked.phase](driver)
} catch (error) {
  await tell({ event: 'failed', error: describe(error) })
}
// Some engines break, or never end, when Node unloads them. What they promised is on disk by now.
process.exit(0)

/** The smallest expansion that finds enough; where none does, the largest. */
async function tune(session, vectors, ask, { nearest }) {
  const efs = asked.ef === undefined ? (session.efs ?? [undefined]) : [asked.ef]
  let tried
  for (const ef of efs) {
    if (ef !== undefined) await session.useEf(ef)
    const { answers } = await each(vectors, ask)
    const found = answers.map((answer) => session.read?.knn?.(answer) ?? answer)
    tried = { ef, recall: recallOf(found, nearest) }
    if (tried.recall >= asked.recall) break
  }
  return tried
}

function recallOf(found, nearest) {
  const hits = found.map((keys, n) => {
    const right = new Set(nearest[n])
    return new Set(keys.filter((key) => right.has(key))).size
  })
  const sum = hits.reduce((total, each) => total + Math.min(each, asked.k), 0)
  return sum / (found.length * asked.k)
}

async function timed(session, task, questions, ask = session[task]) {
  const { answers, us } = await each(questions, ask)
  const read = session.read?.[task] ?? ((answer) => answer)
  return { us, answers: answers.map(read) }
}

/** One question after the other, until the time for them is up. */
async function each(questions, ask) {
  const answers = []
  const us = []
  const until = performance.now() + asked.budgetMs
  for (const question of questions) {
    const started = performance.now()
    let answer = ask(question)
    // Whoever answers at once need not wait for a promise.
    if (typeof answer?.then === 'function') answer = await answer
    const ended = performance.now()
    us.push((ended - started) * 1000)
    answers.push(answer)
    if (ended > until) break
  }
  return { answers, us }
}

function peak() {
  return process.resourceUsage().maxRSS * 1024
}

function describe(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

async function tell(message) {
  await new Promise((resolve, reject) => {
    process.send(message, (error) => (error ? reject(error) : resolve()))
  })
}
