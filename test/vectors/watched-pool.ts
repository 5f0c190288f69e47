import { type RunOptions, VectorPool } from '#sutra/projections/vectors/pool.js'
import type { TaskKind, Tasks } from '#sutra/projections/vectors/protocol.js'

/** Counts what its threads are asked, and can keep answers back. */
export class WatchedPool extends VectorPool {
  readonly #asked: TaskKind[] = []
  readonly #before = new Map<TaskKind, () => Promise<void>>()
  readonly #held = new Map<TaskKind, { from: number; opened: Promise<void>; open(): void }>()

  asked(kind: TaskKind): number {
    return this.#asked.filter((one) => one === kind).length
  }

  /** @param from The first that is kept back, until all are let go. */
  holdUp(kind: TaskKind, from = 1): void {
    let open = (): void => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    this.#held.set(kind, { from, opened, open })
  }

  /** @param work What happens first, each time that a kind of task is asked for. */
  before(kind: TaskKind, work: () => Promise<void>): void {
    this.#before.set(kind, work)
  }

  letGo(kind: TaskKind): void {
    this.#held.get(kind)?.open()
  }

  override async run<K extends TaskKind>(
    kind: K,
    ask: Tasks[K]['ask'],
    options: RunOptions
  ): Promise<Tasks[K]['reply']> {
    this.#asked.push(kind)
    await this.#before.get(kind)?.()
    const held = this.#held.get(kind)
    if (held !== undefined && this.asked(kind) >= held.from) await held.opened
    return super.run(kind, ask, options)
  }
}
