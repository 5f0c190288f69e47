import { ConceptId, idOf } from '../ids.ts'
import type { Command, IfExists, NewAssociation } from '../types.ts'
import { IdSet } from './id-set.ts'
import type { ImportTarget, LenientOptions, LenientResult, LineOrder } from './target.ts'

/** Commands that one of a batch can need before it: its ends and itself, for an association. */
export const DRY_RUN_EXTRA = 3

/**
 * Checks batches against the store without appending anything. Nothing is there for a later batch
 * to find, so this remembers what earlier ones would have made, 32 to 64 bytes each, and lets a
 * commit that meets it begin with it. Associations are remembered only where a second one would be
 * refused.
 */
export class DryRun {
  readonly #target: ImportTarget
  readonly #made = new IdSet()

  constructor(target: ImportTarget) {
    this.#target = target
  }

  async commitLenient(
    commands: readonly Command[],
    options: LenientOptions
  ): Promise<LenientResult> {
    const earlier = this.#earlier(commands)
    const { order } = options
    const result = await this.#target.commitLenient([...earlier, ...commands], {
      ...options,
      ...(order && { order: behind(earlier.length, order) }),
      dryRun: true
    })
    const rejected = result.rejected
      .map(({ command, error }) => ({ command: command - earlier.length, error }))
      .filter(({ command }) => command >= 0)
    const left = new Set(rejected.map(({ command }) => command))
    commands.forEach((command, index) => {
      if (left.has(index)) return
      if (command.do === 'learn') for (const id of idsOf(command)) this.#made.add(id)
      if (isUnique(command)) this.#made.add(nameOf(command))
    })
    return { rejected }
  }

  #earlier(commands: readonly Command[]): Command[] {
    const ids = new Set(commands.flatMap(idsOf).filter((id) => this.#made.has(id)))
    const repeated = commands.filter(isUnique).filter((one) => this.#made.has(nameOf(one)))
    return [...[...ids].map(standIn), ...repeated.map((one) => ({ ...one, ifExists: KEEP }))]
  }
}

/** Commands come so much later, and what stands before them is nothing that the order knows. */
function behind(count: number, order: LineOrder): LineOrder {
  return {
    hold: (command, name) => (command < count ? undefined : order.hold(command - count, name)),
    leftOut: (command, name, error) => {
      if (command >= count) order.leftOut(command - count, name, error)
    }
  }
}

const KEEP: IfExists = 'keep'

/** `keep` changes nothing where the concept is in the store as well; no model is asked for a vector. */
function standIn(id: ConceptId): Command {
  return { do: 'learn', id, content: 'made by an earlier line', embedding: null, ifExists: KEEP }
}

type Associate = { do: 'associate' } & NewAssociation

function isUnique(command: Command): command is Associate {
  return command.do === 'associate' && command.ifExists === 'fail'
}

/** A set of ids holds it as well: nobody finds a concept whose content would be this. */
function nameOf({ source, target, type, key }: Associate): ConceptId {
  return ConceptId.fromContent(JSON.stringify([idOf(source), idOf(target), type, key ?? null]))
}

function idsOf(command: Command): ConceptId[] {
  if (command.do === 'learn') {
    return [command.id === undefined ? ConceptId.fromContent(command.content) : idOf(command.id)]
  }
  return command.do === 'associate' ? [idOf(command.source), idOf(command.target)] : []
}
