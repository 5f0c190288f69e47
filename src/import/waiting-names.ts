import { idOf } from '../ids.ts'
import type { Command } from '../types.ts'
import { type Batch, EARLIER_WAITS, type Item } from './batch.ts'
import type { CheckedName, LineOrder } from './target.ts'

type Associate = Extract<Command, { do: 'associate' }>

/**
 * The associations that wait for their ends, and how many lines of each do. Lines of one
 * association take effect in the order of the source: one that comes while another waits, waits too.
 */
export class WaitingNames {
  readonly #counts = new Map<string, number>()

  has(name: CheckedName): boolean {
    return this.#counts.size > 0 && this.#counts.has(textOf(name))
  }

  add(name: CheckedName): void {
    const text = textOf(name)
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1)
  }

  /** What a batch of an earlier run left waiting, and what it decided. */
  noteEarlier(batch: Batch, waits: readonly Item[]): void {
    for (const command of batch.try === 'second' ? batch.commands : []) {
      if (command.do === 'associate') this.remove(nameOf(command))
    }
    for (const item of waits) this.noteItem(item)
  }

  /** One that waits since an earlier run. */
  noteItem({ what }: Item): void {
    if (!(what instanceof Error) && what.do === 'associate') this.add(nameOf(what))
  }

  remove(name: CheckedName): void {
    const text = textOf(name)
    const count = this.#counts.get(text) ?? 0
    if (count > 1) this.#counts.set(text, count - 1)
    else this.#counts.delete(text)
  }
}

/** Keeps the order of the lines while one batch is staged. A trial leaves the names as they are. */
export class BatchOrder implements LineOrder {
  readonly #batch: Batch
  readonly #names: WaitingNames
  readonly #isTrial: boolean
  /** Where those are noted that this batch leaves waiting. */
  readonly #added: WaitingNames

  constructor(batch: Batch, names: WaitingNames, isTrial: boolean) {
    this.#batch = batch
    this.#names = names
    this.#isTrial = isTrial
    this.#added = isTrial ? new WaitingNames() : names
  }

  hold(_command: number, name: CheckedName): Error | undefined {
    if (this.#batch.try === 'second') {
      // Whatever becomes of it now, it waits no longer.
      if (!this.#isTrial) this.#names.remove(name)
      return undefined
    }
    if (!this.#names.has(name) && !this.#added.has(name)) return undefined
    this.#added.add(name)
    return EARLIER_WAITS
  }

  leftOut(command: number, name: CheckedName, error: Error): void {
    if (this.#batch.mayWait(command, error)) this.#added.add(name)
  }
}

/** What the store makes of the names of an association that it found good. */
function nameOf({ source, target, type, key }: Associate): CheckedName {
  return { source: { id: idOf(source) }, target: { id: idOf(target) }, name: type, key }
}

/** Types and keys hold no NUL. */
function textOf({ source, target, name, key }: CheckedName): string {
  return `${source.id}${target.id}${name}\0${key ?? ''}`
}
