/** From what a caller asked for to a commit that can wait in line. */
import { assert } from '../assert.ts'
import { type EmbedSignals, embedTexts } from '../checks/embed.ts'
import { limitExceeded, type Scope } from '../checks/values.ts'
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

/** What turns texts into vectors, for as long as the store is open. */
export interface Embedder {
  embed: Embed | undefined
  closing: AbortSignal
}

/**
 * Checks the commands of a commit. Asynchronous only if texts are to be embedded first.
 *
 * @throws StoreError as `checkCommand`; rejects with `EMBED_FAILED`, `ABORTED`, `STORE_CLOSED`.
 */
export function prepareCommit(
  context: CheckContext,
  { embed, closing }: Embedder,
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
    deafen: undefined,
    outcome: undefined,
    resolve: notInLine,
    reject: notInLine
  }
  if (embed === undefined || context.vectors === undefined) return prepared
  const texts = checked.commands.filter(needsEmbedding)
  if (texts.length === 0) return prepared
  return embedAll(
    { context, embed, signals: { signal, closing }, values: commands, prepared },
    texts
  )
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

interface Embedding {
  context: CheckContext
  embed: Embed
  signals: EmbedSignals
  /** The commands as the caller gave them. */
  values: readonly Command[]
  prepared: WaitingCommit
}

async function embedAll(
  embedding: Embedding,
  commands: readonly Embeddable[]
): Promise<WaitingCommit> {
  const { context, prepared } = embedding
  const vectors = await vectorsOf(embedding, commands)
  const refused = new Set<ValidCommand>()
  let { bytes } = prepared
  for (const command of commands) {
    const vector = vectors.get(command)
    if (vector instanceof Float32Array) {
      command.fields.vector = vector
      bytes += vector.byteLength
      continue
    }
    assert(vector !== undefined, 'each text has a vector, or an error in its place')
    // One text that the model cannot do must not stop an import of a million others.
    if (prepared.lenient === undefined) throw vector
    const number = prepared.commands.indexOf(command)
    const rejected = prepared.lenient.numbers[number] ?? 0
    prepared.lenient.rejected.push({ command: rejected, error: vector })
    refused.add(command)
  }
  const { commitBytes } = context.limits
  if (bytes > commitBytes) {
    const scope = { command: undefined, limits: context.limits }
    throw limitExceeded(scope, 'commitBytes', bytes, commitBytes)
  }
  return refused.size === 0 ? { ...prepared, bytes } : without(refused, { ...prepared, bytes })
}

/** For each command its vector, or why it gets none. What a dry run has embedded is taken from there. */
async function vectorsOf(
  { context, embed, signals, values, prepared }: Embedding,
  commands: readonly Embeddable[]
): Promise<Map<ValidCommand, Float32Array | Error>> {
  const { lenient } = prepared
  const vectors = new Map<ValidCommand, Float32Array | Error>()
  const numbers = new Map(prepared.commands.map((command, number) => [command, number]))
  const given = (command: Embeddable): Command | undefined =>
    values[lenient?.numbers[numbers.get(command) ?? 0] ?? 0]
  const unknown: Embeddable[] = []
  for (const command of commands) {
    const value = given(command)
    const known = value === undefined ? undefined : lenient?.embedded.get(value)
    if (known === undefined) unknown.push(command)
    else vectors.set(command, known)
  }
  if (unknown.length === 0) return vectors
  const texts = unknown.map(({ fields }) => fields.content ?? '')
  const embedded = await embedTexts(embed, texts, signals)
  for (const [i, command] of unknown.entries()) {
    const scope = { command: numbers.get(command), limits: context.limits }
    const vector = checked(scope, embedded[i], context.vectors)
    vectors.set(command, vector)
    const value = given(command)
    // Only after a dry run does the same command come again.
    if (lenient?.dryRun === true && value !== undefined) lenient.embedded.set(value, vector)
  }
  return vectors
}

function checked(
  scope: Scope,
  vector: unknown,
  shape: CheckContext['vectors']
): Float32Array | Error {
  try {
    return checkVector(scope, vector, shape)
  } catch (error) {
    if (error instanceof StoreError || error instanceof TypeError) return error
    throw error
  }
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
