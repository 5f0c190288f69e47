import { Subscriber } from 'rxjs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import type { NewTelemetryEvent, TelemetryEvent } from '#sutra/telemetry/types.js'

const event: NewTelemetryEvent = { type: 'closed', time: 1, position: 7 }

test('The hub is active only while somebody has subscribed', () => {
  const hub = new TelemetryHub()
  expect(hub.active).toBe(false)
  const subscription = hub.events$.subscribe()
  expect(hub.active).toBe(true)
  subscription.unsubscribe()
  expect(hub.active).toBe(false)
})

test('Every subscriber gets what is emitted after it came', () => {
  const hub = new TelemetryHub()
  const seen: TelemetryEvent[][] = [[], []]
  hub.emit(event)
  hub.events$.subscribe((one) => seen[0]?.push(one))
  hub.emit(event)
  hub.events$.subscribe((one) => seen[1]?.push(one))
  hub.emit(event)
  expect(seen.map((one) => one.length)).toEqual([2, 1])
})

test('Each event gets its version', () => {
  const hub = new TelemetryHub()
  const seen: TelemetryEvent[] = []
  hub.events$.subscribe((one) => seen.push(one))
  hub.emit({ ...event })
  expect(seen).toEqual([{ ...event, v: 1 }])
})

test('The first to come and the last to go are reported, whoever they are', () => {
  const hub = new TelemetryHub()
  const active: boolean[] = []
  hub.whenActive((one) => active.push(one))
  const first = hub.events$.subscribe()
  const second = hub.events$.subscribe()
  first.unsubscribe()
  second.unsubscribe()
  hub.events$.subscribe()
  expect(active).toEqual([true, false, true])
})

test('Who subscribes while an event is told hears of the next one', () => {
  const hub = new TelemetryHub()
  let late = 0
  hub.events$.subscribe(() => {
    if (late === 0) hub.events$.subscribe(() => (late += 1))
  })
  hub.emit(event)
  expect(late).toBe(0)
  hub.emit(event)
  expect(late).toBe(1)
})

test('Only what takes longer than it may is told as slow, and only then put into words', () => {
  const hub = new TelemetryHub(50)
  const seen: TelemetryEvent[] = []
  hub.events$.subscribe((one) => seen.push(one))
  const unasked = (): string => {
    throw new Error('nobody needs words for this')
  }
  hub.timed('get', 49_999, unasked)
  hub.timed('import', 499_999, unasked)
  new TelemetryHub(0).timed('get', 1e12, unasked)
  expect(seen).toEqual([])
  hub.timed('get', 50_000, () => 'one')
  hub.timed('import', 600_000, () => 'many')
  expect(seen).toMatchObject([
    { type: 'slow-operation', operation: 'get', us: 50_000, thresholdUs: 50_000, what: 'one' },
    { type: 'slow-operation', operation: 'import', us: 600_000, thresholdUs: 500_000, what: 'many' }
  ])
})

test('Subscribers are told the end, later ones too', () => {
  const hub = new TelemetryHub()
  let ended = 0
  const complete = (): void => {
    ended += 1
  }
  hub.events$.subscribe({ complete })
  hub.complete()
  hub.events$.subscribe({ complete })
  hub.emit(event)
  expect(ended).toBe(2)
  expect(hub.active).toBe(false)
})

describe('A subscriber that throws', () => {
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
  const turns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))
  const bug = new Error('a bug of the subscriber')

  test('breaks neither the emitter nor the others, and is reported on its own', async () => {
    const hub = new TelemetryHub()
    const seen: TelemetryEvent[] = []
    hub.events$.subscribe(() => {
      throw bug
    })
    hub.events$.subscribe((one) => seen.push(one))
    hub.emit(event)
    hub.emit(event)
    expect(seen).toHaveLength(2)
    expect(uncaught).toEqual([])
    await turns()
    expect(uncaught).toEqual([bug, bug])
  })

  test('does not break the emitter even past the guards of RxJS', async () => {
    class Raw extends Subscriber<TelemetryEvent> {
      override next(): void {
        throw bug
      }
    }
    const hub = new TelemetryHub()
    hub.events$.subscribe(new Raw())
    hub.emit(event)
    await turns()
    expect(uncaught).toEqual([bug])
  })
})
