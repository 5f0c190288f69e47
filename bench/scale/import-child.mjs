/** Imports so many concepts into a new store and closes it. Nothing else takes memory here. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { open } from 'sutra-storage'
import { associationRecords, conceptRecords } from '../records.mjs'
import { asked, Marks, MemoryWatch, tell } from './child.mjs'

const { directory, concepts, each, seed, durability, step } = asked
const RESOLUTION_MS = 1

const store = await open(directory, { durability })
const memory = new MemoryWatch()
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
const began = performance.now()
const conceptMarks = new Marks('concepts', step, memory)
let associationMarks
const report = await store.import(records(), {
  onProgress: (progress) => reached(progress)
})
const acknowledgedMs = performance.now() - began
await store.caughtUp()
const upToDateMs = performance.now() - began
delay.disable()

const counts = await store.counts()
const { pipeline, disk, memory: inStore, caches } = store.stats()
const closing = performance.now()
await store.close()
const closeMs = performance.now() - closing
tell({
  result: {
    rejected: report.rejectedCount,
    counts: { concepts: counts.concepts, associations: counts.associations },
    acknowledgedMs,
    upToDateMs,
    closeMs,
    backPressureMs: pipeline.backPressureMs,
    // The timer behind it fires once a millisecond, so an idle loop shows that much.
    delayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS),
    delayMaxMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS),
    cpuSeconds: cpuSeconds(),
    peak: memory.peak(),
    idTableBytes: inStore.idTableBytes,
    logBytes: disk.logBytes,
    caches
  }
})
memory.stop()

function* records() {
  yield* conceptRecords(0, concepts)
  if (each > 0) yield* associationRecords(concepts, each, seed)
}

function reached({ concepts: learned, associations }) {
  conceptMarks.reached(learned)
  // Its clock starts when the concepts are all in.
  if (learned < concepts || each === 0) return
  associationMarks ??= new Marks('associations', step, memory)
  associationMarks.reached(associations)
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
