/** A commit on its way: checked, waiting for the writer, then staged, then settled. */
import { hash } from 'node:crypto'
import { canonicalMetadata, decodeMetadata } from '../checks/metadata.ts'
import type { NamedId, ValidRef } from '../checks/values.ts'
import { StoreError } from '../errors.ts'
import type { CommitMeta } from '../log/frame.ts'
import { pack } from '../storage/codec.ts'
import type { Command, CommandResult, Durability, Receipt } from '../types.ts'
import type { ValidCommand, ValidFields, ValidTarget } from './valid-command.ts'

export type ValidExpectation =
  | { concept: NamedId; version: number }
  | { association: ValidRef; version: number }
  | { head: number }

export interface WaitingCommit {
  commands: readonly ValidCommand[]
  bytes: number
  expect: readonly ValidExpectation[]
  durability: Durability
  meta: CommitMeta | undefined
  idempotency: { key: string; digest: Uint8Array } | undefined
  /** Leaves bad commands out and reports them, instead of refusing all. For imports. */
  lenient: LenientCommit | undefined
  /** Belongs to a large load: it yields to commits that do not. */
  bulk: boolean
  signal: AbortSignal | undefined
  /** Set while the commit waits and listens to its signal: ends that. */
  deafen: (() => void) | undefined
  /** What it will be acknowledged with, once it is staged. */
  outcome: CommitOutcome | undefined
  resolve: (outcome: CommitOutcome) => void
  reject: (error: unknown) => void
}

export interface LenientOptions {
  /** Makes an empty stub for each end of an association that does not exist. */
  createMissing: boolean
  /** Everything is checked and resolved, then taken back. */
  dryRun: boolean
  /** Its place in a series, of which no commit takes effect without the one before it. */
  series: { readonly number: number; readonly of: Series }
  order: LineOrder | undefined
  /** Told what is left out once all is resolved; gives the headers that travel with the rest. */
  headersOf: ((rejected: Rejected[]) => Record<string, string>) | undefined
  /** What came of the texts of commands in an earlier dry run: no text is embedded twice. */
  embedded: EmbeddedTexts
}

/** Asked and told of each command that associates, by its number in what the caller gave. */
export interface LineOrder {
  /** Before it is resolved: gives the reason if it must be left out, whether it is good or not. */
  hold(command: number, name: ValidRef): Error | undefined
  /** Once it was resolved, and refused. */
  leftOut(command: number, name: ValidRef, error: Error): void
}

/** By the command as the caller gave it: its vector, or why the one that it got is refused. */
export type EmbeddedTexts = WeakMap<Command, Float32Array | Error>

export interface Series {
  /** The number of the commit that was staged last. */
  staged: number
}

export interface LenientCommit extends LenientOptions {
  /** What was left out before the commit got in line. */
  rejected: Rejected[]
  /** For each command, its number in what the caller gave. */
  numbers: readonly number[]
}

export interface Rejected {
  command: number
  error: Error
}

export interface CommitOutcome {
  receipt: Receipt
  /** Commands left out of a lenient commit, with why. */
  rejected: Rejected[]
}

/** How many events it makes at most: one for each command, and where a key must be noted, one anyway. */
export function eventsAtMost({ commands, idempotency, lenient }: WaitingCommit): number {
  const own = Math.max(commands.length, idempotency === undefined ? 0 : 1)
  if (lenient?.createMissing !== true) return own
  // Either end of an association may have to be made first.
  return commands.reduce((sum, command) => (command.do === 'associate' ? sum + 2 : sum), own)
}

/**
 * An import says in each commit how far it is, so none may take effect behind one that did not: one
 * that the disk guard refused, say, while there was room again for the next.
 *
 * @throws StoreError `ABORTED`
 */
export function continueSeries({ series }: LenientOptions): void {
  if (series.of.staged === series.number - 1) return
  throw new StoreError('ABORTED', 'A commit of the same import failed before this one', {
    operation: 'commit'
  })
}

/** An import never asks for its results again, and they are a good part of a small commit. */
export function resultsToKeep(
  { lenient }: WaitingCommit,
  results: CommandResult[]
): CommandResult[] {
  return lenient === undefined ? results : []
}

/** What travels with a commit that is staged. */
export function metaOf(
  commit: WaitingCommit,
  { receipt, rejected }: CommitOutcome
): CommitMeta | undefined {
  const { meta, idempotency, lenient } = commit
  if (idempotency === undefined) return meta
  const results = resultsToKeep(commit, receipt.results)
  // Of a dry run nothing is told: it is as if it were not.
  const headers = lenient?.dryRun === true ? undefined : lenient?.headersOf?.(rejected)
  const given = headers === undefined ? meta : { ...meta, headers }
  return { ...given, idempotency: { ...idempotency, results } }
}

/**
 * 16 bytes that tell these commands from others under the same idempotency key. They are stored,
 * so what is hashed is spelled out here and frozen with format 1: it must not follow from how
 * checked commands happen to be laid out. The order of metadata's members does not count.
 */
export function digestOf(commands: readonly ValidCommand[]): Buffer {
  return hash('sha256', pack(commands.map(layOut)), 'buffer').subarray(0, 16)
}

/** The same, where the key alone tells the commands. */
export function digestOfKey(key: string): Buffer {
  return hash('sha256', key, 'buffer').subarray(0, 16)
}

function layOut(command: ValidCommand): unknown[] {
  switch (command.do) {
    case 'learn':
      return ['learn', layOutId(command.concept), layOutFields(command.fields), command.ifExists]
    case 'associate':
      return ['associate', layOutRef(command.ref), layOutFields(command.fields), command.ifExists]
    case 'reinforce': {
      const { strength = null, confidence = null } = command.changes
      return ['reinforce', layOutTarget(command.target), strength, confidence]
    }
    case 'revise':
      return ['revise', layOutTarget(command.target), layOutFields(command.fields)]
    case 'forget':
      return ['forget', layOutId(command.concept)]
    case 'dissociate':
      return ['dissociate', layOutRef(command.ref)]
    case 'note': {
      const { type, subscription, position } = command.event
      return [type, subscription, position]
    }
  }
}

/** Pairs of name and value, for the fields that were given; `null` clears. */
function layOutFields(fields: ValidFields): unknown[] {
  const { type, content, data, metadata, vector, strength, confidence } = fields
  const pairs: [string, unknown][] = [
    ['type', type],
    ['content', content],
    ['data', data],
    ['metadata', metadata && canonicalMetadata(decodeMetadata(metadata))],
    ['vector', vector && Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)],
    ['strength', strength],
    ['confidence', confidence]
  ]
  return pairs.filter(([, value]) => value !== undefined)
}

function layOutTarget(target: ValidTarget): unknown {
  return 'concept' in target ? layOutId(target.concept) : layOutRef(target.association)
}

function layOutRef({ source, target, name, key }: ValidRef): unknown[] {
  return [layOutId(source), layOutId(target), name, key ?? null]
}

function layOutId({ id, key }: NamedId): unknown[] {
  return [id, key ?? null]
}
