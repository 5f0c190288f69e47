/** An import whose source does not go on, in a store that closes. */
import type { ImportRecord, ImportSource } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'

describe('an import in a store that closes', () => {
  test.each([
    ['records', (asked: () => void) => hanging(record, asked)],
    ['bytes', (asked: () => void) => hanging(Buffer.from(`${JSON.stringify(record)}\n`), asked)]
  ])('ends with STORE_CLOSED while it waits for %s', async (_, source) => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const waits = event()
    const plain = settled(store.import(source(waits.happens)))
    await waits.happened
    const dry = settled(
      store.import(
        source(() => undefined),
        { dryRun: true }
      )
    )
    const { signal } = new AbortController()
    const signalled = settled(
      store.import(
        source(() => undefined),
        { signal }
      )
    )

    await store.close()

    const closed = { code: 'STORE_CLOSED', details: { operation: 'import' } }
    expect(await Promise.all([plain, dry, signalled])).toMatchObject([closed, closed, closed])
  })

  test('tells its source to end and does not wait until it has', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const told = event()
    const left = event()
    const source = endless(left.happens, told.happens)
    const imported = settled(store.import(source))
    await left.happened

    await store.close()
    await told.happened

    expect(await imported).toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('that was aborted before says so', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const waits = event()
    const controller = new AbortController()
    const { signal } = controller
    const imported = settled(store.import(hanging(record, waits.happens), { signal }))
    await waits.happened

    controller.abort()
    await store.close()

    expect(await imported).toMatchObject({ code: 'ABORTED' })
  })
})

const record: ImportRecord = { kind: 'concept', key: 'a', content: 'A' }

function event(): { happened: Promise<void>; happens: () => void } {
  let happens = (): void => undefined
  const happened = new Promise<void>((resolve) => {
    happens = resolve
  })
  return { happened, happens }
}

/** What a call rejects with; it is listened to before anything is awaited. */
async function settled(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => error)
}

/** Gives one item and never another. */
async function* hanging<T>(item: T, asked: () => void): AsyncGenerator<T> {
  yield item
  asked()
  await new Promise(() => undefined)
}

/** Always has another record, and never ends when it is told to. */
function endless(given: () => void, told: () => void): Exclude<ImportSource, string> {
  let count = 0
  const next = async (): Promise<IteratorResult<ImportRecord>> => {
    count += 1
    if (count === 1000) given()
    return { done: false, value: { kind: 'concept', content: `${count}` } }
  }
  const end = async (): Promise<never> => {
    told()
    return new Promise<never>(() => undefined)
  }
  return { [Symbol.asyncIterator]: () => ({ next, return: end }) }
}
