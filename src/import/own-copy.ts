import type { Limits } from '../options.ts'
import type { Command } from '../types.ts'
import { FLOAT_BYTES } from './batch.ts'

/** Deeper than any metadata that a commit takes. */
const DEPTH_MAX = 100

/**
 * Copies what a record of a program holds, since a command waits in its batch for those behind it:
 * the program may fill the same array or object anew for each. What a commit would refuse for its
 * size is left as it is, and what it would refuse for its kind is refused of a copy too.
 *
 * @param command Made for this record alone, so it is changed itself.
 */
export function ownCopy(command: Command, limits: Readonly<Limits>): Command {
  const { contentBytes, commitBytes, metadataBytes } = limits
  if (command.do === 'learn') {
    const { embedding, data } = command
    if (embedding != null && embedding.length * FLOAT_BYTES <= commitBytes) {
      command.embedding = embedding.slice()
    }
    // The `slice` of a Buffer shares its memory.
    if (data != null && data.byteLength <= contentBytes) command.data = new Uint8Array(data)
  }
  if ('metadata' in command && command.metadata != null) {
    command.metadata = copyOf(command.metadata, 0, { values: metadataBytes })
  }
  return command
}

/** Each value takes a byte or more of metadata, so what is too much for the budget is too large. */
function copyOf(value: object, depth: number, budget: { values: number }): object {
  if (depth > DEPTH_MAX || budget.values < 0) return value
  if (Array.isArray(value)) {
    if (value.length > budget.values) return value
    budget.values -= value.length
    const copy: unknown[] = value.slice()
    for (let i = 0; i < copy.length; i++) {
      const member = copy[i]
      if (isObject(member)) copy[i] = copyOf(member, depth + 1, budget)
    }
    return copy
  }
  const prototype: object | null = Object.getPrototypeOf(value)
  // No class: its objects are refused.
  if (!isRoot(prototype)) return value
  const copy: Record<string, unknown> = { ...value }
  for (const name of Object.keys(copy)) {
    budget.values -= 1
    const member = copy[name]
    // To set a member named so would set the prototype. It is refused.
    if (isObject(member) && name !== '__proto__') copy[name] = copyOf(member, depth + 1, budget)
  }
  return prototype === Object.prototype ? copy : Object.setPrototypeOf(copy, prototype)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** That of plain objects, of whatever realm. */
function isRoot(prototype: object | null): boolean {
  return (
    prototype === Object.prototype ||
    prototype === null ||
    Object.getPrototypeOf(prototype) === null
  )
}
