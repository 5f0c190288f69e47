import type {
  AlertEvent,
  AlertMetric,
  AlertRule,
  Stats,
  StoreOptions,
  TelemetryEvent
} from 'sutra-storage'
import { expectTypeOf, test } from 'vitest'

test('a rule is above or below, never both and never neither', () => {
  expectTypeOf<{ name: 'a'; metric: 'poisoned'; above: 0 }>().toExtend<AlertRule>()
  expectTypeOf<{ name: 'a'; metric: 'poisoned'; below: 1 }>().toExtend<AlertRule>()
  expectTypeOf<{ name: 'a'; metric: 'poisoned' }>().not.toExtend<AlertRule>()
  expectTypeOf<{ name: 'a'; metric: 'poisoned'; above: 0; below: 1 }>().not.toExtend<AlertRule>()
})

test('a metric is one that there is', () => {
  expectTypeOf<'latency.commit.p99Us'>().toExtend<AlertMetric>()
  expectTypeOf<'projection.lagMs'>().toExtend<AlertMetric>()
  expectTypeOf<'latency.commit.p98Us'>().not.toExtend<AlertMetric>()
  expectTypeOf<'latency.dream.p99Us'>().not.toExtend<AlertMetric>()
})

test('the callback gets what the stream tells', () => {
  expectTypeOf<AlertEvent>().toExtend<TelemetryEvent>()
  expectTypeOf<AlertEvent['type']>().toEqualTypeOf<'alert-raised' | 'alert-cleared'>()
  const options: StoreOptions = {
    alerts: { onAlert: (event) => expectTypeOf(event).toEqualTypeOf<AlertEvent>() }
  }
  expectTypeOf(options).toEqualTypeOf<StoreOptions>()
  expectTypeOf<Stats['alerts'][number]['metric']>().toEqualTypeOf<AlertMetric>()
})

test('every event has its version and its time', () => {
  expectTypeOf<TelemetryEvent['v']>().toEqualTypeOf<1>()
  expectTypeOf<TelemetryEvent['time']>().toEqualTypeOf<number>()
})
