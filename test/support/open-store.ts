import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isStoreError, open, type Store, type StoreOptions } from 'sutra-storage'
import { expect } from 'vitest'

export interface TemporaryStoreOptions extends StoreOptions {
  /** `false` for a store that the test damages or poisons: it is closed and removed, no more. */
  check?: boolean
}

/** A store in a directory of its own that is checked, closed and removed behind the test. */
export interface TemporaryStore extends AsyncDisposable {
  /** The store that is open now; another one after `reopen`. */
  readonly store: Store
  readonly directory: string
  /** Closes the store and opens it again, with the options of the first time or other ones. */
  reopen(options?: StoreOptions): Promise<Store>
}

/**
 * Use with `await using`, so that a test that fails is cleaned up behind too:
 *
 *     await using temporary = await openTemporaryStore()
 *     const { store } = temporary
 */
export async function openTemporaryStore(
  options: TemporaryStoreOptions = {}
): Promise<TemporaryStore> {
  const { check = true, ...given } = options
  const directory = await mkdtemp(join(tmpdir(), 'sutra-test-'))
  let lastOptions: StoreOptions = given
  let store: Store
  try {
    store = await open(directory, given)
  } catch (error) {
    await rm(directory, { recursive: true })
    throw error
  }
  const reopen = async (again: StoreOptions = lastOptions): Promise<Store> => {
    await store.close()
    lastOptions = again
    store = await open(directory, again)
    return store
  }
  return {
    directory,
    reopen,
    get store() {
      return store
    },
    async [Symbol.asyncDispose]() {
      const failures: unknown[] = []
      const step = async (work: () => Promise<void>): Promise<void> => {
        try {
          await work()
        } catch (error) {
          failures.push(error)
        }
      }
      if (check) {
        // A closed store tells nothing and a read-only one is not rebuilt: look into it anew.
        const mayCheck = !isClosed(store) && lastOptions.readOnly !== true
        await step(async () => {
          await checkInvariants(mayCheck ? store : await reopen(writable(lastOptions)))
        })
      }
      await step(async () => store.close())
      await rm(directory, { recursive: true, force: true })
      // Thrown, it would hide why the test itself failed. A poisoned store may fail to close.
      if (check) expect.soft(failures, 'the store that the test leaves behind').toEqual([])
    }
  }
}

/** What holds for every sound store, whatever a test did to it. Rebuilds it. */
export async function checkInvariants(store: Store): Promise<void> {
  await checkPositions(store)
  const running = await store.stateHash()
  checkCheckpoints(store)
  await store.rebuild()
  checkCheckpoints(store)
  expect(await store.stateHash(), 'derived state equals one rebuilt from the log').toBe(running)
}

/** Invariant 1: no gaps, each commit whole, time never decreasing. */
async function checkPositions(store: Store): Promise<void> {
  let last = 0
  let time = 0
  let commit = { first: 1, last: 0 }
  // Compared by hand: an `expect` for each event would take longer than reading it.
  const wrong: unknown[] = []
  for await (const event of store.events()) {
    if (event.position > commit.last) {
      if (event.commit.first !== commit.last + 1) wrong.push(event)
      commit = event.commit
    }
    const sameCommit = event.commit.first === commit.first && event.commit.last === commit.last
    if (event.position !== last + 1 || event.time < time || !sameCommit) wrong.push(event)
    last = event.position
    time = event.time
  }
  expect(wrong, 'events that do not follow the one before them').toEqual([])
  expect(last, 'the last event is at the head').toBe(store.head)
  expect(last, 'the last commit is whole').toBe(commit.last)
}

/** Invariant 3: no projection is ahead of what survives a power cut. */
function checkCheckpoints(store: Store): void {
  const { durableHead, pipeline, position } = store.stats()
  expect(durableHead, 'durable head').toBeLessThanOrEqual(position)
  for (const [name, projection] of Object.entries(pipeline.projections)) {
    expect(projection.position, `checkpoint of ${name}`).toBeLessThanOrEqual(durableHead)
  }
}

function isClosed(store: Store): boolean {
  try {
    store.stats()
    return false
  } catch (error) {
    if (isStoreError(error, 'STORE_CLOSED')) return true
    throw error
  }
}

function writable(options: StoreOptions): StoreOptions {
  const { readOnly: _, ...rest } = options
  return rest
}
