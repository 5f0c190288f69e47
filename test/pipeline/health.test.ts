/** What stats() says of a store whose vectors come faster than they get into graphs. */
import { describe, expect, test } from 'vitest'
import { resolveOptions } from '#sutra/options.js'
import { IntervalController } from '#sutra/pipeline/controller.js'
import {
  type HealthInputs,
  healthLevel,
  healthScore,
  NO_VECTORS,
  recommend,
  type VectorLoad
} from '#sutra/pipeline/health.js'
import { roomOf } from '../vectors/room-of.ts'
import { rig } from './fakes.js'

const { pipeline: options } = resolveOptions()

function inputs(vectors: Partial<VectorLoad>, utilization = 0): HealthInputs {
  return {
    reading: new IntervalController(options).reading,
    utilization,
    warnAt: options.warnAt,
    waiting: 0,
    vectors: { ...NO_VECTORS, ...vectors },
    primary: 'tables',
    stopped: []
  }
}

describe('vectors that wait for the index', () => {
  test('are no matter while they are few', () => {
    expect(healthLevel(inputs({ fill: 0.1 }))).toBe('healthy')
    expect(healthScore(inputs({ fill: 0.1 }))).toBe(1)
    expect(recommend(inputs({ fill: 0.1 }))).toContain('Nothing to do')
  })

  test('are told of before writers wait', () => {
    const many = inputs({ fill: 0.9 })
    expect(healthLevel(many)).toBe('filling')
    expect(healthScore(many)).toBeGreaterThan(0)
    expect(healthScore(many)).toBeLessThan(0.5)
    expect(recommend(many)).toContain('90 % of the vectors that may wait for the index do')
  })

  test.each([{ fill: 1 }, { fill: 0.96, waiting: 3 }])('are full: %o', (vectors) => {
    expect(healthLevel(inputs(vectors))).toBe('full')
    expect(healthScore(inputs(vectors))).toBe(0)
    expect(recommend(inputs(vectors))).toContain('As many vectors wait for the index as may')
  })

  test('are not named where the queue is what is full', () => {
    expect(recommend(inputs({ fill: 1 }, 1))).toContain('The queue is full')
  })

  test('are in the statistics of the pipeline', async () => {
    let vectors: VectorLoad = NO_VECTORS
    const { pipeline } = rig({}, 0, undefined, () => vectors)
    try {
      expect(pipeline.stats()).toMatchObject({ pressure: 0, healthScore: 1, backPressureMs: 0 })
      vectors = { fill: 1.3, waiting: 2, waitedMs: 500 }
      expect(pipeline.stats()).toMatchObject({ pressure: 1, healthScore: 0, backPressureMs: 500 })
    } finally {
      await pipeline.stop()
    }
  })

  test('make writers wait, who are counted, and for how long', async () => {
    const { room, builder, progress } = roomOf(5000)
    expect(room.max).toBe(1024)
    expect(room.load).toMatchObject({ waiting: 0, waitedMs: 0 })
    expect(room.load.fill).toBeCloseTo(5000 / 1024)

    const waits = [room.enter(5), room.enter(7)]
    expect(room.load.waiting).toBe(2)
    await new Promise((resolve) => setTimeout(resolve, 20))
    builder.pending = 10
    progress.notify()
    for (const wait of waits) await wait

    // Those that were let in count until they are written.
    expect(room.load).toMatchObject({ waiting: 0, fill: 22 / 1024 })
    expect(room.load.waitedMs).toBeGreaterThan(30)
    room.leave(5)
    room.leave(7)
    expect(room.load.fill).toBe(10 / 1024)
    builder.isDamaged = true
    expect(room.load.fill).toBe(0)
  })
})
