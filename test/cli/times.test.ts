import { describe, expect, test } from 'vitest'
import { toTime } from '#sutra/cli/times.js'

const NOW = Date.UTC(2026, 0, 31, 12)

describe('a time on the command line', () => {
  test.each([
    ['90s', NOW - 90_000],
    ['2h', NOW - 7_200_000],
    ['2024-02-29', Date.UTC(2024, 1, 29)],
    ['2026-01-31T12:00Z', NOW]
  ])('%s', (text, time) => {
    expect(toTime(text, NOW)).toBe(time)
  })

  test.each(['5', '1', '-1', '2h ago', '2020-02-31T00:00:00Z', '2023-02-29', '2026-13-01', ''])(
    'is not %j',
    (text) => {
      expect(() => toTime(text, NOW)).toThrow('Expected a time')
    }
  )
})
