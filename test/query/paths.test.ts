import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Link, Links } from '#sutra/projections/tables/links.js'
import type { PathGraph } from '#sutra/query/paths.js'
import { ReachedConcepts } from '#sutra/query/paths-reached.js'
import { edgeOf, find, graphOf, LazyGraph, orders, show } from './path-graphs.ts'

describe('the best path by hops', () => {
  test('is a shortest one, whatever its confidence', async () => {
    const graph = graphOf(['0 a 1 0.1', '1 a 3 0.1', '0 a 2 1', '2 a 4 1', '4 a 3 1'])

    const { paths } = await find(graph, { target: 3 })

    expect(paths.map(show)).toEqual(['0 -a- 1 -a- 3'])
    expect(paths[0]?.confidence).toBeCloseTo(0.01, 12)
  })

  test('is the most confident of the shortest', async () => {
    const graph = graphOf([
      '0 a 1 0.5',
      '0 a 2 0.9',
      '1 a 3 1',
      '2 a 3 0.5',
      '2 b 3 0.75',
      '3 a 4 1'
    ])

    const { paths } = await find(graph, { target: 4 })

    expect(paths.map(show)).toEqual(['0 -a- 2 -b- 3 -a- 4'])
  })

  test('is not found beyond the greatest depth', async () => {
    const graph = graphOf(['0 a 1 1', '1 a 2 1', '2 a 3 1'])

    const within = await find(graph, { target: 3, maxDepth: 3 })
    const beyond = await find(graph, { target: 3, maxDepth: 2 })

    expect(within.paths.map(show)).toEqual(['0 -a- 1 -a- 2 -a- 3'])
    expect(beyond.paths).toEqual([])
  })

  test('uses accepted associations alone', async () => {
    const graph = graphOf(['0 bad 2 1', '0 good 1 1', '1 good 2 1'])

    const { paths } = await find(graph, {
      accept: (links, index) => links.nameAt(index) === 'good',
      target: 2
    })

    expect(paths.map(show)).toEqual(['0 -good- 1 -good- 2'])
  })
})

describe('the best path by confidence', () => {
  test('may be a longer one', async () => {
    const graph = graphOf(['0 a 3 0.5', '0 a 1 0.9', '1 a 2 0.9', '2 a 3 0.9'])

    const { paths } = await find(graph, { target: 3, order: 'confidence' })

    expect(paths.map(show)).toEqual(['0 -a- 1 -a- 2 -a- 3'])
  })

  test('takes the less confident way to a concept when the other one is too long', async () => {
    const graph = graphOf(['0 a 1 1', '1 a 2 1', '0 b 2 0.5', '2 a 3 1', '3 a 4 1'])

    const loose = await find(graph, { target: 4, order: 'confidence', maxDepth: 4 })
    const tight = await find(graph, { target: 4, order: 'confidence', maxDepth: 3 })

    expect(loose.paths.map(show)).toEqual(['0 -a- 1 -a- 2 -a- 3 -a- 4'])
    expect(tight.paths.map(show)).toEqual(['0 -b- 2 -a- 3 -a- 4'])
  })

  test('keeps a less confident way of fewer hops that it comes to later', async () => {
    const to3 = ['0 a 1 1', '1 a 2 1', '2 a 3 1', '0 b 4 0.5', '4 b 3 1']
    const graph = graphOf([...to3, '3 a 5 1', '5 a 6 1', '6 a 7 1', '7 a 8 1', '0 c 8 0.25'])

    const loose = await find(graph, { target: 8, order: 'confidence', maxDepth: 7 })
    const tight = await find(graph, { target: 8, order: 'confidence', maxDepth: 6 })

    expect(loose.paths.map(({ confidence }) => confidence)).toEqual([1])
    expect(tight.paths.map(({ confidence }) => confidence)).toEqual([0.5])
  })

  test('takes an association of confidence 0 when there is no other way', async () => {
    const graph = graphOf(['0 a 2 0', '0 a 1 0.1', '1 a 2 0.1', '2 a 3 0', '0 a 4 1', '4 a 2 0'])

    const above = await find(graph, { target: 2, order: 'confidence', limit: 9 })
    const zero = await find(graph, { target: 3, order: 'confidence' })

    expect(above.paths.map(show)).toEqual(['0 -a- 1 -a- 2', '0 -a- 2', '0 -a- 4 -a- 2'])
    expect(zero.paths.map(show)).toEqual(['0 -a- 2 -a- 3'])
    expect(zero.paths[0]?.confidence).toBe(0)
  })
})

describe('a path search in either order', () => {
  test.each(orders())('finds the path of no hops from a concept to itself (%s)', async (order) => {
    const graph = graphOf(['0 a 0 1', '0 a 1 1', '1 a 0 1'])

    const { paths } = await find(graph, { target: 0, order, limit: 5, maxDepth: 0 })

    expect(paths).toEqual([{ ordinals: [0], edges: [], confidence: 1 }])
  })

  test.each(orders())('takes parallel associations for different paths (%s)', async (order) => {
    const graph = graphOf(['0 a 1 0.5', '0 b 1 1', '0 b 1 0.25 key', '1 a 0 0.75'])

    const out = await find(graph, { target: 1, order, limit: 9 })
    const both = await find(graph, { target: 1, order, limit: 9, direction: 'both' })

    expect(out.paths.map((path) => path.confidence)).toEqual([1, 0.5, 0.25])
    expect(both.paths.map((path) => path.confidence)).toEqual([1, 0.75, 0.5, 0.25])
  })

  test.each(orders())('follows the direction it is given (%s)', async (order) => {
    const graph = graphOf(['1 a 0 1', '1 b 2 1'])
    const ends = { source: 0, target: 2, order }

    expect((await find(graph, { ...ends, direction: 'out' })).paths).toEqual([])
    expect((await find(graph, { ...ends, direction: 'in' })).paths).toEqual([])
    expect((await find(graph, { ...ends, direction: 'both' })).paths.map(show)).toEqual([
      '0 <-a- 1 -b- 2'
    ])
  })

  test.each(orders())('refuses to reach more concepts than allowed (%s)', async (order) => {
    const chain = Array.from({ length: 50 }, (_, i) => `${i} a ${i + 1} 1`)
    const query = { target: 50, order, maxDepth: 50 }

    const { explored } = await find(graphOf(chain), query)
    const tooFar = find(graphOf(chain), { ...query, maxExplored: explored - 1 })

    expect(explored).toBeLessThan(60)
    await expect(tooFar).rejects.toMatchObject({
      code: 'PATH_TOO_LARGE',
      details: { explored, max: explored - 1 }
    })
  })

  test.each(orders())('lets go of the iterators it leaves early (%s)', async (order) => {
    const graph = new HubGraph(300, 300)

    await find(graph, { source: HUB, target: HUB + 7, order })
    await find(graph, { source: HUB, target: HUB + 7, order, maxExplored: 5 }).catch(
      () => undefined
    )

    expect(graph.opened).toBeGreaterThan(0)
    expect(graph.closed).toBe(graph.opened)
  })

  test.each(orders())('passes on what the graph throws (%s)', async (order) => {
    const broken: PathGraph = {
      few: () => undefined,
      pieces: () => {
        throw new RangeError('the disk is gone')
      }
    }

    await expect(find(broken, { target: 1, order })).rejects.toThrow('the disk is gone')
  })
})

describe('path searches that reach thousands of concepts', () => {
  const WIDTH = 50
  const graph = new TreesGraph(WIDTH)

  test.each(orders())('find the path through them (%s)', async (order) => {
    const { paths, explored } = await find(graph, { target: END, order, maxDepth: 6 })

    expect(paths.map(({ edges }) => edges.length)).toEqual([5])
    expect(explored).toBeGreaterThan(WIDTH * WIDTH)
  })

  test.each(orders())('do not disturb each other (%s)', async (order) => {
    const queries = [6, 4, 5, 6].map((maxDepth) => ({ target: END, order, maxDepth }))

    const alone = []
    for (const query of queries) alone.push(await find(graph, query))
    const together = await Promise.all(queries.map((query) => find(graph, query)))

    expect(together).toEqual(alone)
    expect(alone.map(({ paths }) => paths.length)).toEqual([1, 0, 1, 1])
  })
})

test('path searches that are over at once use the same memory, however many are asked for', async () => {
  const taken = vi.spyOn(ReachedConcepts, 'take')
  // One that is held up by others takes a rest, and is not over at once.
  const clock = vi.spyOn(performance, 'now').mockReturnValue(0)
  onTestFinished(() => {
    taken.mockRestore()
    clock.mockRestore()
  })
  const graph = graphOf(['0 a 2 1', '2 a 1 1'])

  const found = await Promise.all(Array.from({ length: 50 }, async () => find(graph, {})))

  expect(found.map(({ paths }) => paths.length)).toEqual(found.map(() => 1))
  expect(taken.mock.results).toHaveLength(50)
  expect(new Set(taken.mock.results.map(({ value }) => value as unknown)).size).toBe(1)
})

describe('a path search from a hub', () => {
  test.each(orders())('is short when the other end has few associations (%s)', async (order) => {
    const graph = new HubGraph(1_000_000, 1_000_000)

    const { paths, explored } = await find(graph, { source: HUB, target: HUB + 900_000, order })

    expect(paths.map((path) => path.ordinals)).toEqual([[HUB, HUB + 900_000]])
    expect(graph.read).toBeLessThan(500)
    expect(explored).toBeLessThan(500)
  })

  test.each(orders())('leaves room for others while it walks 300 000 edges (%s)', async (order) => {
    // The target is an end of no association that the hub has, and a hub itself.
    const graph = new HubGraph(300_000, 300_000)
    let turns = 0
    const timer = setInterval(() => turns++, 1)

    const before = process.cpuUsage()
    const { paths } = await find(graph, { source: HUB, target: OTHER_HUB, order, maxDepth: 2 })
    const { user, system } = process.cpuUsage(before)
    clearInterval(timer)

    expect(paths).toEqual([])
    expect(graph.read).toBeGreaterThan(300_000)
    // A tenth of what turns of 2 ms would give; by work, which others that are busy make no longer.
    const workedMs = (user + system) / 1000
    expect(turns).toBeGreaterThan(workedMs / 20)
  })

  test('leaves room for others while it reads what leads to nobody', async () => {
    // As from a hub whose ends are all forgotten.
    const dead: PathGraph = {
      few: () => undefined,
      *pieces(ordinal) {
        for (let i = 0; i < 300; i++) {
          const end = performance.now() + 0.2
          while (performance.now() < end);
          yield new Links(ordinal, 'out', [])
        }
      }
    }
    let turns = 0
    const timer = setInterval(() => turns++, 1)

    await find(dead, { maxDepth: 2 })
    clearInterval(timer)

    // Sixty milliseconds or more, in stretches of two.
    expect(turns).toBeGreaterThan(3)
  })

  test.each(orders())('stops when its signal fires (%s)', async (order) => {
    const graph = new HubGraph(300_000, 300_000)
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => controller.abort(reason), 3)

    const search = find(graph, {
      source: HUB,
      target: OTHER_HUB,
      order,
      maxDepth: 2,
      signal: controller.signal
    })

    await expect(search).rejects.toMatchObject({ code: 'ABORTED', cause: reason })
    expect(graph.read).toBeLessThan(600_000)
    expect(graph.closed).toBe(graph.opened)
  })

  test('does not begin when its signal has fired before', async () => {
    const graph = new HubGraph(3, 3)

    const search = find(graph, { source: HUB, target: HUB + 1, signal: AbortSignal.abort() })

    await expect(search).rejects.toMatchObject({ code: 'ABORTED' })
    expect(graph.read).toBe(0)
  })
})

const END = 1_000_000

/** A tree that grows from 0, its mirror image that grows towards `END`, and one link between them. */
class TreesGraph extends LazyGraph {
  readonly #edges: Record<'out' | 'in', Map<number, Link[]>> = { out: new Map(), in: new Map() }

  constructor(width: number) {
    super()
    for (let child = 1; child <= width * (width + 1); child++) {
      const parent = child <= width ? 0 : Math.ceil((child - width) / width)
      this.#add(parent, child)
      this.#add(END - child, END - parent)
    }
    this.#add(width * (width + 1), END - width - 1)
  }

  override *edges(ordinal: number, direction: 'out' | 'in'): Iterable<Link> {
    yield* this.#edges[direction].get(ordinal) ?? []
  }

  #add(source: number, target: number): void {
    const edge = edgeOf(source, target, 'a', undefined, 0.5)
    const [out, into] = [this.#edges.out.get(source) ?? [], this.#edges.in.get(target) ?? []]
    this.#edges.out.set(source, [...out, edge])
    this.#edges.in.set(target, [...into, { ...edge, other: source }])
  }
}

const HUB = 0
const OTHER_HUB = 100_000_000

/** A hub that points at `out` concepts, and another one that `in` further concepts point at. */
class HubGraph extends LazyGraph {
  read = 0
  opened = 0
  closed = 0
  readonly #out: number
  readonly #in: number

  constructor(out: number, into: number) {
    super()
    this.#out = out
    this.#in = into
  }

  override *edges(ordinal: number, direction: 'out' | 'in'): Iterable<Link> {
    this.opened++
    try {
      for (const [source, target] of this.#ends(ordinal, direction)) {
        this.read++
        const other = direction === 'out' ? target : source
        yield { source, target, other, name: 'a', key: undefined, strength: 1, confidence: 0.5 }
      }
    } finally {
      this.closed++
    }
  }

  *#ends(ordinal: number, direction: 'out' | 'in'): Iterable<[number, number]> {
    if (ordinal === HUB && direction === 'out') {
      for (let i = 1; i <= this.#out; i++) yield [HUB, HUB + i]
    } else if (ordinal === OTHER_HUB && direction === 'in') {
      for (let i = 1; i <= this.#in; i++) yield [OTHER_HUB + i, OTHER_HUB]
    } else if (ordinal > HUB && ordinal <= HUB + this.#out && direction === 'in') {
      yield [HUB, ordinal]
    }
  }
}
