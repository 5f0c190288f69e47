/** How a commit gets in line: once the vectors that it brings have room. */
import type { CommitOutcome, WaitingCommit } from '../append/staged-commit.ts'
import type { ValidCommand } from '../append/valid-command.ts'
import type { Engine } from './engine.ts'

interface Entered {
  settled: Promise<CommitOutcome>
}

/** Gets it in line in this turn, unless vectors that wait for their graph are too many. */
export function enterLine(engine: Engine, commit: WaitingCommit): Entered | Promise<Entered> {
  const { vectors } = engine.parts
  const rows = vectors === undefined ? 0 : vectorsIn(commit.commands)
  if (vectors === undefined || rows === 0) return { settled: engine.writer.commit(commit) }
  const { room } = vectors
  const wait = room.enter(rows, commit.signal)
  const write = (): Entered => {
    const settled = engine.writer.commit(commit)
    // By then the index counts those that were written, and the others do not count any more.
    const leave = (): void => room.leave(rows)
    settled.then(leave, leave)
    return { settled }
  }
  return wait === undefined ? write() : wait.then(write)
}

/** The same for somebody who waits until it has settled. */
export async function writeCommit(engine: Engine, commit: WaitingCommit): Promise<CommitOutcome> {
  const entered = enterLine(engine, commit)
  const { settled } = entered instanceof Promise ? await entered : entered
  return settled
}

/** How many there may be: a command may yet turn out to change nothing. */
function vectorsIn(commands: readonly ValidCommand[]): number {
  let count = 0
  for (const command of commands) {
    if ('fields' in command && command.fields.vector instanceof Float32Array) count += 1
  }
  return count
}
