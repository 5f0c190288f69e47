import { ConceptId, type IdInput } from '../ids.ts'
import type { Command } from '../types.ts'
import { IdSet } from './id-set.ts'
import type { ImportTarget, LenientOptions, LenientResult } from './target.ts'

/** Commands that one command of a batch can need before it: one for each end of an association. */
export const DRY_RUN_EXTRA = 2

/**
 * Checks batches against the store without appending anything. Nothing is there for a later batch
 * to find, so this remembers the concepts that earlier ones would have made, 32 to 64 bytes each,
 * and lets a commit that needs one begin with it. Associations of earlier batches it does not know:
 * a second one of the same kind, with `ifExists: 'fail'`, passes here and is refused in earnest.
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
    const needed = new Set(commands.flatMap(idsOf).filter((id) => this.#made.has(id)))
    const earlier = [...needed].map(standIn)
    const result = await this.#target.commitLenient([...earlier, ...commands], {
      ...options,
      dryRun: true
    })
    const rejected = result.rejected
      .map(({ command, error }) => ({ command: command - earlier.length, error }))
      .filter(({ command }) => command >= 0)
    const left = new Set(rejected.map(({ command }) => command))
    commands.forEach((command, index) => {
      if (command.do !== 'learn' || left.has(index)) return
      for (const id of idsOf(command)) this.#made.add(id)
    })
    return { rejected }
  }
}

/** `keep` changes nothing where the concept is in the store as well. */
function standIn(id: ConceptId): Command {
  return { do: 'learn', id, content: 'made by an earlier line', ifExists: 'keep' }
}

function idsOf(command: Command): ConceptId[] {
  if (command.do === 'learn') {
    return [command.id === undefined ? ConceptId.fromContent(command.content) : toId(command.id)]
  }
  return command.do === 'associate' ? [toId(command.source), toId(command.target)] : []
}

function toId(input: IdInput): ConceptId {
  return typeof input === 'string' ? input : ConceptId.fromKey(input.key)
}
