/** What the processes of a scale run have in common: they are told what to do, and tell how it goes. */
import { readFileSync } from 'node:fs'
import { memoryUsage } from 'node:process'

const SAMPLE_MS = 200

export const asked = JSON.parse(process.argv[2] ?? '{}')

/** One line of JSON for the process that started this one. */
export function tell(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

/** Looks at the memory of this process now and then. In bytes. */
export class MemoryWatch {
  /** The most of each kind since the last look. */
  #recent = zero()
  #peak = zero()
  #timer

  constructor() {
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS)
  }

  /** @returns The most since it was called the last time. */
  recent() {
    this.#sample()
    const recent = this.#recent
    this.#recent = zero()
    return recent
  }

  /** @returns The most ever; of all memory as the system saw it, where that tells. */
  peak() {
    this.#sample()
    const { peakRss = this.#peak.rss } = residentOf(systemStatus())
    return { ...this.#peak, rss: Math.max(peakRss, this.#peak.rss) }
  }

  stop() {
    clearInterval(this.#timer)
  }

  #sample() {
    const { rss, heapUsed, external } = memoryUsage()
    const { anonymous = 0, mapped = 0 } = residentOf(systemStatus())
    const now = { rss, heapUsed, external, anonymous, mapped }
    for (const kind of Object.keys(now)) {
      this.#recent[kind] = Math.max(this.#recent[kind], now[kind])
      this.#peak[kind] = Math.max(this.#peak[kind], now[kind])
    }
  }
}

function zero() {
  return { rss: 0, heapUsed: 0, external: 0, anonymous: 0, mapped: 0 }
}

function systemStatus() {
  return process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : ''
}

/** Pages of files that are mapped count as resident, though the system may drop them at any time. */
function residentOf(status) {
  const bytes = (name) => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
    return found === undefined ? undefined : Number(found) * 1024
  }
  return { peakRss: bytes('VmHWM'), anonymous: bytes('RssAnon'), mapped: bytes('RssFile') }
}

/** Tells the rate of each step of so many, as soon as it is over. */
export class Marks {
  #phase
  #step
  #memory
  #done = 0
  #doneAt = performance.now()
  #markedAt = this.#doneAt
  #cpu = process.cpuUsage()
  #next

  constructor(phase, step, memory) {
    this.#phase = phase
    this.#step = step
    this.#next = step
    this.#memory = memory
  }

  /** @param done How many there are by now, in all. */
  reached(done) {
    const now = performance.now()
    while (done >= this.#next) {
      // Progress is told at its own moments: the step ended somewhere between two of them.
      const share = (this.#next - this.#done) / (done - this.#done)
      const at = this.#doneAt + (now - this.#doneAt) * share
      const ms = at - this.#markedAt
      this.#markedAt = at
      const rate = this.#step / (ms / 1000)
      const cpuUs = this.#cpuSinceMark() / this.#step
      const mark = { phase: this.#phase, done: this.#next, rate, cpuUs, ...this.#memory.recent() }
      tell({ mark })
      this.#next += this.#step
    }
    if (done === this.#done) return
    this.#done = done
    this.#doneAt = now
  }

  /** Of all threads, in microseconds. */
  #cpuSinceMark() {
    const { user, system } = process.cpuUsage(this.#cpu)
    this.#cpu = process.cpuUsage()
    return user + system
  }
}
