import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Child } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'

const MIB = 1024 * 1024
const isKnown = existsSync('/proc/self/status')

// What such a store reserves is 24 MiB, of which it takes a few pages.
test.skipIf(!isKnown)(
  'stores with few vectors take little, however often they are opened',
  async () => {
    const child = new Child('vectors/churn.mjs', [await temporaryPath('churned')])
    const { lines } = await child.ended
    const bytes = lines.map((line) => Number(line['bytes']))
    expect(bytes).toHaveLength(6)
    expect((bytes.at(-1) ?? 0) - (bytes[0] ?? 0)).toBeLessThan(64 * MIB)
  }
)
