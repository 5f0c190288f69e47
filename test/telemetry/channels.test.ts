import { AsyncLocalStorage } from 'node:async_hooks'
import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { resolve } from 'node:path'
import { type OperationMessage, open, type TelemetryMessage } from 'sutra-storage'
import { expect, onTestFinished, test } from 'vitest'
import { TelemetryHub } from '#sutra/telemetry/hub.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

const STEPS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const
type Step = (typeof STEPS)[number]

interface Told extends OperationMessage {
  step: Step
}

/** What a tracing channel of ours tells until the test ends. */
function listen(name: 'commit' | 'query' | 'task'): Told[] {
  const told: Told[] = []
  const handler = (step: Step) => (message: unknown) => {
    // The channel's own type; subscribers of node's channels are given `unknown`.
    told.push({ step, ...(message as OperationMessage) })
  }
  const handlers = {
    start: handler('start'),
    end: handler('end'),
    asyncStart: handler('asyncStart'),
    asyncEnd: handler('asyncEnd'),
    error: handler('error')
  }
  const channels = tracingChannel(`sutra:${name}`)
  channels.subscribe(handlers)
  onTestFinished(() => void channels.unsubscribe(handlers))
  return told
}

/** What `sutra:telemetry` tells until the test ends. */
function listenToTelemetry(): { messages: TelemetryMessage[]; stop: () => void } {
  const messages: TelemetryMessage[] = []
  const handler = (message: unknown): void => {
    // As the channel's documentation says.
    messages.push(message as TelemetryMessage)
  }
  subscribe('sutra:telemetry', handler)
  const stop = (): void => void unsubscribe('sutra:telemetry', handler)
  onTestFinished(stop)
  return { messages, stop }
}

test('A change is told under the name of its method, from its start to its end', async () => {
  await using temporary = await openTemporaryStore()
  const { store, directory } = temporary
  const told = listen('commit')
  const receipt = await store.learn({ content: 'a' })
  await store.commit([
    { do: 'learn', content: 'b' },
    { do: 'learn', content: 'c' }
  ])
  expect(told.map(({ step }) => step).slice(0, 4)).toEqual([
    'start',
    'end',
    'asyncStart',
    'asyncEnd'
  ])
  expect(told.map(({ operation }) => operation)).toEqual([
    ...Array.from({ length: 4 }, () => 'learn'),
    ...Array.from({ length: 4 }, () => 'commit')
  ])
  expect(told[0]).toEqual({ step: 'start', operation: 'learn', directory, batchSize: 1 })
  expect(told[3]?.result).toEqual(receipt)
  expect(told[7]?.batchSize).toBe(2)
})

test('What fails is told with its error, and the caller has it all the same', async () => {
  await using temporary = await openTemporaryStore()
  const told = listen('commit')
  const failing = temporary.store.forget({ key: 'none' })
  await expect(failing).rejects.toMatchObject({ code: 'CONCEPT_NOT_FOUND' })
  expect(told.map(({ step }) => step)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  expect(told[2]?.error).toMatchObject({ code: 'CONCEPT_NOT_FOUND' })
})

test('Each read is told once, also one that is made of others', async () => {
  await using temporary = await openTemporaryStore()
  const { store } = temporary
  const a = { key: 'a' }
  await store.commit([
    { do: 'learn', id: a, content: 'a' },
    { do: 'learn', id: { key: 'b' }, content: 'b' },
    { do: 'associate', source: a, target: { key: 'b' }, type: 'next' }
  ])
  const told = listen('query')
  await store.has(a)
  await store.get(a)
  await store.vector(a)
  await store.association({ source: a, target: { key: 'b' }, type: 'next' })
  await store.findPath(a, { key: 'b' })
  await store.stateHash()
  await store.contentHash()
  await using view = await store.view()
  await view.neighbors(a)
  const ended = told.filter(({ step }) => step === 'asyncEnd').map(({ operation }) => operation)
  expect(ended).toEqual([
    'has',
    'get',
    'vector',
    'association',
    'findPath',
    'stateHash',
    'contentHash',
    'neighbors'
  ])
})

test('What is iterated ends with its last item, with whoever stops, or with an error', async () => {
  await using temporary = await openTemporaryStore()
  const { store } = temporary
  await store.learn({ content: 'a' })
  await store.learn({ content: 'b' })
  const told = listen('query')
  const concepts = store.concepts()
  expect(told).toEqual([])
  for await (const _ of concepts) break
  expect(told.map(({ step }) => step)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
  told.length = 0
  const all: unknown[] = []
  for await (const one of store.concepts()) all.push(one)
  expect(all).toHaveLength(2)
  expect(told.at(-1)).toMatchObject({ step: 'asyncEnd', operation: 'concepts' })
  told.length = 0
  const wrong = store.concepts({ limit: -1 })[Symbol.asyncIterator]()
  await expect(wrong.next()).rejects.toMatchObject({ code: 'QUERY_INVALID' })
  expect(told.map(({ step }) => step)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
})

test('Opening and long work are tasks', async () => {
  const told = listen('task')
  const directory = await temporaryPath()
  const store = await open(directory)
  await store.ready()
  const view = await store.view()
  await view.close()
  await store.subscribe('watcher', {}, async () => {})
  await store.subscriptions()
  await store.unsubscribe('watcher')
  await store.verify()
  const chunks: Uint8Array[] = []
  for await (const chunk of store.export({ format: 'jsonl' })) chunks.push(chunk)
  await store.close()
  const ended = told.filter(({ step }) => step === 'asyncEnd')
  expect(ended.map(({ operation }) => operation)).toEqual([
    'open',
    'ready',
    'view',
    'subscribe',
    'subscriptions',
    'unsubscribe',
    'verify',
    'export',
    'close'
  ])
  expect(ended.every((one) => one.directory === resolve(directory))).toBe(true)
})

test('A store of the async context that is bound to a channel follows the work', async () => {
  const requests = new AsyncLocalStorage<string>()
  const seen: (string | undefined)[] = []
  const embed = async (texts: string[]): Promise<Float32Array[]> => {
    await Promise.resolve()
    seen.push(requests.getStore())
    return texts.map(() => Float32Array.of(1, 0))
  }
  await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 }, embed })
  const { start } = tracingChannel('sutra:commit')
  start.bindStore(requests, (message) => (message as OperationMessage).operation)
  onTestFinished(() => void start.unbindStore(requests))
  await temporary.store.learn({ content: 'a' })
  expect(seen).toEqual(['learn'])
})

test('Telemetry of every store is told with its directory, beginning with how it was opened', async () => {
  const { messages } = listenToTelemetry()
  const directory = await temporaryPath()
  const store = await open(directory)
  await store.learn({ content: 'a' })
  await store.get({ key: 'none' })
  await store.close()
  const types = messages.map(({ event }) => event.type)
  expect(types[0] === 'opened' || types.includes('opened')).toBe(true)
  expect(types.indexOf('opened')).toBeLessThan(types.indexOf('commit'))
  expect(types.indexOf('group-commit')).toBeLessThan(types.indexOf('commit'))
  expect(types).toContain('query')
  expect(types.at(-1)).toBe('closed')
  expect(new Set(messages.map((one) => one.directory))).toEqual(new Set([resolve(directory)]))
  expect(messages.every(({ event }) => event.v === 1)).toBe(true)
})

test('A subscriber may come while a store is open, and its leaving makes the hub idle again', () => {
  const hub = new TelemetryHub(0, '/somewhere')
  expect(hub.active).toBe(false)
  const { messages, stop } = listenToTelemetry()
  expect(hub.active).toBe(true)
  hub.emit({ type: 'closed', time: 1, position: 7 })
  hub.emit({ type: 'closed', time: 2, position: 7 })
  expect(messages).toEqual(
    [1, 2].map((time) => ({
      directory: '/somewhere',
      event: { type: 'closed', v: 1, time, position: 7 }
    }))
  )
  stop()
  hub.emit({ type: 'closed', time: 3, position: 7 })
  expect(messages).toHaveLength(2)
  expect(hub.active).toBe(false)
  hub.complete()
})

test('What is published on the channel is published once, whoever subscribes beside it', () => {
  const hub = new TelemetryHub()
  const { messages } = listenToTelemetry()
  const streamed: unknown[] = []
  const subscription = hub.events$.subscribe((event) => streamed.push(event))
  hub.emit({ type: 'closed', time: 1, position: 1 })
  subscription.unsubscribe()
  hub.emit({ type: 'closed', time: 2, position: 1 })
  expect(streamed).toHaveLength(1)
  expect(messages).toHaveLength(2)
  hub.complete()
  hub.emit({ type: 'closed', time: 3, position: 1 })
  expect(messages).toHaveLength(2)
})

test('Without subscribers nothing is published', async () => {
  const names = ['commit', 'query', 'task'].flatMap((group) =>
    STEPS.map((step) => `tracing:sutra:${group}:${step}`)
  )
  for (const name of [...names, 'sutra:telemetry']) {
    expect(channel(name).hasSubscribers, name).toBe(false)
  }
  await using temporary = await openTemporaryStore()
  await temporary.store.learn({ content: 'a' })
  expect(await temporary.store.has({ key: 'none' })).toBe(false)
})
