/** From what a caller asked for to a commit that can wait in line. */
import type { Embed } from '../options.ts'
import { embedTexts } from '../checks/embed.ts'
import { checkVector } from '../checks/vector.ts'
import { limitExceeded } from '../checks/values.ts'
import type { Command } from '../types.ts'
import type { ValidCommitOptions } from './commit-options.ts'
import { digestOf, type LenientOptions, type WaitingCommit } from './staged-commit.ts'
import { type CheckContext, checkCommit, type ValidCommand } from './valid-command.ts'

type Prepared = Omit<WaitingCommit, 'resolve' | 'reject'>

/**
 * Checks the commands of a commit. Asynchronous only if texts are to be embedded first.
 *
 * @throws StoreError as `checkCommand`; rejects with `EMBED_FAILED`.
 */
export function prepareCommit(
  context: CheckContext,
  embed: Embed | undefined,
  commands: readonly Command[],
  options: ValidCommitOptions,
  lenient: LenientOptions | undefined
): Prepared | Promise<Prepared> {
  const checked = checkCommit(context, commands, options.bytes)
  const { idempotencyKey: key, expect, meta, durability, signal } = options
  // Made before texts are embedded: a retry must not depend on the model giving the same numbers.
  const idempotency =
    key === undefined ? undefined : { key, digest: digestOf(checked.commands) }
  const prepared: Prepared = {
    ...checked,
    expect,
    durability,
    meta,
    idempotency,
    lenient,
    signal,
    onAbort: undefined
  }
  if (embed === undefined || context.vectors === undefined) return prepared
  const texts = checked.commands.filter(needsEmbedding)
  return texts.length === 0 ? prepared : embedAll(context, embed, prepared, texts)
}

type Embeddable = Extract<ValidCommand, { do: 'learn' | 'revise' }>

/** Content without a vector of its own; `null` says that there shall be none. */
function needsEmbedding(command: ValidCommand): command is Embeddable {
  if (command.do !== 'learn' && command.do !== 'revise') return false
  return command.fields.content !== undefined && command.fields.vector === undefined
}

async function embedAll(
  context: CheckContext,
  embed: Embed,
  prepared: Prepared,
  commands: readonly Embeddable[]
): Promise<Prepared> {
  const texts = commands.map(({ fields }) => fields.content ?? '')
  const vectors = await embedTexts(embed, texts, prepared.signal)
  let { bytes } = prepared
  for (const [i, command] of commands.entries()) {
    const scope = { command: prepared.commands.indexOf(command), limits: context.limits }
    command.fields.vector = checkVector(scope, vectors[i], context.vectors)
    bytes += command.fields.vector.byteLength
  }
  const { commitBytes } = context.limits
  if (bytes <= commitBytes) return { ...prepared, bytes }
  throw limitExceeded({ command: undefined, limits: context.limits }, 'commitBytes', bytes, commitBytes)
}
