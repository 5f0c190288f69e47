/** What can be wrong with a subscription. None of it touches what is stored. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open, restore } from 'sutra-storage'
import { expect } from 'vitest'
import { look, sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import type { Story } from './case.ts'
import { expectError } from './stories.ts'

const handler = (): undefined => undefined

export const SUBSCRIPTIONS: Story[] = [
  {
    code: 'SUBSCRIPTION_ACTIVE',
    when: 'the name has a handler already',
    details: { subscription: 'mailer' },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory)
      const subscription = await store.subscribe('mailer', {}, handler)
      await expectError(store.subscribe('mailer', {}, handler), expected)
      await subscription.close()
      await (await store.subscribe('mailer', {}, handler)).close()
      expect(await look(store)).toEqual(before)
    }
  },
  {
    code: 'SUBSCRIPTION_DAMAGED',
    when: 'no record of its file is whole',
    details: { subscription: 'mailer', file: expect.any(String), reason: expect.any(String) },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      const store = await open(directory)
      await (await store.subscribe('mailer', {}, handler)).close()
      await store.close()
      const [file = ''] = await readdir(join(directory, 'subscriptions'))
      const path = join(directory, 'subscriptions', file)
      await writeFile(path, (await readFile(path)).fill(1))
      await using again = await open(directory)
      await expectError(again.subscribe('mailer', {}, handler), expected)
      await expectError(again.subscribe('mailer', { from: 'start' }, handler), expected)
      expect(await look(again)).toEqual(before)
    }
  },
  {
    code: 'SUBSCRIPTION_DIVERGED',
    when: 'its checkpoint is beyond the log',
    details: { subscription: 'mailer', position: expect.any(Number), head: 3 },
    tell: async (expected) => {
      const { directory } = await sampleStore()
      const [backup, restored] = [await temporaryPath('backup'), await temporaryPath()]
      await using store = await open(directory)
      const subscription = await store.subscribe('mailer', {}, handler)
      await subscription.caughtUp()
      await subscription.close()
      await store.backup(backup)
      await restore(backup, restored, { toPosition: 3 })
      const [file = ''] = await readdir(join(directory, 'subscriptions'))
      const bytes = await readFile(join(directory, 'subscriptions', file))
      await writeFile(join(restored, 'subscriptions', file), bytes)
      await using older = await open(restored)
      const head = { ...expected, details: { ...expected.details, head: older.head } }
      await expectError(older.subscribe('mailer', {}, handler), head)
    }
  },
  {
    code: 'SUBSCRIPTION_STOPPED',
    when: 'its handler fails and nothing may be set aside',
    details: { subscription: 'mailer', position: 0, reason: expect.any(String) },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      await using store = await open(directory)
      const options = { retry: { times: 0 }, quarantineMax: 0 }
      const subscription = await store.subscribe('mailer', options, () => {
        throw new Error('no')
      })
      await expectError(subscription.done, expected)
      await expectError(subscription.caughtUp(), expected)
      await expectError(subscription.reset(), expected)
      expect(await look(store)).toEqual(before)
    }
  }
]
