import type { LogCommit } from '../log/frame.ts'
import { STRETCH_MS } from '../turn.ts'
import type { WaitingCommit } from './staged-commit.ts'

/** How much of a line goes into one frame. A larger commit has its own. */
export interface Share {
  bytes: number
  events: number
  /** Of staging. */
  ms: number
}

export const WHOLE: Share = { bytes: 1024 * 1024, events: 4096, ms: STRETCH_MS }
/** Of bulk, while single commits come: each of them may find such a frame being written. */
export const BESIDE: Share = { bytes: 128 * 1024, events: 512, ms: STRETCH_MS / 4 }

/** Commits of one frame, and what each of them waits for. */
export interface Group {
  /** What is written: a commit that changes nothing writes nothing, and is told with the rest. */
  commits: LogCommit[]
  members: WaitingCommit[]
  durable: boolean
  interval: boolean
  /** There are single commits among them. */
  isAwaited: boolean
  hasBulk: boolean
  events: number
  bytes: number
}

export function newGroup(): Group {
  const flags = { durable: false, interval: false, isAwaited: false, hasBulk: false }
  return { commits: [], members: [], ...flags, events: 0, bytes: 0 }
}
