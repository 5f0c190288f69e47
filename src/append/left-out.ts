import { StoreError } from '../errors.ts'
import type { LenientCommit, Rejected } from './staged-commit.ts'
import type { ValidCommand } from './valid-command.ts'

/** What a lenient commit leaves out while it is staged. Any other leaves out nothing: it fails. */
export class LeftOut {
  readonly #lenient: LenientCommit | undefined
  readonly #rejected: Rejected[]

  constructor(lenient: LenientCommit | undefined) {
    this.#lenient = lenient
    this.#rejected = lenient === undefined ? [] : [...lenient.rejected]
  }

  /** By their numbers. */
  get rejected(): Rejected[] {
    return this.#rejected.sort((a, b) => a.command - b.command)
  }

  /** Whether a command is left out though it may be good, because of an earlier one. */
  holds(index: number, command: ValidCommand): boolean {
    const { order, numbers = [] } = this.#lenient ?? {}
    if (order === undefined || command.do !== 'associate') return false
    const number = numbers[index] ?? index
    const error = order.hold(number, command.ref)
    if (error === undefined) return false
    this.#rejected.push({ command: number, error })
    return true
  }

  /** Leaves out a command that was refused, or throws. */
  add(index: number, command: ValidCommand, error: unknown): void {
    if (this.#lenient === undefined || !(error instanceof StoreError)) throw error
    const { order, numbers } = this.#lenient
    const number = numbers[index] ?? index
    if (command.do === 'associate') order?.leftOut(number, command.ref, error)
    this.#rejected.push({ command: number, error })
  }
}
