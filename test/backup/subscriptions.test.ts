/** A restored store goes on with its subscriptions where they were. */
import { readdir } from 'node:fs/promises'
import { open, restore, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

const OPTIONS = { retry: { times: 0 } }

test('a backup takes along how far they were, and what is in quarantine', async () => {
  const [backup, restored] = [await temporaryPath('backup'), await temporaryPath()]
  await using temporary = await openTemporaryStore()
  const { store } = temporary
  await learn(store, 10)
  await collect(store, 'mailer')
  await store.backup(backup)
  await learn(store, 5)
  await collect(store, 'mailer')

  await restore(backup, restored)

  await using other = await open(restored)
  expect(await other.subscriptions()).toEqual([
    { name: 'mailer', state: 'stopped', position: 12, lagEvents: 0, quarantined: 2 }
  ])
  await learn(other, 2)
  expect(await collect(other, 'mailer')).toEqual([13, 14])
  const listed = (await other.subscribe('mailer', OPTIONS, () => undefined)).quarantined()
  const positions: number[] = []
  for await (const { position, event } of listed) positions.push(position, event?.position ?? 0)
  expect(positions).toEqual([4, 4, 8, 8])
})

test.each([
  { toPosition: 6, position: 6, quarantined: 0, next: [7] },
  { toPosition: 11, position: 11, quarantined: 1, next: [12] }
])(
  'restored up to $toPosition, they go on behind that',
  async ({ toPosition, position, quarantined, next }) => {
    const [backup, restored] = [await temporaryPath('backup'), await temporaryPath()]
    await using temporary = await openTemporaryStore()
    await learn(temporary.store, 10)
    await collect(temporary.store, 'mailer')
    await temporary.store.backup(backup)

    await restore(backup, restored, { toPosition })

    await using other = await open(restored)
    expect(await other.subscriptions()).toMatchObject([{ position, quarantined }])
    await other.learn({ content: 'another fact at the same position' })
    expect(await collect(other, 'mailer', false)).toEqual(next)
  }
)

test('a store without subscriptions has none in its backup', async () => {
  const [backup, restored] = [await temporaryPath('backup'), await temporaryPath()]
  await using temporary = await openTemporaryStore()
  await learn(temporary.store, 2)
  await temporary.store.backup(backup)
  await restore(backup, restored)
  expect(await readdir(restored)).not.toContain('subscriptions')
})

async function learn(store: Store, count: number): Promise<void> {
  const { head } = store
  for (let i = 0; i < count; i++) await store.learn({ content: `${head} ${i}` })
}

/** Every fourth of the first ten is poison. */
async function collect(store: Store, name: string, isPoisoned = true): Promise<number[]> {
  const seen: number[] = []
  await using subscription = await store.subscribe(name, OPTIONS, ({ position }) => {
    if (isPoisoned && position <= 10 && position % 4 === 0) throw new Error('poison')
    seen.push(position)
  })
  // What is set aside on the way moves the head.
  while (subscription.position < store.head) await subscription.caughtUp()
  return seen
}
