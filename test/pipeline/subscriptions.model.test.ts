/** Whatever is done to a subscription, it delivers what a simple model says, in that order. */
import type { Store, Subscription } from 'sutra-storage'
import { expect, test } from 'vitest'
import { openTemporaryStore, type TemporaryStore } from '../support/open-store.ts'
import { Random } from '../support/random.ts'

const RUNS = Number(process.env['SUTRA_SUBSCRIPTION_RUNS'] ?? 4)
const STEPS = 60
const RETRY = { times: 1, firstMs: 0, maxMs: 1 }

/** What a subscription must do next. It knows the log, and which events its handler never can do. */
class Model {
  /** Types by position, 1 first. */
  readonly types: string[] = []
  readonly poison = new Set<number>()
  readonly aside = new Set<number>()
  readonly wrong: unknown[] = []
  next = 1
  batch: number | undefined

  /** The positions that are delivered from here on, those that are set aside left out. */
  #passOver(): void {
    while (this.next <= this.types.length) {
      const isNote = this.types[this.next - 1]?.startsWith('event-') === true
      if (!isNote && !this.poison.has(this.next)) return
      this.next += 1
    }
  }

  delivered(position: number): void {
    this.#passOver()
    if (position !== this.next) this.wrong.push({ position, expected: this.next })
    this.next = position + 1
  }

  reset(to: number): void {
    this.next = to
    for (const position of [...this.aside]) if (position >= to) this.aside.delete(position)
  }

  finish(): void {
    this.#passOver()
  }
}

test.each(Array.from({ length: RUNS }, (_, run) => ({ run })))(
  'pauses, resets, failures, closes by chance, run $run',
  { timeout: 60_000 },
  async ({ run }) => {
    const random = new Random(new Random().seed + run)
    try {
      await using temporary = await openTemporaryStore({ durability: random.pick(['fsync', 'os']) })
      await new Run(temporary, random).go()
    } catch (cause) {
      throw new Error(`With SUTRA_TEST_SEED=${random.seed - run}`, { cause })
    }
  }
)

class Run {
  readonly #temporary: TemporaryStore
  readonly #random: Random
  readonly #model = new Model()
  #subscription: Subscription | undefined

  constructor(temporary: TemporaryStore, random: Random) {
    this.#temporary = temporary
    this.#random = random
  }

  get #store(): Store {
    return this.#temporary.store
  }

  async go(): Promise<void> {
    for (let step = 0; step < STEPS; step++) await this.#step()
    const subscription = await this.#running()
    subscription.resume()
    // What is set aside on the way moves the head.
    while (subscription.position < this.#store.head) await subscription.caughtUp()
    await this.#read()
    this.#model.finish()
    const aside: number[] = []
    for await (const { position } of subscription.quarantined()) aside.push(position)

    expect(this.#model.wrong).toEqual([])
    expect(this.#model.next).toBe(this.#store.head + 1)
    for (const position of aside) expect(this.#model.poison).toContain(position)
    expect(aside).toEqual([...this.#model.aside].sort((a, b) => a - b))
    await subscription.close()
  }

  async #step(): Promise<void> {
    const random = this.#random
    const chance = random.below(20)
    if (chance < 9) await this.#write(1 + random.below(12))
    else if (chance < 11) (await this.#running()).pause()
    else if (chance < 14) (await this.#running()).resume()
    else if (chance < 15) await this.#reset()
    else if (chance < 17) await this.#close()
    else if (chance < 18) await this.#reopen()
    else await new Promise((resolve) => setTimeout(resolve, random.below(8)))
  }

  async #write(count: number): Promise<void> {
    const { head } = this.#store
    const commands = Array.from({ length: count }, (_, i) => ({
      do: 'learn' as const,
      content: `${head} ${i}`
    }))
    const { first } = await this.#store.commit(commands)
    for (let i = 0; i < count; i++) {
      if (this.#random.below(25) === 0) this.#model.poison.add(first + i)
    }
  }

  async #reset(): Promise<void> {
    const subscription = await this.#running()
    const to = 1 + this.#random.below(this.#store.head + 1)
    // Nothing is delivered between the two: the model follows in the same turn.
    subscription.pause()
    await subscription.reset(to)
    await this.#read()
    this.#model.reset(to)
    subscription.resume()
  }

  async #close(): Promise<void> {
    await this.#subscription?.close()
    this.#subscription = undefined
  }

  async #reopen(): Promise<void> {
    await this.#temporary.reopen()
    this.#subscription = undefined
  }

  async #running(): Promise<Subscription> {
    this.#subscription ??= await this.#subscribe()
    return this.#subscription
  }

  async #subscribe(): Promise<Subscription> {
    const random = this.#random
    const every = { events: random.pick([1, 7, 100]), ms: random.pick([1, 1000]) }
    const options = { retry: RETRY, quarantineMax: 1000, checkpointEvery: every }
    const model = this.#model
    await this.#read()
    const handle = async (positions: readonly number[]): Promise<void> => {
      if (random.below(3) === 0) await new Promise((resolve) => setTimeout(resolve, 0))
      // Written while it was away: the model reads the log as the subscription does.
      if ((positions.at(-1) ?? 0) > model.types.length) await this.#read()
      if (positions.some((position) => model.poison.has(position))) throw new Error('poison')
      for (const position of positions) model.delivered(position)
    }
    if (random.below(3) > 0) {
      return this.#store.subscribe('one', options, ({ position }) => handle([position]))
    }
    const batch = 1 + random.below(9)
    return this.#store.subscribe('one', { ...options, batch }, (events) =>
      handle(events.map(({ position }) => position))
    )
  }

  /** Tells the model of what was appended since. */
  async #read(): Promise<void> {
    const { types } = this.#model
    for await (const { position, type, data } of this.#store.events({ from: types.length + 1 })) {
      types[position - 1] = type
      // How far the subscription was when it was reset, only the log tells.
      if (type === 'event-quarantined') this.#model.aside.add(Number(data['position']))
    }
  }
}
