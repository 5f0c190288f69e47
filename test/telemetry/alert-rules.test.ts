import { open, type StoreOptions } from 'sutra-storage'
import { expect, test } from 'vitest'
import { defaultRules, resolveRules } from '#sutra/telemetry/alert-rules.js'
import { temporaryPath } from '../support/temp.ts'

const RULE = { name: 'deep', metric: 'pipeline.queueDepth', above: 100 } as const

test('A rule gets its defaults: a fifth of hysteresis, at once, a warning', () => {
  expect(resolveRules({ defaults: false, rules: [RULE] }, 0.7)).toEqual([
    {
      name: 'deep',
      metric: 'pipeline.queueDepth',
      of: undefined,
      isAbove: true,
      threshold: 100,
      clearAt: 80,
      forMs: 0,
      minCount: 20,
      severity: 'warning'
    }
  ])
  const below = { name: 'slow', metric: 'pipeline.healthScore', below: 0.5 } as const
  expect(resolveRules({ defaults: false, rules: [below] }, 0.7)).toMatchObject([
    { isAbove: false, threshold: 0.5, clearAt: 0.6 }
  ])
})

test('The built-in rules are valid, whatever the warning level, and can be left out', () => {
  for (const warnAt of [0.01, 0.7, 0.99]) {
    expect(resolveRules({}, warnAt)).toHaveLength(defaultRules(warnAt).length)
  }
  expect(resolveRules({ defaults: false }, 0.7)).toEqual([])
})

test('A rule takes the place of the built-in one of its name', () => {
  const mine = { name: 'fsync-slow', metric: 'latency.fsync.p50Us', above: 7 } as const
  const found = resolveRules({ rules: [mine] }, 0.7).filter(({ name }) => name === 'fsync-slow')
  expect(found).toMatchObject([{ metric: 'latency.fsync.p50Us', threshold: 7 }])
})

test.each<[string, unknown, string]>([
  ['no list', 'all', 'alerts.rules'],
  ['no object', [7], 'alerts.rules[0]'],
  ['an unknown name', [{ ...RULE, over: 3 }], 'alerts.rules[0].over'],
  ['no name', [{ ...RULE, name: '' }], 'alerts.rules[0].name'],
  [
    'a metric that is not there',
    [{ ...RULE, metric: 'latency.commit.p98Us' }],
    'alerts.rules[0].metric'
  ],
  [
    'a metric with too many parts',
    [{ ...RULE, metric: 'latency.get.p50Us.x' }],
    'alerts.rules[0].metric'
  ],
  ['a metric of every object', [{ ...RULE, metric: 'toString' }], 'alerts.rules[0].metric'],
  ['neither above nor below', [{ name: 'x', metric: RULE.metric }], 'alerts.rules[0]'],
  ['both above and below', [{ ...RULE, below: 3 }], 'alerts.rules[0]'],
  ['a threshold that is no number', [{ ...RULE, above: '7' }], 'alerts.rules[0].above'],
  ['a threshold that is not a number', [{ ...RULE, above: Number.NaN }], 'alerts.rules[0].above'],
  ['clearing beyond the threshold', [{ ...RULE, clearAt: 101 }], 'alerts.rules[0].clearAt'],
  ['a negative time', [{ ...RULE, forMs: -1 }], 'alerts.rules[0].forMs'],
  ['an unknown severity', [{ ...RULE, severity: 'bad' }], 'alerts.rules[0].severity'],
  ['a name twice', [RULE, RULE], 'alerts.rules'],
  ['too many', Array.from({ length: 1001 }, (_, i) => ({ ...RULE, name: `${i}` })), 'alerts.rules']
])('Opening refuses rules with %s', async (_, rules, option) => {
  // What programs in JavaScript may give.
  const options = { alerts: { rules } } as unknown as StoreOptions
  await expect(open(await temporaryPath(), options)).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    details: { option }
  })
})

test.each<[unknown, string]>([
  [{ alerts: { onAlert: 'me' } }, 'alerts.onAlert'],
  [{ alerts: { defaults: 1 } }, 'alerts.defaults'],
  [{ alerts: { rule: [] } }, 'alerts.rule'],
  [{ telemetry: { metricsMs: -1 } }, 'telemetry.metricsMs'],
  [{ telemetry: { slowMs: '9' } }, 'telemetry.slowMs'],
  [{ telemetry: { windowMs: 1 } }, 'telemetry.windowMs'],
  [{ telemetry: { everyMs: 1 } }, 'telemetry.everyMs']
])('Opening refuses %j', async (options, option) => {
  const opening = open(await temporaryPath(), options as StoreOptions)
  await expect(opening).rejects.toMatchObject({ code: 'OPTION_INVALID', details: { option } })
})
