/** A subscription as its caller sees it: each method checks what it was given. */

import { throwIfAborted } from '../../errors.ts'
import { onAbort } from '../../on-abort.ts'
import { optionInvalid } from '../../options.ts'
import type { SubscriptionState, SubscriptionStats } from '../../telemetry/types.ts'
import type { QuarantinedEvent, ReadOptions, Subscription } from '../../types.ts'
import { newEpoch } from './checkpoint.ts'
import type { LoopHost, SubscriptionLoop } from './loop.ts'
import { checkFrom, checkResumeAfter, type SubscriptionSetup } from './options.ts'

export class RunningSubscription implements Subscription {
  readonly done: Promise<void>
  readonly #host: LoopHost
  readonly #setup: SubscriptionSetup
  readonly #loop: SubscriptionLoop

  constructor(host: LoopHost, setup: SubscriptionSetup, loop: SubscriptionLoop) {
    const { signal } = setup
    this.#host = host
    this.#setup = setup
    this.#loop = loop
    const stop = onAbort(signal, () => loop.endSoon())
    if (signal?.aborted === true) loop.endSoon()
    // Long-lived signals must not gather listeners.
    this.done = loop.run().finally(stop)
    // Whoever does not ask is told by the statistics and the telemetry.
    this.done.catch(() => undefined)
  }

  get name(): string {
    return this.#setup.name
  }

  get state(): SubscriptionState {
    return this.stats().state
  }

  get position(): number {
    return this.#loop.position
  }

  stats(): SubscriptionStats {
    return this.#loop.stats()
  }

  pause(): void {
    this.#loop.pause()
  }

  resume(): void {
    this.#loop.resume()
  }

  async caughtUp(position?: number, options: ReadOptions = {}): Promise<void> {
    const head = this.#host.source.head()
    const target = position ?? head
    if (!Number.isSafeInteger(target) || target < 0 || target > head) {
      throw optionInvalid('position', position, `a whole number from 0 to ${head}`)
    }
    throwIfAborted(options.signal, 'caughtUp')
    await this.#loop.reached(target, options.signal)
  }

  async reset(to?: 'start' | 'now' | number): Promise<void> {
    const asked = to === undefined ? undefined : checkTo(to, this.#host.source.head())
    await this.#loop.inTurn(async () => {
      const position = await this.#positionFor(asked)
      await this.#loop.moveTo(position, newEpoch())
    })
  }

  quarantined(): AsyncIterable<QuarantinedEvent> {
    return this.#loop.quarantine.list()
  }

  async retry(position: number): Promise<void> {
    const { quarantine } = this.#loop
    quarantine.find(position)
    await this.#loop.inTurn(async () => {
      quarantine.find(position)
      const event = await quarantine.read(position)
      // If the process dies between this and the note, it is still in quarantine: handled twice.
      await this.#loop.deliver([event], 1, true)
      await quarantine.release(position, 'handled')
    })
  }

  async discard(position: number): Promise<void> {
    const { quarantine } = this.#loop
    quarantine.find(position)
    await this.#loop.inTurn(async () => quarantine.release(position, 'discarded'))
  }

  async close(): Promise<void> {
    this.#loop.endSoon()
    // What stopped it was told before; that the checkpoint could not be kept is told here.
    await this.done.catch(() => undefined)
    await this.#loop.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #positionFor(to: 'start' | 'now' | number | undefined): Promise<number> {
    if (to === 'start') return 0
    if (to === 'now') return this.#host.durableNow()
    if (to !== undefined) return to - 1
    const kept = checkResumeAfter(await this.#setup.resumeAfter?.())
    return Math.min(kept ?? 0, this.#host.source.head())
  }
}

function checkTo(to: unknown, head: number): 'start' | 'now' | number {
  const checked = checkFrom('to', to)
  if (typeof checked !== 'number' || checked <= head + 1) return checked
  throw optionInvalid('to', to, `a position up to ${head + 1}`)
}
