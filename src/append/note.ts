import { assert } from '../assert.ts'
import { digestOf, type WaitingCommit } from './staged-commit.ts'
import { commandBytes, type NotedEvent, type ValidCommand } from './valid-command.ts'

/** A commit of the store's own, of one event that says something and changes no knowledge. */
export function prepareNote(event: NotedEvent, key: string): WaitingCommit {
  const command: ValidCommand = { do: 'note', event }
  const commands = [command]
  return {
    commands,
    bytes: commandBytes(command),
    lenient: undefined,
    bulk: false,
    expect: [],
    // A subscription goes on behind the event only once the note cannot be lost.
    durability: 'fsync',
    meta: undefined,
    idempotency: { key, digest: digestOf(commands) },
    signal: undefined,
    deafen: undefined,
    outcome: undefined,
    resolve: notInLine,
    reject: notInLine
  }
}

/** The writer puts the caller's own in its place. */
function notInLine(): void {
  assert(false, 'a commit is settled only after it got in line')
}
