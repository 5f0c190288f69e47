/** A broken invariant is a bug in this library. It has no code: there is nothing to handle. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** Stays on in production: stopping is cheaper than writing a wrong event that lives forever. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new InvariantError(`Invariant broken: ${invariant}`)
}
