import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { commonFields, PAGE, telemetryKinds, telemetryPage } from '../docs/telemetry-page.ts'

test('docs/telemetry.md is the page that the source makes (npm run docs)', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(telemetryPage())
})

test('each kind of event and each field has its sentence', () => {
  const kinds = telemetryKinds()
  expect(kinds.length).toBeGreaterThan(25)
  const silent = kinds.flatMap(({ name, about, fields }) => [
    ...(about === '' ? [name] : []),
    ...fields.filter((field) => !/[.)]$/.test(field.about)).map((field) => `${name}.${field.name}`)
  ])
  expect(silent).toEqual([])
  expect(commonFields().map(({ name }) => name)).toEqual(['type', 'time', 'v'])
})

test('each field of time or size says its unit', () => {
  const fields = telemetryKinds().flatMap(({ fields }) => fields)
  const vague = fields.filter(({ name, about }) => {
    if (/^(us|.*Us)$/.test(name)) return !about.includes('microseconds')
    if (/^(ms|.*Ms)$/.test(name)) return !about.includes('milliseconds')
    return /^(bytes|.*Bytes)$/.test(name) && !/bytes/i.test(about)
  })
  expect(vague).toEqual([])
})
