import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { ProcessStats } from '../types.ts'

/** How often the loop is looked at; as late as that is not late. */
const RESOLUTION_MS = 20
const NS_PER_MS = 1e6
const US_PER_MS = 1000

/** How the process fares, for one who asks again and again. Costs nothing until it is asked. */
export class ProcessWatch {
  #delays: IntervalHistogram | undefined
  #loop = performance.eventLoopUtilization()

  read(): ProcessStats {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#loop)
    this.#loop = now
    return {
      pid: process.pid,
      uptimeMs: performance.now(),
      cpuMs: (user + system) / US_PER_MS,
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      heapTotalBytes: heapTotal,
      externalBytes: external,
      eventLoop: { utilization, ...this.#readDelays() }
    }
  }

  stop(): void {
    this.#delays?.disable()
    this.#delays = undefined
  }

  #readDelays(): Pick<ProcessStats['eventLoop'], 'p50Ms' | 'p99Ms' | 'maxMs'> {
    const delays = this.#delays
    if (delays === undefined) {
      this.#delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      this.#delays.enable()
      return { p50Ms: 0, p99Ms: 0, maxMs: 0 }
    }
    // An empty histogram has no percentiles: its largest value is 0.
    const late = (ns: number): number => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS)
    const read = {
      p50Ms: late(delays.percentile(50)),
      p99Ms: late(delays.percentile(99)),
      maxMs: late(delays.max)
    }
    delays.reset()
    return read
  }
}
