import { count, megabytes, seconds } from '../support.ts'
import type { Mark } from './child-process.ts'
import type { ScaleResult, Side } from './run.ts'

const NAME_WIDTH = 15

/** One line for each step, as it goes. */
export function printMark(side: Side, mark: Mark): void {
  const { phase, done, rate, rss, anonymous, mapped, heapUsed, external, cpuUs } = mark
  const split = anonymous === 0 ? '' : ` (own ${megabytes(anonymous)}, files ${megabytes(mapped)})`
  console.log(
    `${side.padEnd(NAME_WIDTH)} ${count(done).padStart(11)} ${phase}, ` +
      `${count(Math.round(rate)).padStart(9)}/s, ${cpuUs.toFixed(1)} µs CPU each, ` +
      `memory ${megabytes(rss)}${split}, ` +
      `heap ${megabytes(heapUsed)}, external ${megabytes(external)}`
  )
}

export function printScale(result: ScaleResult, maxRss: number | undefined): void {
  for (const [name, text] of Object.entries(linesOf(result))) {
    console.log(`${name.padEnd(38)} ${text}`)
  }
  if (maxRss === undefined) return
  const { rss } = result.store.peak
  const verdict = rss <= maxRss ? 'within' : 'BEYOND'
  console.log(`memory ${verdict} the ${megabytes(maxRss)} of --max-rss`)
}

function linesOf({ concepts, store, bare, rates, read, processToAnswerMs }: ScaleResult): Lines {
  const { latency, openMs, filledMs, samples } = read
  const compared = (both: typeof latency.random): string =>
    `p50 ${us(both.store.p50)}, p99 ${us(both.store.p99)}; ` +
    `classic-level getSync ${us(both.bare.p50)}, ${us(both.bare.p99)}: ` +
    `${(both.store.p50 / both.bare.p50).toFixed(2)} times at p50`
  const perConcept = (bytes: number): string => `${(bytes / concepts).toFixed(0)} bytes a concept`
  return {
    'records/s, tables up to date': `${count(Math.round(rates.whole))}; classic-level: ratio ${rates.toBare.toFixed(2)}`,
    'concepts/s, last step against first': `${count(Math.round(rates.last))} against ${count(Math.round(rates.first))}: ${rates.lastToFirst.toFixed(2)}`,
    'processor time': `${store.cpuSeconds.toFixed(1)} s in ${seconds(store.upToDateMs)}`,
    'memory of the import, peak': `${memoryOf(store.peak)}; classic-level ${megabytes(bare.peak.rss)}`,
    'memory of the id table': megabytes(store.idTableBytes),
    'event-loop delay': `p99 ${store.delayP99Ms.toFixed(1)} ms, max ${store.delayMaxMs.toFixed(0)} ms`,
    'waited for room in the queue': seconds(store.backPressureMs),
    'counts; samples read back': `equal; ${count(samples)} equal`,
    'get by random id': compared(latency.random),
    'get by one of 64 hot ids': compared(latency.hot),
    'get by a missing id': compared(latency.missing),
    'memory of the process that reads': memoryOf(read.peak),
    'clean close': `${store.closeMs.toFixed(0)} ms`,
    'ids in memory after': `${(filledMs / 1000).toFixed(1)} s`,
    'open to first get': `${openMs.toFixed(0)} ms; ${processToAnswerMs.toFixed(0)} ms from the start of a process`,
    disk: `${megabytes(store.diskBytes)}, ${perConcept(store.diskBytes)}; classic-level ${perConcept(bare.diskBytes)}`
  }
}

function us(value: number): string {
  return `${value.toFixed(1)} µs`
}

type Lines = Readonly<Record<string, string>>

function memoryOf({
  rss,
  anonymous,
  mapped
}: {
  rss: number
  anonymous: number
  mapped: number
}): string {
  const split =
    anonymous === 0 ? '' : `, own ${megabytes(anonymous)}, pages of files ${megabytes(mapped)}`
  return `${megabytes(rss)}${split}`
}
