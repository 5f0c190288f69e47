/** The other public types: errors, events, telemetry, options. */
import type { Observable } from 'rxjs'
import type {
  EventsOptions,
  Match,
  Path,
  Store,
  StoredEvent,
  StoreErrorCode,
  StoreOptions,
  TelemetryEvent
} from 'sutra-storage'
import { ConceptId, isStoreError, StoreError } from 'sutra-storage'
import { describe, expectTypeOf, test } from 'vitest'

declare const store: Store

describe('errors', () => {
  test('a code gives its details', () => {
    const error: unknown = undefined
    if (isStoreError(error, 'EXPECTATION_FAILED')) {
      expectTypeOf(error.code).toEqualTypeOf<'EXPECTATION_FAILED'>()
      expectTypeOf(error.details).toEqualTypeOf<{
        subject: string
        expected: number
        actual: number
      }>()
    }
    if (isStoreError(error)) {
      expectTypeOf(error.code).toEqualTypeOf<StoreErrorCode>()
      expectTypeOf(error.outcome).toEqualTypeOf<'none' | 'unknown'>()
      expectTypeOf(error.retryable).toEqualTypeOf<boolean>()
    }
    // @ts-expect-error There is no such code.
    isStoreError(error, 'EXPECTATION_FAILD')
  })

  test('cannot be made without the details of their code', () => {
    void new StoreError('STORE_CLOSED', 'closed', { operation: 'get' })
    // @ts-expect-error These are the details of another code.
    void new StoreError('STORE_CLOSED', 'closed', { position: 1 })
  })
})

test('what is sync is no promise', () => {
  expectTypeOf(store.head).toEqualTypeOf<number>()
  expectTypeOf(store.position).toEqualTypeOf<number>()
  expectTypeOf(store.metrics).returns.toEqualTypeOf<string>()
  expectTypeOf(store.stats).returns.toHaveProperty('durableHead').toEqualTypeOf<number>()
  expectTypeOf(ConceptId.fromKey).returns.toEqualTypeOf<ConceptId>()
})

test('what may be long is an async iterable', () => {
  expectTypeOf(store.events).returns.toEqualTypeOf<AsyncIterable<StoredEvent>>()
  expectTypeOf(store.concepts).returns.toExtend<AsyncIterable<{ id: ConceptId }>>()
  expectTypeOf(store.associations).returns.toExtend<AsyncIterable<{ cursor: string }>>()
})

test('streams are observables of RxJS', () => {
  expectTypeOf(store.events$).returns.toEqualTypeOf<Observable<StoredEvent>>()
  expectTypeOf(store.telemetry$).toEqualTypeOf<Observable<TelemetryEvent>>()
  expectTypeOf(store.events).parameter(0).toEqualTypeOf<EventsOptions | undefined>()
})

test('telemetry is told apart by its type', () => {
  const event = {} as TelemetryEvent
  if (event.type === 'torn-tail-dropped') {
    expectTypeOf(event.frames).toEqualTypeOf<number>()
  }
})

test('a handler gets one event, or a list where batches were asked for', () => {
  void store.subscribe('one', { from: 'now', types: ['concept-learned'] }, (event, delivery) => {
    expectTypeOf(event).toEqualTypeOf<StoredEvent>()
    expectTypeOf(delivery.signal).toEqualTypeOf<AbortSignal>()
  })
  void store.subscribe('many', { batch: 100 }, async (events) => {
    expectTypeOf(events).toEqualTypeOf<StoredEvent[]>()
  })
  void store.subscribe('own', { resumeAfter: async () => undefined }, () => 'ignored')
  expectTypeOf(store.subscribe).returns.resolves.toExtend<AsyncDisposable>()
  // @ts-expect-error It begins at a position, not at a time.
  void store.subscribe('one', { from: new Date() }, () => undefined)
})

test('an event may be of a type that this version does not know', () => {
  expectTypeOf<'concept-dreamt'>().toExtend<StoredEvent['type']>()
})

test('answers of queries', () => {
  expectTypeOf(store.findPath).returns.resolves.toEqualTypeOf<Path | undefined>()
  expectTypeOf<Path['keys']>().toEqualTypeOf<(string | undefined)[]>()
  expectTypeOf(store.search).returns.resolves.toEqualTypeOf<Match[]>()
  void store.search('a large cat')
  void store.search([0.1, 0.2])
  void store.search({ like: { key: 'ada' } }, { where: { or: [{ lang: 'en' }, { n: { gt: 1 } }] } })
  // @ts-expect-error Findings are asked for by `k`.
  void store.search('a large cat', { limit: 3 })
})

test('options: an unknown name is a mistake, and undefined is not the same as absent', () => {
  expectTypeOf<StoreOptions['durability']>().toEqualTypeOf<
    'fsync' | 'interval' | 'os' | undefined
  >()
  // @ts-expect-error It is called durability.
  const misspelt: StoreOptions = { durabilty: 'os' }
  // @ts-expect-error Vectors need their dimensions.
  const vague: StoreOptions = { vectors: { metric: 'cosine' } }
  void [misspelt, vague]
})

test('stores and views can be left to `await using`', () => {
  expectTypeOf(store).toExtend<AsyncDisposable>()
  expectTypeOf(store.view).returns.resolves.toExtend<AsyncDisposable>()
})
