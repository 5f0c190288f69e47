import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  ConceptId,
  open,
  type QuarantinedEvent,
  restore,
  type Store,
  type StoredEvent,
  type Subscription,
  type TelemetryEvent
} from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

/** Fails at once and often, so that no test waits for a second. */
const SOON = { times: 2, firstMs: 1, maxMs: 2 }

describe('delivery', () => {
  test('everything there is, then everything that comes, in order', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 30)
    const seen: number[] = []

    const subscription = await store.subscribe('mailer', {}, (event) => {
      seen.push(event.position)
    })
    await subscription.caughtUp()
    await learn(store, 30, 50)
    await subscription.caughtUp()

    expect(seen).toEqual(upTo(50))
    expect(subscription).toMatchObject({ name: 'mailer', state: 'running', position: 50 })
    expect(store.stats().subscriptions).toEqual({
      mailer: {
        state: 'running',
        position: 50,
        lagEvents: 0,
        lagMs: 0,
        attempts: 0,
        quarantined: 0,
        delivered: 50,
        retries: 0
      }
    })
    expect(store.metrics()).toContain('sutra_subscription_lag_events{subscription="mailer"} 0\n')
  })

  test('one at a time: the next waits for the one before', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 20)
    const told: string[] = []

    const subscription = await store.subscribe('slow', {}, async ({ position }) => {
      told.push(`+${position}`)
      await sleep(position % 3)
      told.push(`-${position}`)
    })
    await subscription.caughtUp()

    expect(told).toEqual(upTo(20).flatMap((position) => [`+${position}`, `-${position}`]))
  })

  test('goes on behind the checkpoint, whatever `from` says then', async () => {
    await using temporary = await openTemporaryStore()
    await learn(temporary.store, 0, 10)
    const first = await collect(temporary.store, 'mailer', {})
    expect(first).toEqual(upTo(10))

    const again = await temporary.reopen()
    await learn(again, 10, 13)

    expect(await collect(again, 'mailer', { from: 'start' })).toEqual([11, 12, 13])
  })

  test.each([
    { from: 'start' as const, expected: [1, 2, 3, 4, 5, 6] },
    { from: 'now' as const, expected: [6] },
    { from: 3, expected: [3, 4, 5, 6] },
    { from: 6, expected: [6] }
  ])('begins $from', async ({ from, expected }) => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 5)
    const seen: number[] = []

    const subscription = await store.subscribe('one', { from }, ({ position }) => {
      seen.push(position)
    })
    await learn(store, 5, 6)
    await subscription.caughtUp()

    expect(seen).toEqual(expected)
  })

  test('only types, only what is about a concept; the rest is passed over', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    await store.associate({ source: { key: 'k0' }, target: { key: 'k1' }, type: 'x' })
    await store.reinforce({ key: 'k0' }, { strength: 0.5 })

    expect(await collect(store, 'types', { types: ['concept-reinforced'] })).toEqual([5])
    expect(await collect(store, 'none', { types: ['vectors-declared'] })).toEqual([])
    expect(await collect(store, 'about', { concept: ConceptId.fromKey('k1') })).toEqual([2, 4])
    expect(store.stats().subscriptions['none']).toMatchObject({ position: 5, lagEvents: 0 })
  })

  test('in batches, over frames and within large ones', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 10)
    await store.commit(upTo(25).map((i) => ({ do: 'learn', content: `many ${i}` })))
    const batches: number[][] = []

    const subscription = await store.subscribe('batches', { batch: 8 }, (events) => {
      batches.push(events.map(({ position }) => position))
    })
    await subscription.caughtUp()

    expect(batches.flat()).toEqual(upTo(35))
    const lengths = batches.map(({ length }) => length)
    expect(Math.max(...lengths)).toBe(8)
    // A slow machine may end a batch with its frame, but none within the large commit.
    expect(lengths.filter((length) => length === 8).length).toBeGreaterThanOrEqual(2)
  })

  test('only what a power cut cannot take back', async () => {
    await using temporary = await openTemporaryStore({ durability: 'os' })
    const { store } = temporary
    const early: number[] = []
    const subscription = await store.subscribe('careful', {}, ({ position }) => {
      if (position > store.stats().durableHead) early.push(position)
    })

    await learn(store, 0, 300)
    await subscription.caughtUp()

    expect(early).toEqual([])
  })

  test('a handler may write to the store that it listens to', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const options = { types: ['concept-learned'] }
    const subscription = await store.subscribe('echo', options, async ({ data }) => {
      const content = String(data['content'])
      if (!content.startsWith('echo')) await store.learn({ content: `echo of ${content}` })
    })

    await learn(store, 0, 5)
    await subscription.caughtUp(5)
    await subscription.caughtUp()

    expect((await store.counts()).concepts).toBe(10)
  })
})

describe('a handler that fails', () => {
  test('gets the event again, and no other before it', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 5)
    const seen: [number, number, boolean][] = []
    const told = telemetryOf(store)

    const subscription = await store.subscribe('flaky', { retry: SOON }, (event, delivery) => {
      seen.push([event.position, delivery.attempt, delivery.redelivered])
      if (event.position % 2 === 0 && delivery.attempt < 3) throw new Error('not now')
    })
    await subscription.caughtUp()

    expect(seen).toEqual([
      [1, 1, false],
      [2, 1, false],
      [2, 2, true],
      [2, 3, true],
      [3, 1, false],
      [4, 1, false],
      [4, 2, true],
      [4, 3, true],
      [5, 1, false]
    ])
    expect(subscription.stats()).toMatchObject({ delivered: 5, retries: 4, quarantined: 0 })
    const retrying = told.filter(({ type }) => type === 'subscription-retrying')
    expect(retrying).toHaveLength(4)
    expect(retrying[0]).toMatchObject({ subscription: 'flaky', position: 2, error: 'not now' })
    expect(told.filter(({ type }) => type === 'subscription-caught-up')).toHaveLength(1)
  })

  test('too often: the event is set aside as an event of its own, and the rest goes on', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 5)
    const [state, content] = [await store.stateHash(), await store.contentHash()]
    const told = telemetryOf(store)

    const seen = await collectPoisoned(store, 'picky', new Set([2, 4]))

    expect(seen).toEqual([1, 3, 5])
    const noted = await eventsOf(store, 6)
    expect(noted.map(({ type, data }) => ({ type, data }))).toEqual(
      [2, 4].map((position) => ({
        type: 'event-quarantined',
        data: { subscription: 'picky', position, attempts: 3, error: 'Error: poison' }
      }))
    )
    expect(told.filter(({ type }) => type === 'subscription-quarantined')).toHaveLength(2)
    // It says nothing about knowledge.
    expect([await store.stateHash(), await store.contentHash()]).toEqual([state, content])
    expect(await store.verify()).toMatchObject({ ok: true })
    const again = await temporary.reopen()
    expect(await again.stateHash()).toBe(state)
  })

  test('what is set aside is listed, tried again on request, or dropped', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 6)
    let poison = new Set([2, 3, 5])
    const seen: [number, boolean][] = []
    const subscription = await store.subscribe('picky', { retry: SOON }, (event, delivery) => {
      if (poison.has(event.position)) throw new Error('poison')
      seen.push([event.position, delivery.redelivered])
    })
    await subscription.caughtUp(6)
    const listed = await listOf(subscription)
    expect(listed.map(({ position, noted, attempts }) => [position, noted, attempts])).toEqual([
      [2, 7, 3],
      [3, 8, 3],
      [5, 9, 3]
    ])
    expect(listed[0]?.event).toMatchObject({ position: 2, data: { key: 'k1' } })

    await expect(subscription.retry(2)).rejects.toThrow('poison')
    subscription.pause()
    poison = new Set()
    await subscription.retry(2)
    await subscription.discard(5)
    await expect(subscription.retry(2)).rejects.toMatchObject({ code: 'OPTION_INVALID' })
    await expect(subscription.discard(1)).rejects.toMatchObject({ code: 'OPTION_INVALID' })

    expect(seen.at(-1)).toEqual([2, true])
    expect((await listOf(subscription)).map(({ position }) => position)).toEqual([3])
    const released = await eventsOf(store, 10)
    expect(released.map(({ type, data }) => [type, data['position'], data['outcome']])).toEqual([
      ['event-released', 2, 'handled'],
      ['event-released', 5, 'discarded']
    ])
    await subscription.close()
    const again = await temporary.reopen()
    expect(await again.subscriptions()).toEqual([
      { name: 'picky', state: 'stopped', position: 9, lagEvents: 2, quarantined: 1 }
    ])
  })

  test('in a batch: only the poison of it is set aside', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 20)
    const done = new Set<number>()
    const options = { batch: 7, retry: SOON }

    const subscription = await store.subscribe('batches', options, (events) => {
      if (events.some(({ position }) => position === 10)) throw new Error('poison')
      for (const { position } of events) done.add(position)
    })
    await subscription.caughtUp(20)

    expect([...done].sort((a, b) => a - b)).toEqual(upTo(20).filter((one) => one !== 10))
    expect((await listOf(subscription)).map(({ position }) => position)).toEqual([10])
  })

  test('stops in front of the event when there is no room to set it aside', async () => {
    await using temporary = await openTemporaryStore()
    await learn(temporary.store, 0, 5)
    const told = telemetryOf(temporary.store)
    const poison = new Error('poison')
    const options = { retry: SOON, quarantineMax: 0 }

    const subscription = await temporary.store.subscribe('strict', options, ({ position }) => {
      if (position === 3) throw poison
    })

    await expect(subscription.done).rejects.toMatchObject({
      code: 'SUBSCRIPTION_STOPPED',
      details: { subscription: 'strict', position: 2 },
      cause: poison
    })
    expect(subscription.state).toBe('stopped')
    expect(temporary.store.stats().subscriptions['strict']).toMatchObject({ state: 'stopped' })
    expect(told.filter(({ type }) => type === 'subscription-stopped')).toHaveLength(1)
    await expect(subscription.caughtUp()).rejects.toMatchObject({ code: 'SUBSCRIPTION_STOPPED' })
    await expect(subscription.reset()).rejects.toMatchObject({ code: 'SUBSCRIPTION_STOPPED' })
    await subscription.close()

    // The name is free again, and what was in its hands counts as delivered before.
    const seen: [number, boolean][] = []
    const again = await (await temporary.reopen()).subscribe('strict', {}, (event, delivery) => {
      seen.push([event.position, delivery.redelivered])
    })
    await again.caughtUp()
    expect(seen).toEqual([
      [3, true],
      [4, true],
      [5, true]
    ])
  })

  test('on every event: stops once the quarantine is full', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 10)
    const options = { retry: { times: 0 }, quarantineMax: 3 }

    const subscription = await store.subscribe('broken', options, () => {
      throw new Error('broken')
    })

    await expect(subscription.done).rejects.toThrow('3 events are in quarantine')
    expect(subscription.position).toBe(3)
    expect(store.head).toBe(13)
  })

  test('never gets what the log says of itself, unless another one asks for it', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    const types = ['concept-learned', 'event-quarantined']
    const poison = new Set([2])

    const own = await collectPoisoned(store, 'picky', poison, types)
    const other = await collect(store, 'watcher', { types: ['event-quarantined'] })
    const all = await collect(store, 'all', {})

    expect(own).toEqual([1, 3])
    expect(other).toEqual([4])
    expect(all).toEqual([1, 2, 3])
  })
})

describe('what its owner asks for', () => {
  test('a pause: nothing is delivered until it goes on', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const seen: number[] = []
    const subscription = await store.subscribe('mailer', {}, ({ position }) => {
      seen.push(position)
      if (position === 2) subscription.pause()
    })
    await learn(store, 0, 5)
    await subscription.caughtUp(2)
    await sleep(20)
    expect(subscription.state).toBe('paused')
    expect(seen).toEqual([1, 2])
    expect(subscription.stats()).toMatchObject({ lagEvents: 3 })

    subscription.resume()
    await subscription.caughtUp()

    expect(seen).toEqual(upTo(5))
  })

  test('a reset: delivered again from there on, which what is in quarantine leaves', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 5)
    const seen: number[] = []
    const poison = new Set([2, 4])
    const subscription = await store.subscribe('picky', { retry: SOON }, ({ position }) => {
      if (poison.has(position)) throw new Error('poison')
      seen.push(position)
    })
    await subscription.caughtUp(5)

    poison.delete(4)
    await subscription.reset(3)
    await subscription.caughtUp()
    expect(seen).toEqual([1, 3, 5, 3, 4, 5])
    expect((await listOf(subscription)).map(({ position }) => position)).toEqual([2])

    await subscription.reset('start')
    await subscription.caughtUp()
    expect(seen.slice(6)).toEqual([1, 3, 4, 5])
    // Noted again, because it is another time that it was set aside.
    const noted = (await eventsOf(store, 6)).map(({ data }) => data['position'])
    expect(noted).toEqual([2, 4, 2])
    await subscription.reset('now')
    expect(subscription.position).toBe(store.head)
  })

  test('to begin again, and what comes again is told as such after a clean end too', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 10)
    const first = await store.subscribe('again', {}, () => {})
    await first.caughtUp()
    const third = gate()
    let last = 0
    await first.close()
    const second = await store.subscribe('again', {}, ({ position }, { stop }) => {
      last = position
      if (position === 3) {
        stop()
        third.open()
      }
    })
    await second.reset('start')
    await third.opened
    await second.done
    expect(last).toBe(3)

    const seen: boolean[] = []
    const other = await store.subscribe('again', {}, (_, { redelivered }) => {
      seen.push(redelivered)
    })
    await other.caughtUp()

    expect(seen).toEqual(Array.from({ length: 7 }, () => true))
  })

  test('a handler that throws what no text can be made of is tried again', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 2)
    const thrown: unknown[] = [
      Object.create(null),
      new Proxy({}, { getPrototypeOf: () => raise(), get: () => raise() })
    ]
    const seen: number[] = []
    const subscription = await store.subscribe('odd', { retry: SOON }, ({ position }) => {
      if (thrown.length > 0) throw thrown.pop()
      seen.push(position)
    })
    await subscription.caughtUp()
    expect(seen).toEqual([1, 2])
  })

  test('to tell what is set aside, but not once the store is closed', async () => {
    const temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    const subscription = await store.subscribe('late', { retry: SOON }, ({ position }) => {
      if (position === 2) throw new Error('poison')
    })
    await subscription.caughtUp()
    const list = subscription.quarantined()
    await temporary[Symbol.asyncDispose]()
    await expect(gather(list)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('to be closed: the running handler is told, waited for, and done', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 5)
    const ended: number[] = []
    const began = gate()

    const subscription = await store.subscribe('slow', {}, async ({ position }, { signal }) => {
      began.open()
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
      ended.push(position)
    })
    await began.opened
    await subscription.close()

    expect(ended).toEqual([1])
    expect(subscription).toMatchObject({ state: 'stopped', position: 1 })
    await subscription.done
    await expect(subscription.caughtUp()).rejects.toThrow('it was closed')
    expect(await collect(store, 'slow', {})).toEqual([2, 3, 4, 5])
  })

  test('a handler that gives up when it is told to end has not failed', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    const began = gate()
    const options = { retry: { times: 0 } }

    const subscription = await store.subscribe('fetch', options, async (_, { signal }) => {
      began.open()
      await sleep(60_000, undefined, { signal })
    })
    await began.opened
    await store.close()

    await subscription.done
    const again = await temporary.reopen()
    expect(again.head).toBe(3)
    expect(await collect(again, 'fetch', {})).toEqual([1, 2, 3])
  })

  test('a close does not wait for the next retry', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    const retry = { firstMs: 3_600_000, maxMs: 3_600_000 }
    const failed = gate()
    const subscription = await store.subscribe('down', { retry }, () => {
      failed.open()
      throw new Error('down')
    })
    await failed.opened
    await sleep(5)
    expect(subscription.state).toBe('retrying')

    await store.close()

    await subscription.done
  })

  test('the signal of the caller, and `stop` of the handler, end it too', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 5)
    const abort = new AbortController()

    const one = await store.subscribe('one', { signal: abort.signal }, ({ position }) => {
      if (position === 2) abort.abort()
    })
    const two = await store.subscribe('two', {}, ({ position }, { stop }) => {
      if (position === 3) stop()
    })
    await Promise.all([one.done, two.done])

    expect([one.position, two.position]).toEqual([2, 3])
  })

  test('a handler that waits for the store to close does not keep it from closing', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 2)
    const closed = gate()
    const subscription = await store.subscribe('last', {}, async () => {
      await store.close()
      closed.open()
    })

    await closed.opened
    await subscription.done

    const again = await temporary.reopen()
    expect(await collect(again, 'last', {})).toEqual([1, 2])
  }, 30_000)
})

describe('exactly once, with the position in the storage of the handler', () => {
  test('the handler says where it has come, and that counts', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 8)
    // What one transaction of the handler's own database holds: the effect and the position.
    let saved = { position: 0, effects: [] as number[] }
    const handle = ({ position }: StoredEvent): void => {
      if (position <= saved.position) return
      saved = { position, effects: [...saved.effects, position] }
      // Its outcome is lost on the way back.
      if (position % 3 === 0) throw new Error('the connection broke')
    }
    const options = { retry: SOON, resumeAfter: () => saved.position }

    const subscription = await store.subscribe('ledger', options, handle)
    await subscription.caughtUp()
    await subscription.close()
    expect(saved.effects).toEqual(upTo(8))

    // A backup of that database is put in its place: it is told what it lacks.
    saved = { position: 4, effects: upTo(4) }
    const again = await store.subscribe('ledger', options, handle)
    await again.caughtUp()
    expect(saved.effects).toEqual(upTo(8))
    saved = { position: 2, effects: upTo(2) }
    await again.reset()
    await again.caughtUp()
    expect(saved.effects).toEqual(upTo(8))
  })
})

test('what is in quarantine stays there, though the handler has not come so far by itself', async () => {
  await using temporary = await openTemporaryStore()
  const { store } = temporary
  await learn(store, 0, 4)
  let saved = 0
  const attempts: [number, boolean][] = []
  const options = { retry: SOON, resumeAfter: () => saved }
  const begin = async (): Promise<Subscription> =>
    store.subscribe('ledger', options, ({ position }, { redelivered }) => {
      attempts.push([position, redelivered])
      if (position === 2 || position === 4) throw new Error('poison')
      saved = position
    })
  const subscription = await begin()
  await subscription.caughtUp(4)
  await subscription.close()
  expect(saved).toBe(3)
  attempts.length = 0
  saved = 1

  await using again = await begin()
  await again.caughtUp()

  expect(attempts).toEqual([[3, true]])
  expect((await listOf(again)).map(({ position }) => position)).toEqual([2, 4])
  expect(store.head).toBe(6)
})

describe('the checkpoint', () => {
  test('is forgotten with its subscription', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    await store.subscribe('mailer', {}, () => undefined)

    expect(await store.unsubscribe('mailer')).toBe(true)
    expect(await store.unsubscribe('mailer')).toBe(false)

    expect(await store.subscriptions()).toEqual([])
    expect(store.stats().subscriptions).toEqual({})
    expect(await collect(store, 'mailer', {})).toEqual([1, 2, 3])
  })

  test('names that differ in case alone, or in what no file is called, are apart', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 2)
    const names = ['a', 'A', '../a', 'a/b', 'ä', 'é'.repeat(64), 'CON', '.']

    for (const name of names) expect(await collect(store, name, {})).toEqual([1, 2])

    const again = await temporary.reopen()
    const known = (await again.subscriptions()).map(({ name }) => name)
    expect(known.sort()).toEqual([...names].sort())
    for (const name of names) expect(await collect(again, name, {})).toEqual([])
  })

  test('damaged, is told and never taken for a new one', async () => {
    await using temporary = await openTemporaryStore()
    await learn(temporary.store, 0, 3)
    expect(await collect(temporary.store, 'mailer', {})).toEqual([1, 2, 3])
    await temporary.store.close()
    const file = await fileOf(temporary.directory)
    await writeFile(file, (await readFile(file)).fill(0xff))

    const store = await temporary.reopen()

    const damaged = { code: 'SUBSCRIPTION_DAMAGED', details: { subscription: 'mailer' } }
    await expect(store.subscribe('mailer', {}, () => undefined)).rejects.toMatchObject(damaged)
    expect(await store.subscriptions()).toMatchObject([{ state: 'stopped', error: /whole/ }])
    expect(await store.unsubscribe('mailer')).toBe(true)
    expect(await collect(store, 'mailer', { from: 3 })).toEqual([3])
  })

  test('any byte of it that is changed leads to an older one or to the error', async () => {
    await using temporary = await openTemporaryStore()
    await learn(temporary.store, 0, 3)
    expect(await collect(temporary.store, 'mailer', {})).toEqual([1, 2, 3])
    await temporary.store.close()
    const file = await fileOf(temporary.directory)
    const bytes = await readFile(file)
    const written = [...bytes.keys()].filter((at) => bytes[at] !== 0)

    const store = await temporary.reopen()
    for (const at of written) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 0x40
      await writeFile(file, changed)
      // With two more intact slots, what is delivered may only be more than needed.
      const seen = await collect(store, 'mailer', {})
      expect(seen).toEqual(upTo(3).slice(3 - seen.length))
    }
    expect(written.length).toBeGreaterThan(100)
  })

  test('of another history than the log is refused', async () => {
    const [backup, restored] = [await temporaryPath(), await temporaryPath()]
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    await store.backup(backup)
    await learn(store, 3, 6)
    expect(await collect(store, 'mailer', {})).toEqual(upTo(6))
    await store.close()
    await restore(backup, restored)
    const old = await fileOf(temporary.directory)

    const other = await open(restored)
    try {
      await collect(other, 'mailer', {})
      await writeFile(await fileOf(restored), await readFile(old))
      const diverged = { code: 'SUBSCRIPTION_DIVERGED' }
      // The log ends before it, and then goes on with other facts.
      for (const head of [3, 5, 6, 9]) {
        if (head > other.head) await learn(other, other.head + 100, head + 100)
        await sleep(2)
        const details = { subscription: 'mailer', position: 6, head }
        await expect(other.subscribe('mailer', {}, () => undefined)).rejects.toMatchObject({
          ...diverged,
          details
        })
      }
      const resumeAfter = (): number => 10
      await other.unsubscribe('mailer')
      await expect(
        other.subscribe('mailer', { resumeAfter }, () => undefined)
      ).rejects.toMatchObject({ ...diverged, details: { position: 10, head: 9 } })
    } finally {
      await other.close()
    }
  })

  test('is there for a store that only reads, which cannot move it', async () => {
    await using temporary = await openTemporaryStore()
    await learn(temporary.store, 0, 3)
    await collect(temporary.store, 'mailer', {})

    const store = await temporary.reopen({ readOnly: true })

    expect(await store.subscriptions()).toMatchObject([{ name: 'mailer', position: 3 }])
    const readOnly = { code: 'STORE_READ_ONLY' }
    await expect(store.subscribe('mailer', {}, () => undefined)).rejects.toMatchObject(readOnly)
    await expect(store.unsubscribe('mailer')).rejects.toMatchObject(readOnly)
  })
})

describe('refused before anything is done', () => {
  const handler = (): undefined => undefined
  test.each([
    ['name', ''],
    ['name', 'x'.repeat(129)],
    ['name', '\ud800'],
    ['name', 'a\0b']
  ])('%s %j', async (option, name) => {
    await using temporary = await openTemporaryStore({ check: false })
    await expect(temporary.store.subscribe(name, {}, handler)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      details: { option }
    })
    expect(await readdir(temporary.directory)).not.toContain('subscriptions')
  })

  test.each([
    ['from', { from: 0 }],
    ['types', { types: [] }],
    ['from', { from: 1.5 }],
    ['from', { from: 'yesterday' }],
    ['fron', { fron: 1 }],
    ['batch', { batch: 0 }],
    ['batch', { batch: 1001 }],
    ['types', { types: 'concept-learned' }],
    ['types', { types: [''] }],
    ['quarantineMax', { quarantineMax: -1 }],
    ['quarantineMax', { quarantineMax: 1001 }],
    ['checkpointEvery.events', { checkpointEvery: { events: 0 } }],
    ['checkpointEvery.ms', { checkpointEvery: { ms: Number.NaN } }],
    ['checkpointEvery.s', { checkpointEvery: { s: 1 } }],
    ['retry.times', { retry: { times: -1 } }],
    ['retry.firstMs', { retry: { firstMs: '1' } }],
    ['retry.maxMs', { retry: { firstMs: 10, maxMs: 9 } }],
    ['retry.jitter', { retry: { jitter: 2 } }],
    ['retry.ms', { retry: { ms: 2 } }]
  ])('%s in %j', async (option, options) => {
    await using temporary = await openTemporaryStore({ check: false })
    // What a JavaScript program may pass.
    const asked = temporary.store.subscribe('one', options as object, handler)
    await expect(asked).rejects.toMatchObject({ details: { option } })
    expect(await readdir(temporary.directory)).not.toContain('subscriptions')
  })

  test.each([
    [undefined, {}, handler],
    ['one', null, handler],
    ['one', {}, 'handler'],
    ['one', { resumeAfter: 5 }, handler],
    ['one', { signal: {} }, handler]
  ])('a wrong type: %j, %j, %j', async (name, options, given) => {
    await using temporary = await openTemporaryStore({ check: false })
    const asked = temporary.store.subscribe(name as string, options as object, given as () => void)
    await expect(asked).rejects.toBeInstanceOf(TypeError)
  })

  test('what lies beyond the head', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await learn(store, 0, 3)
    const far = { details: { option: 'from' } }
    await expect(store.subscribe('one', { from: 5 }, handler)).rejects.toMatchObject(far)
    const one = await store.subscribe('one', { from: 4 }, handler)
    await expect(one.reset(5)).rejects.toMatchObject({ details: { option: 'to' } })
    await expect(one.caughtUp(4)).rejects.toMatchObject({ details: { option: 'position' } })
    await expect(store.subscribe('one', {}, handler)).rejects.toMatchObject({
      code: 'SUBSCRIPTION_ACTIVE',
      details: { subscription: 'one' }
    })
  })

  test('a resumeAfter that says nonsense, or throws', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const nonsense = { resumeAfter: () => Number.NaN }
    await expect(store.subscribe('one', nonsense, handler)).rejects.toMatchObject({
      details: { option: 'resumeAfter' }
    })
    const broken = { resumeAfter: () => Promise.reject(new Error('no connection')) }
    await expect(store.subscribe('one', broken, handler)).rejects.toThrow('no connection')
    // The name is not taken by what did not begin.
    await (await store.subscribe('one', {}, handler)).close()
  })
})

async function learn(store: Store, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await store.learn({ id: { key: `k${i}` }, content: `c${i}` })
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, i) => i + 1)
}

async function collect(
  store: Store,
  name: string,
  options: { from?: 'start' | 'now' | number; types?: readonly string[]; concept?: ConceptId }
): Promise<number[]> {
  const seen: number[] = []
  await using subscription = await store.subscribe(name, options, ({ position }) => {
    seen.push(position)
  })
  await subscription.caughtUp()
  return seen
}

async function collectPoisoned(
  store: Store,
  name: string,
  poison: ReadonlySet<number>,
  types?: readonly string[]
): Promise<number[]> {
  const seen: number[] = []
  const options = { retry: SOON, ...(types === undefined ? {} : { types }) }
  await using subscription = await store.subscribe(name, options, ({ position }) => {
    if (poison.has(position)) throw new Error('poison')
    seen.push(position)
  })
  await subscription.caughtUp()
  await subscription.caughtUp()
  return seen
}

async function listOf(subscription: Subscription): Promise<QuarantinedEvent[]> {
  return gather(subscription.quarantined())
}

async function gather<T>(members: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = []
  for await (const member of members) gathered.push(member)
  return gathered
}

async function eventsOf(store: Store, from: number): Promise<StoredEvent[]> {
  return gather(store.events({ from }))
}

function telemetryOf(store: Store): TelemetryEvent[] {
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))
  return told
}

function gate(): { open: () => void; opened: Promise<void> } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

async function fileOf(directory: string): Promise<string> {
  const home = join(directory, 'subscriptions')
  const [name = ''] = await readdir(home)
  return join(home, name)
}

function raise(): never {
  throw new Error('not to be looked at')
}
