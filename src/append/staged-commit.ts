/** A commit on its way: checked, waiting for the writer, then staged, then settled. */
import { hash } from 'node:crypto'
import type { NamedId, ValidRef } from '../checks/values.ts'
import type { CommitMeta } from '../log/frame.ts'
import { pack } from '../storage/codec.ts'
import type { Durability, Receipt } from '../types.ts'
import type { ValidCommand } from './valid-command.ts'

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
  signal: AbortSignal | undefined
  /** Listens on the signal while the commit waits. */
  onAbort: (() => void) | undefined
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

/** 16 bytes that tell these commands from others under the same idempotency key. */
export function digestOf(commands: readonly ValidCommand[]): Buffer {
  const plain = commands.map((command) =>
    'fields' in command && command.fields.vector instanceof Float32Array
      ? { ...command, fields: { ...command.fields, vector: bytesOf(command.fields.vector) } }
      : command
  )
  return hash('sha256', pack(plain), 'buffer').subarray(0, 16)
}

function bytesOf(vector: Float32Array): Buffer {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength)
}
