/** Alerts of an open store: on the stream, to the callback and in the statistics. */
import { type AlertEvent, type AlertRule, open, type TelemetryEvent } from 'sutra-storage'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { temporaryPath } from '../support/temp.ts'

/** Met by every process. */
const ALWAYS: AlertRule = { name: 'alive', metric: 'memory.rssBytes', above: 1 }
/** Met while more than two commits are in the window. */
const BUSY: AlertRule = { name: 'busy', metric: 'latency.commit.count', above: 2, severity: 'info' }

const soon = { timeout: 10_000, interval: 20 }

test('an alert goes to the callback and the stream alike, and is among the statistics', async () => {
  const called: AlertEvent[] = []
  await using store = await open(await temporaryPath(), {
    telemetry: { windowMs: 1000 },
    alerts: { rules: [BUSY], defaults: false, onAlert: (event) => called.push(event) }
  })
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))
  const alerts = (): TelemetryEvent[] => told.filter(({ type }) => type.startsWith('alert-'))
  for (let i = 0; i < 5; i++) await store.learn({ content: `One of many ${i}` })

  expect(store.stats().alerts).toMatchObject([{ name: 'busy', value: 5, threshold: 2 }])
  expect(called).toMatchObject([
    { type: 'alert-raised', v: 1, name: 'busy', severity: 'info', metric: BUSY.metric, of: '' }
  ])
  // The commits leave the window.
  await vi.waitFor(() => expect(called).toHaveLength(2), soon)
  expect(called[1]).toMatchObject({ type: 'alert-cleared', name: 'busy' })
  expect(alerts()).toEqual(called)
  expect(store.stats().alerts).toEqual([])
})

test('who subscribes late is told of what is raised', async () => {
  await using store = await open(await temporaryPath(), {
    alerts: { rules: [ALWAYS], defaults: false }
  })
  expect(store.stats().alerts).toHaveLength(1)
  const told: TelemetryEvent[] = []
  store.telemetry$.subscribe((event) => told.push(event))
  expect(told).toContainEqual(expect.objectContaining({ type: 'alert-raised', name: 'alive' }))
})

test('a callback alone is enough, and is told nothing after the store was closed', async () => {
  const called: AlertEvent[] = []
  const store = await open(await temporaryPath(), {
    alerts: { rules: [ALWAYS], defaults: false, onAlert: (event) => called.push(event) }
  })
  await vi.waitFor(() => expect(called).toHaveLength(1), soon)
  await store.close()
  await new Promise((resolve) => setTimeout(resolve, 1200))
  expect(called).toHaveLength(1)
})

test('the disk is asked while somebody watches, though nothing is written', async () => {
  await using store = await open(await temporaryPath())
  expect(store.stats().disk.freeBytes).toBe(0)
  store.telemetry$.subscribe()
  await vi.waitFor(() => expect(store.stats().disk.freeBytes).toBeGreaterThan(0), soon)
})

test('a latency of too few samples is not looked at', async () => {
  const slow: AlertRule = { name: 'slow', metric: 'latency.commit.p99Us', above: 0, minCount: 3 }
  await using store = await open(await temporaryPath(), {
    alerts: { rules: [slow], defaults: false }
  })
  await store.learn({ content: 'First' })
  await store.learn({ content: 'Second' })
  expect(store.stats().alerts).toEqual([])
  await store.learn({ content: 'Third' })
  expect(store.stats().alerts).toMatchObject([{ name: 'slow' }])
})

test('a subscription that stopped by itself is told, and none that its program ended', async () => {
  await using store = await open(await temporaryPath())
  await store.learn({ content: 'One' })
  const given = { retry: { times: 0 }, quarantineMax: 0 }
  const bad = await store.subscribe('bad', given, () => {
    throw new Error('a bug of the handler')
  })
  const good = await store.subscribe('good', {}, () => undefined)
  await good.caughtUp()
  await good.close()
  await expect(bad.done).rejects.toMatchObject({ code: 'SUBSCRIPTION_STOPPED' })

  const raised = store.stats().alerts.filter(({ metric }) => metric.startsWith('subscription.'))
  expect(raised).toMatchObject([{ name: 'subscription-stopped', of: 'bad', severity: 'critical' }])

  // Somebody saw to it: the alert is over.
  await store.unsubscribe('bad')
  expect(store.stats().alerts).toEqual([])
})

describe('a callback that throws', () => {
  const uncaught: unknown[] = []
  let listeners: NodeJS.UncaughtExceptionListener[] = []
  beforeEach(() => {
    uncaught.length = 0
    listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.on('uncaughtException', (error) => uncaught.push(error))
  })
  afterEach(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
  })

  test('breaks nothing of the store, and is reported on its own', async () => {
    const bug = new Error('a bug of the callback')
    await using store = await open(await temporaryPath(), {
      alerts: {
        rules: [ALWAYS, { ...ALWAYS, name: 'alive too' }],
        defaults: false,
        onAlert: () => {
          throw bug
        }
      }
    })
    expect(store.stats().alerts).toHaveLength(2)
    await store.learn({ content: 'All is well' })
    await vi.waitFor(() => expect(uncaught).toEqual([bug, bug]), soon)
  })
})

test('nobody who listens, no timer', async () => {
  await using store = await open(await temporaryPath())
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length
  await store.caughtUp()
  const before = timers()
  const subscription = store.telemetry$.subscribe()
  expect(timers()).toBeLessThanOrEqual(before + 1)
  subscription.unsubscribe()
  await vi.waitFor(() => expect(timers()).toBeLessThanOrEqual(before), soon)
})
