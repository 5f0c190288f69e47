/**
 * Telemetry that nobody ever saw may say anything, or nothing. Each kind is named here with the test that
 * provokes it by its real cause; a kind without one is none that may be documented.
 */
import { readFileSync } from 'node:fs'
import { TELEMETRY_KINDS, type TelemetryKind } from 'sutra-storage'
import { expect, test } from 'vitest'
import { telemetryKinds } from '../docs/telemetry-page.ts'

/** Below `test/`, without the ending. */
const PROVOKED_BY: Readonly<Record<TelemetryKind, string>> = {
  opened: 'telemetry/events',
  recovery: 'telemetry/events',
  closed: 'telemetry/events',
  commit: 'telemetry/events',
  'commit-failed': 'telemetry/events',
  'commit-aborted': 'telemetry/events',
  'group-commit': 'telemetry/events',
  'batch-applied': 'telemetry/events',
  'projection-lag': 'telemetry/events',
  'projection-stopped': 'faults/projection',
  'projection-resumed': 'vectors/retry',
  'torn-tail-dropped': 'damage/log',
  'damage-found': 'damage/tables',
  'heal-failed': 'telemetry/rare-kinds',
  'disk-low': 'faults/disk-low',
  'rebuild-started': 'damage/tables',
  rebuilt: 'telemetry/events',
  'index-loaded': 'vectors/early-checks',
  'index-saved': 'telemetry/rare-kinds',
  'index-merged': 'vectors/merging',
  'index-save-failed': 'telemetry/rare-kinds',
  'index-build-failed': 'vectors/retry',
  'index-built': 'vectors/caught-up',
  'fields-indexed': 'query/selection',
  query: 'telemetry/events',
  path: 'telemetry/events',
  'slow-operation': 'telemetry/events',
  metrics: 'telemetry/events',
  'health-changed': 'telemetry/rare-kinds',
  'alert-raised': 'telemetry/alerts',
  'alert-cleared': 'telemetry/alerts',
  compaction: 'telemetry/events',
  poisoned: 'faults/log-writes',
  sweep: 'projections/tables/pool',
  'subscription-retrying': 'pipeline/subscriptions',
  'subscription-quarantined': 'pipeline/subscriptions',
  'subscription-stopped': 'pipeline/subscriptions',
  'subscription-caught-up': 'pipeline/subscriptions',
  'close-gave-up': 'projections/custom-close',
  summary: 'telemetry-store/kept',
  'telemetry-dropped': 'telemetry-store/recorder',
  'telemetry-store-failed': 'telemetry-store/kept'
}

test('each kind that is documented is provoked by a test, and no other', () => {
  const documented = telemetryKinds().map(({ name }) => name)
  expect(Object.keys(PROVOKED_BY).sort()).toEqual(documented.sort())
  expect([...TELEMETRY_KINDS].sort()).toEqual(documented)
})

test.each(Object.entries(PROVOKED_BY))('%s is expected by %s', (kind, file) => {
  const source = readFileSync(`test/${file}.test.ts`, 'utf8')
  // As an event that is waited for or compared, not in a comment.
  const code = source.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
  expect(code).toMatch(new RegExp(`'${kind}'`))
  expect(code, 'a store of its own, or a recorder of one').toMatch(/\bopen\w*\(|\brun\(/)
})
