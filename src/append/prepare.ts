/** From what a caller asked for to a commit that can wait in line. */
import { assert } from '../assert.ts'
import { embedTexts } from '../checks/embed.ts'
import { limitExceeded } from '../checks/values.ts'
import { checkVector } from '../checks/vector.ts'
import { StoreError } from '../errors.ts'
import type { Embed } from '../options.ts'
import type { Command } from '../types.ts'
import type { ValidCommitOptions } from './commit-options.ts'
import {
  digestOf,
  digestOfKey,
  type LenientCommit,
  type LenientOptions,
  type Rejected,
  type WaitingCommit
} from './staged-commit.ts'
import { type CheckContext, checkAlone, checkCommit, type ValidCommand } from './valid-command.ts'

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
): WaitingCommit | Promise<WaitingCommit> {
  const checked =
    lenient === undefined
      ? { ...checkCommit(context, commands, options.bytes), lenient }
      : checkLenient(context, commands, lenient)
  const { idempotencyKey: key, expect, meta, durability, signal } = options
  // Made before texts are embedded: a retry must not depend on the model giving the same numbers.
  // A commit of an import is never repeated, so its key may stand for what is in it.
  const digest = (name: string) =>
    lenient === undefined ? digestOf(checked.commands) : digestOfKey(name)
  const idempotency = key === undefined ? undefined : { key, digest: digest(key) }
  const prepared: WaitingCommit = {
    commands: checked.commands,
    bytes: checked.bytes,
    lenient: checked.lenient,
    bulk: options.bulk || lenient !== undefined,
    expect,
    durability,
    meta,
    idempotency,
    signal,
    onAbort: undefined,
    outcome: undefined,
    resolve: notInLine,
    reject: notInLine
  }
  if (embed === undefined || context.vectors === undefined) return prepared
  const texts = checked.commands.filter(needsEmbedding)
  return texts.length === 0 ? prepared : embedAll(context, embed, prepared, texts)
}

/** The writer puts the caller's own in its place. */
function notInLine(): void {
  assert(false, 'a commit is settled only after it got in line')
}

/** Checks each command by itself: what is refused is left out, with its number and why. */
function checkLenient(
  context: CheckContext,
  values: readonly Command[],
  options: LenientOptions
): { commands: ValidCommand[]; bytes: number; lenient: LenientCommit } {
  const commands: ValidCommand[] = []
  const numbers: number[] = []
  const rejected: Rejected[] = []
  let bytes = 0
  for (let index = 0; index < values.length; index++) {
    try {
      const checked = checkAlone(context, values[index] as Command, bytes)
      commands.push(checked.command)
      numbers.push(index)
      bytes = checked.bytes
    } catch (error) {
      if (!(error instanceof StoreError || error instanceof TypeError)) throw error
      rejected.push({ command: index, error })
    }
  }
  return { commands, bytes, lenient: { ...options, numbers, rejected } }
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
  prepared: WaitingCommit,
  commands: readonly Embeddable[]
): Promise<WaitingCommit> {
  const texts = commands.map(({ fields }) => fields.content ?? '')
  const vectors = await embedTexts(embed, texts, prepared.signal)
  const refused = new Set<ValidCommand>()
  let { bytes } = prepared
  for (const [i, command] of commands.entries()) {
    const number = prepared.commands.indexOf(command)
    try {
      const scope = { command: number, limits: context.limits }
      command.fields.vector = checkVector(scope, vectors[i], context.vectors)
      bytes += command.fields.vector.byteLength
    } catch (error) {
      // One text that the model cannot do must not stop an import of a million others.
      if (prepared.lenient === undefined) throw error
      if (!(error instanceof StoreError || error instanceof TypeError)) throw error
      prepared.lenient.rejected.push({ command: prepared.lenient.numbers[number] ?? 0, error })
      refused.add(command)
    }
  }
  const { commitBytes } = context.limits
  if (bytes > commitBytes) {
    const scope = { command: undefined, limits: context.limits }
    throw limitExceeded(scope, 'commitBytes', bytes, commitBytes)
  }
  return refused.size === 0 ? { ...prepared, bytes } : without(refused, { ...prepared, bytes })
}

function without(refused: ReadonlySet<ValidCommand>, prepared: WaitingCommit): WaitingCommit {
  const { commands, lenient } = prepared
  const isKept = (_: unknown, i: number): boolean => {
    const command = commands[i]
    return command !== undefined && !refused.has(command)
  }
  return {
    ...prepared,
    commands: commands.filter(isKept),
    lenient: lenient && { ...lenient, numbers: lenient.numbers.filter(isKept) }
  }
}
