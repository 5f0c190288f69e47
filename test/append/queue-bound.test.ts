/** `pipeline.queueEventsMax` is a bound: what would pass it waits, whoever comes and in whatever line. */
import { type Command, open, type Receipt, type Store, type TelemetryEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

const MAX = 100
/** Tables that take few events at a time are behind most of the time. */
const SMALL = {
  durability: 'os',
  scrubBytesPerSec: 0,
  pipeline: { queueEventsMax: MAX, batchEventsMax: 10 }
} as const

function commandsOf(name: string, count: number): Command[] {
  return Array.from({ length: count }, (_, i) => ({ do: 'learn', content: `${name}, ${i}` }))
}

function eventsOf({ first, last }: Receipt): number {
  return last - first + 1
}

function isAscending(receipts: readonly Receipt[]): boolean {
  return receipts.every(({ first }, i) => i === 0 || first > (receipts[i - 1]?.last ?? 0))
}

/** Beyond the bound there is nothing but a commit that is larger than it, and alone. */
function expectBound(receipts: readonly Receipt[]): void {
  for (const one of receipts) {
    expect(one.backlog).toBeLessThanOrEqual(Math.max(MAX, eventsOf(one)))
  }
}

describe('The queue', () => {
  test('is never longer than its bound, and keeps the order of either line', async () => {
    const random = new Random()
    await using store = await open(await temporaryPath(), SMALL)
    const commitAll = async (bulk: boolean): Promise<Receipt[]> =>
      Promise.all(
        Array.from({ length: 60 }, async (_, i) =>
          store.commit(commandsOf(`${bulk} ${i}`, 1 + random.below(40)), { bulk })
        )
      )
    const [singles, bulk] = await Promise.all([commitAll(false), commitAll(true)])
    expectBound([...singles, ...bulk])
    expect(isAscending(singles)).toBe(true)
    expect(isAscending(bulk)).toBe(true)
  })

  test('takes a commit that is larger than it once it is empty, before what came later', async () => {
    await using store = await open(await temporaryPath(), SMALL)
    const sizes = [30, 250, 1, 99, 300, 60, 60]
    const receipts = await Promise.all(
      sizes.map(async (size, i) => store.commit(commandsOf(`${i}`, size)))
    )
    expect(receipts.map(eventsOf)).toEqual(sizes)
    expect(isAscending(receipts)).toBe(true)
    expectBound(receipts)
    const large = await Promise.all([
      store.commit(commandsOf('bulk', 150), { bulk: true }),
      store.commit(commandsOf('single', 150))
    ])
    expectBound(large)
  })

  test('lets bulk in that is larger than it, while single commits never end', async () => {
    await using store = await open(await temporaryPath(), SMALL)
    let isOver = false
    const singles: Receipt[] = []
    const writers = Array.from({ length: 8 }, async (_, i) => {
      while (!isOver) singles.push(await store.commit(commandsOf(`single ${i}`, 7)))
    })
    const bulk = await Promise.all(
      Array.from({ length: 5 }, async (_, i) =>
        store.commit(commandsOf(`bulk ${i}`, 150), { bulk: true })
      )
    )
    isOver = true
    await Promise.all(writers)
    expect(isAscending(bulk)).toBe(true)
    expectBound([...singles, ...bulk])
  })

  test('counts the stubs that an import makes for the ends of associations', async () => {
    await using store = await open(await temporaryPath(), SMALL)
    const told: Extract<TelemetryEvent, { type: 'commit' }>[] = []
    store.telemetry$.subscribe((event) => {
      if (event.type === 'commit') told.push(event)
    })
    const report = store.import(associations(400), { createMissing: true })
    for (let i = 0; i < 20; i++) await store.learn({ content: `single ${i}` })
    expect(await report).toMatchObject({ associations: 400, rejectedCount: 0 })
    expect(told.length).toBeGreaterThan(20)
    for (const { events, backlog } of told) {
      expect(backlog).toBeLessThanOrEqual(Math.max(MAX, events))
    }
  })

  test('waits no longer for one that has left the line', async () => {
    await using store = await open(await temporaryPath(), SMALL)
    await fill(store)
    const leaving = new AbortController()
    const large = store.commit(commandsOf('large', 500), { signal: leaving.signal })
    const left = expect(large).rejects.toMatchObject({ code: 'ABORTED' })
    const small = store.learn({ content: 'small' })
    setImmediate(() => leaving.abort())
    await left
    expectBound([await small])
  })
})

async function fill(store: Store): Promise<void> {
  await store.commit(commandsOf('first', MAX - 5))
}

function associations(count: number) {
  return Array.from({ length: count }, (_, i) => ({
    kind: 'association' as const,
    sourceKey: `s${i}`,
    targetKey: `t${i}`,
    type: 'knows'
  }))
}
