import { StoreError } from '../errors.ts'

export function idempotencyConflict(
  key: string,
  first: number,
  last: number
): StoreError<'IDEMPOTENCY_CONFLICT'> {
  const message = `The idempotency key '${key}' was used for other commands, at ${first} to ${last}`
  return new StoreError('IDEMPOTENCY_CONFLICT', message, { idempotencyKey: key, first, last })
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
