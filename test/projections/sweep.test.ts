import { setTimeout as wait } from 'node:timers/promises'
import { bufferCount, filter, firstValueFrom, Subject } from 'rxjs'
import { ConceptId } from 'sutra-storage'
import { expect, test, vi } from 'vitest'
import { open } from '#sutra/open.js'
import { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'
import { temporaryPath } from '../support/temp.ts'

const FORGOTTEN = 300
/** Those before the last few, which take a sweep its time. */
const REST = FORGOTTEN - 5
const OTHER = ConceptId.fromKey('other')
const HUB = ConceptId.fromKey('hub')

test('of views and reads while the tables are replaced, none shows the forgotten', {
  timeout: 60_000
}, async () => {
  await using store = await open(await temporaryPath('store'), { durability: 'os' })
  await store.learn({ id: { key: 'hub' }, content: 'hub' })
  await store.learn({ id: { key: 'other' }, content: 'other' })
  const leaves = Array.from({ length: FORGOTTEN }, (_, i) => ({ key: `leaf ${i}` }))
  await store.commit(leaves.map((id) => ({ do: 'learn', id, content: 'leaf' })))
  // Few lead to the hub's end of the list, which is swept last.
  await store.commit(
    leaves.map((target, i) => ({
      do: 'associate',
      source: i < REST ? OTHER : HUB,
      target,
      type: 'has'
    }))
  )
  await store.caughtUp()
  const swept = firstValueFrom(
    store.telemetry$.pipe(
      filter((event) => event.type === 'sweep' && event.done),
      bufferCount(FORGOTTEN)
    )
  )
  await store.commit(leaves.map((id) => ({ do: 'forget', id })))
  await store.caughtUp()
  await swept
  // The dead are neither in the tables nor in the overlay: nobody remembers them.
  await using view = await store.view()

  // In the tables that are built anew they are, until those are swept in their turn.
  await store.rebuild()
  for (let i = 0; i < 20; i++) {
    expect(await store.neighbors(HUB)).toEqual([])
    expect(await view.neighbors(HUB)).toEqual([])
    expect(await collect(view.associations(HUB))).toEqual([])
    await wait(2)
  }

  // However far that has come: what is forgotten now is swept in the new ones, and told.
  const sweptAgain = firstValueFrom(store.telemetry$.pipe(filter(({ type }) => type === 'sweep')))
  await store.forget(OTHER)
  await sweptAgain
})

test('a sweep that ends while the tables are replaced says nothing of the new ones', {
  timeout: 60_000
}, async () => {
  await using store = await open(await temporaryPath('store'), { durability: 'os' })
  for (const key of ['hub', 'many', 'other', 'leaf']) {
    await store.learn({ id: { key }, content: key })
  }
  const ends = { source: { key: 'many' }, target: { key: 'other' }, type: 'has' }
  for (let i = 0; i < 20; i++) {
    await store.commit(
      Array.from({ length: 1000 }, (_, j) => ({ do: 'associate', ...ends, key: `${i} ${j}` }))
    )
  }
  await store.associate({ source: HUB, target: { key: 'leaf' }, type: 'has' })
  const isSwept = async () =>
    firstValueFrom(store.telemetry$.pipe(filter((event) => event.type === 'sweep' && event.done)))
  let swept = isSwept()
  await store.forget({ key: 'many' })
  await swept
  await store.caughtUp()

  // What is let go when a sweep ends takes until the tables are replaced, as on a busy machine.
  const release = TablesSnapshot.prototype.release
  const calls: (() => void)[] = []
  let live: TablesSnapshot | undefined
  const called = new Subject<void>()
  swept = isSwept()
  const watched = store.telemetry$.pipe(filter((event) => event.type === 'sweep')).subscribe(() => {
    vi.spyOn(TablesSnapshot.prototype, 'release').mockImplementation(async function (
      this: TablesSnapshot
    ) {
      live ??= this
      // Those of the new tables are let go as ever.
      if (this.isBeside(live)) {
        await new Promise<void>((resolve) => {
          calls.push(resolve)
          called.next()
        })
      }
      await release.call(this)
    })
  })
  try {
    await store.forget({ key: 'leaf' })
    await swept
    watched.unsubscribe()
    expect(calls).toHaveLength(1)
    const replaced = firstValueFrom(called)
    const rebuilt = store.rebuild()
    await replaced
    vi.restoreAllMocks()
    for (const goOn of calls) goOn()

    // The new ones erase the associations of the first of the dead still, which take their time.
    for (let i = 0; i < 10; i++) {
      expect(await store.neighbors(HUB)).toEqual([])
      await wait(1)
    }
    await rebuilt
  } finally {
    watched.unsubscribe()
    vi.restoreAllMocks()
    for (const goOn of calls) goOn()
  }
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
