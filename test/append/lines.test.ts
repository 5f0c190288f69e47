/** Single commits and bulk loads stand in lines of their own. */
import { type Command, open, type Receipt, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { temporaryPath } from '../support/temp.ts'

const OS = { durability: 'os', scrubBytesPerSec: 0 } as const
const BULK = { bulk: true } as const

function commandsOf(name: string, count: number): Command[] {
  return Array.from({ length: count }, (_, i) => ({ do: 'learn', content: `${name}, ${i}` }))
}

function bulkOf(store: Store, commits: number, each: number): Promise<Receipt>[] {
  const all: Promise<Receipt>[] = []
  for (let i = 0; i < commits; i++) all.push(store.commit(commandsOf(`bulk ${i}`, each), BULK))
  return all
}

function isAscending(receipts: readonly Receipt[]): boolean {
  return receipts.every(({ first }, i) => i === 0 || first > (receipts[i - 1]?.last ?? 0))
}

describe('A single commit', () => {
  test('passes bulk that came before it, and each line keeps its order', async () => {
    await using store = await open(await temporaryPath(), OS)
    const bulk = Promise.all(bulkOf(store, 100, 200))
    const singles = await Promise.all([1, 2, 3].map(async (i) => store.learn({ content: `${i}` })))
    const receipts = await bulk

    expect(isAscending(singles)).toBe(true)
    expect(isAscending(receipts)).toBe(true)
    expect(singles[2]?.last).toBeLessThan(receipts.at(-1)?.first ?? 0)
    expect(await store.verify()).toMatchObject({ ok: true })
  })

  test('does not pass one of its own kind, however large', async () => {
    await using store = await open(await temporaryPath(), OS)
    const large = store.commit(commandsOf('large', 1000))
    const small = store.learn({ content: 'small' })

    expect((await small).first).toBeGreaterThan((await large).last)
  })

  test('sees what was acknowledged of bulk, and bulk what was of it', async () => {
    await using store = await open(await temporaryPath(), OS)
    await store.commit([{ do: 'learn', id: { key: 'a' }, content: 'a' }], BULK)
    await store.learn({ id: { key: 'b' }, content: 'b' })

    const ends = { source: { key: 'a' }, target: { key: 'b' }, type: 'knows' }
    await store.commit([{ do: 'associate', ...ends }], BULK)

    expect(await store.association(ends)).toBeDefined()
  })

  test('is not held up by an import that the queue has no room for', async () => {
    const pipeline = { queueEventsMax: 8000, batchEventsMax: 500 }
    await using store = await open(await temporaryPath(), { ...OS, pipeline })
    const records = Array.from({ length: 30_000 }, (_, i) => ({
      kind: 'concept' as const,
      key: `imported ${i}`,
      content: `imported ${i}`
    }))
    let isOver = false
    const report = store.import(records).finally(() => {
      isOver = true
    })
    const backlogs: number[] = []
    while (!isOver) {
      const { backlog } = await store.learn({ content: `single ${backlogs.length}` })
      backlogs.push(backlog)
    }

    expect((await report).concepts).toBe(30_000)
    // Single commits may fill the queue, and no frame goes beyond it.
    expect(Math.max(...backlogs)).toBeLessThanOrEqual(8000)
    expect((await store.counts()).concepts).toBe(30_000 + backlogs.length)
  })
})

describe('Bulk', () => {
  test('gets its share while single commits never end', async () => {
    await using store = await open(await temporaryPath(), OS)
    let isOver = false
    let singles = 0
    const writers = Array.from({ length: 32 }, async () => {
      while (!isOver) await store.commit(commandsOf(`single ${singles++}`, 20))
    })
    const receipts = await Promise.all(bulkOf(store, 40, 100))
    isOver = true
    await Promise.all(writers)

    expect(isAscending(receipts)).toBe(true)
  })

  test('leaves its line by its signal', async () => {
    await using store = await open(await temporaryPath(), OS)
    const leaving = new AbortController()
    const first = Promise.all(bulkOf(store, 100, 200))
    const options = { ...BULK, signal: leaving.signal }
    const left = expect(store.commit(commandsOf('left', 1), options)).rejects.toMatchObject({
      code: 'ABORTED'
    })
    leaving.abort()

    await left
    await first
    expect((await store.counts()).concepts).toBe(20_000)
  })

  test('that waits when the store closes is done or refused, never half', async () => {
    const path = await temporaryPath()
    const store = await open(path, { ...OS, pipeline: { queueEventsMax: 300 } })
    const all = bulkOf(store, 60, 100).map(async (one) => one.then(Number, () => 0))
    const closed = store.close()
    const settled = await Promise.all(all)
    await closed
    await using again = await open(path, OS)
    const { concepts } = await again.counts()

    expect(settled).toHaveLength(60)
    expect(concepts % 100).toBe(0)
  })

  test('is true or false', async () => {
    await using store = await open(await temporaryPath(), OS)
    const options = { bulk: 'yes' } as unknown as typeof BULK

    await expect(store.learn({ content: 'a' }, options)).rejects.toBeInstanceOf(TypeError)
  })
})

describe('What a writer is told', () => {
  test('how much the tables are behind at the acknowledgement', async () => {
    await using store = await open(await temporaryPath(), OS)
    const one = await store.commit(commandsOf('first', 30))
    expect(one.backlog).toBeGreaterThanOrEqual(30)
    await store.caughtUp()

    const { backlog, last } = await store.learn({ content: 'second' })
    expect(backlog).toBe(1)
    const again = await store.learn({ content: 'third' }, { idempotencyKey: 'third' })
    expect(again.backlog).toBeLessThanOrEqual(again.last - last + 1)
    await store.caughtUp()
    const duplicate = await store.learn({ content: 'third' }, { idempotencyKey: 'third' })
    expect(duplicate).toMatchObject({ outcome: 'duplicate', backlog: 0 })
  })

  test('that it may write, at once while there is little to do', async () => {
    const path = await temporaryPath()
    const store = await open(path, OS)
    await store.ready()
    await store.learn({ content: 'a' })
    await store.ready({ signal: new AbortController().signal })
    await expect(store.ready({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED'
    })
    await store.close()
    await expect(store.ready()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await using readOnly = await open(path, { readOnly: true })
    await expect(readOnly.ready()).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  })

  test('so that who asks first never waits for room', async () => {
    const pipeline = { queueEventsMax: 1000, batchEventsMax: 100 }
    await using store = await open(await temporaryPath(), { ...OS, pipeline })
    const commits: Promise<Receipt>[] = []
    for (let i = 0; i < 200; i++) {
      await store.ready()
      commits.push(store.commit(commandsOf(`polite ${i}`, 50)))
    }
    const backlogs = (await Promise.all(commits)).map(({ backlog }) => backlog)

    // 700 is the warning; the commit that was welcomed just before it comes on top.
    expect(Math.max(...backlogs)).toBeLessThan(750)
  })
})
