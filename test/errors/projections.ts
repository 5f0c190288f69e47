import { join } from 'node:path'
import { open } from 'sutra-storage'
import { expect } from 'vitest'
import { tally } from '../projections/tally.ts'
import { changeRow, flipped, rowsOf } from '../support/raw.ts'
import { look, sampleStore } from '../support/sample.ts'
import type { Story } from './case.ts'
import { expectError } from './stories.ts'

const projection = tally(1)
const projections = [projection]

export const PROJECTIONS: Story[] = [
  {
    code: 'PROJECTION_BUILDING',
    when: 'a read-only store lacks the rows',
    details: { projection: 'tally', position: 0, head: expect.any(Number) },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory, { projections, readOnly: true })
      await expectError(store.projection(projection).total(), expected)
      expect(await look(store)).toEqual(before)
    }
  },
  {
    code: 'PROJECTION_DAMAGED',
    when: 'a row is damaged',
    details: { projection: 'tally', key: '"total"', reason: expect.any(String) },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      const store = await open(directory, { projections })
      await store.close()
      const rows = join(directory, 'projections', 'tally', '1')
      const row = (await rowsOf(rows)).find(([key]) => key.includes('total'))
      if (row === undefined) throw new Error('There is no such row')
      await changeRow(rows, row[0], flipped(row[1], 3))

      await using damaged = await open(directory, { projections })
      await expectError(damaged.projection(projection).total(), expected)
      expect(await look(damaged)).toEqual(before)
    }
  },
  {
    code: 'PROJECTION_STOPPED',
    when: 'an event cannot be applied',
    details: { projection: 'tally', position: 2 },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory, { projections: [tally(1, { failAt: 3 })] })
      await expectError(store.caughtUp(), expected)
      await expectError(store.projection(projection).total(), expected)
      expect(await look(store)).toEqual(before)
    }
  }
]
