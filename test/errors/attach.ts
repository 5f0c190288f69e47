import { attach, open } from 'sutra-storage'
import { expect } from 'vitest'
import { look, sampleStore } from '../support/sample.ts'
import type { Story } from './case.ts'
import { expectError } from './stories.ts'

export const ATTACHING: Story[] = [
  {
    code: 'ATTACH_UNAVAILABLE',
    when: 'whoever has the store open does not offer it',
    details: { directory: expect.any(String), reason: expect.any(String) },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory)
      await expectError(attach(directory), expected)
      expect(await look(store)).toEqual(before)
    }
  }
]
