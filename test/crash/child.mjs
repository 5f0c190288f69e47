/**
 * The process that kill.test.ts kills. It writes random commits and tells on standard output, a
 * line each, what it is about to send and what came of it. `tell` waits until a line is on its
 * way, so whatever this process did, the parent reads before it that it would.
 */
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const CONCEPTS = 8
const HUB_BATCH = 60
const DURABILITIES = ['fsync', 'interval', 'os']

const { directory, options, writers, mixed, rebuild, closeAfterMs, seed } = JSON.parse(
  process.argv[2] ?? ''
)
const random = mulberry32(seed)
const store = await open(directory, options)
tell({ opened: store.head })
for (let writer = 0; writer < writers; writer++) void writeForever(writer)
if (rebuild) void rebuildForever()
if (closeAfterMs !== null) {
  setTimeout(() => {
    tell({ closing: true })
    void store.close()
  }, closeAfterMs)
}

async function writeForever(writer) {
  for (let count = 0; ; count++) {
    const commands = randomCommands(writer)
    const commitOptions = {
      ...(random() < 0.5 ? { idempotencyKey: `${seed} ${writer} ${count}` } : {}),
      ...(mixed ? { durability: pick(DURABILITIES) } : {})
    }
    tell({ writer, sent: commands, options: commitOptions })
    try {
      const receipt = await store.commit(commands, commitOptions)
      tell({ writer, receipt })
    } catch (error) {
      if (error.code === undefined) throw error
      tell({ writer, refused: error.code })
      if (error.code === 'STORE_CLOSED') return
    }
  }
}

async function rebuildForever() {
  try {
    for (;;) {
      await store.rebuild()
      await store.checkpoint()
    }
  } catch (error) {
    // A store that closes stops the rebuild; anything else ends the process, which is noticed.
    if (error.code !== 'STORE_CLOSED' && error.code !== 'ABORTED') throw error
  }
}

function randomCommands(writer) {
  const hub = { key: `${writer}-hub` }
  if (random() < 0.04) {
    // Grows pages until they split, or a commit of many events that must be there whole.
    const base = Math.floor(random() * 5) * HUB_BATCH
    const parallel = (_, i) => ({
      ...refTo(hub, hub),
      do: 'associate',
      key: `parallel ${base + i}`
    })
    return [
      { do: 'learn', id: hub, content: 'hub' },
      ...Array.from({ length: HUB_BATCH }, parallel)
    ]
  }
  const length = random() < 0.5 ? 1 : 1 + Math.floor(random() * 6)
  return Array.from({ length }, () => randomCommand(writer))
}

function randomCommand(writer) {
  const id = () => ({ key: `${writer}-${Math.floor(random() * CONCEPTS)}` })
  const embedding = () =>
    options.vectors === undefined || random() < 0.5
      ? {}
      : { embedding: Array.from({ length: options.vectors.dimensions }, () => random() + 0.1) }
  const at = random()
  if (at < 0.4) {
    const metadata = { n: Math.floor(random() * 9), [pick(['a', 'b'])]: pick([1, 'x', null]) }
    return { do: 'learn', id: id(), content: `c ${random()}`, metadata, ...embedding() }
  }
  if (at < 0.7) return { do: 'associate', ...refTo(id(), id()), strength: random() }
  if (at < 0.8) return { do: 'reinforce', target: id(), confidence: { by: random() - 0.5 } }
  if (at < 0.85) return { do: 'reinforce', target: refTo(id(), id()), strength: { by: -0.1 } }
  if (at < 0.9) return { do: 'revise', target: id(), content: 'revised', ...embedding() }
  if (at < 0.95) return { do: 'dissociate', ...refTo(id(), id()) }
  return { do: 'forget', id: id() }
}

function refTo(source, target) {
  return { source, target, type: 'knows' }
}

function pick(choices) {
  return choices[Math.floor(random() * choices.length)]
}

/** A generator of random numbers that a seed repeats. */
function mulberry32(start) {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
