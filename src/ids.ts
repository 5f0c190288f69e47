import { hash, randomFillSync } from 'node:crypto'
import { StoreError } from './errors.ts'

declare const brand: unique symbol

/** The id of a concept: 16 bytes as 32 lower-case hex digits. */
export type ConceptId = string & { readonly [brand]: 'ConceptId' }

/** An id, or the caller's own key, from which the id is derived by `ConceptId.fromKey`. */
export type IdInput = ConceptId | { key: string }

const HEX_ID = /^[0-9a-f]{32}$/
const HEX_DIGITS = 32

/**
 * The ways to make a concept's id. All synchronous.
 *
 * How content and keys are hashed is frozen with format 1: the first 16 bytes of
 * SHA-256 over a prefix and the UTF-8 text. The prefixes keep the two apart, so that
 * a key never meets a content of the same letters.
 */
export const ConceptId: {
  /** @throws StoreError `ID_INVALID` on anything but 32 lower-case hex digits. */
  fromHex(hex: string): ConceptId
  /** The id of a concept learned without an id: equal content, equal id. */
  fromContent(content: string): ConceptId
  /** The id of a concept with a key of the caller's own, such as `wn:00001740-n`. */
  fromKey(key: string): ConceptId
  /** A new id that sorts by the time of its making (48 bits of milliseconds, 80 random bits). */
  random(): ConceptId
} = {
  fromHex(hex) {
    if (!isConceptId(hex)) throw idInvalid(hex)
    return hex
  },
  fromContent: (content) => digest(`content\0${content}`),
  fromKey: (key) => digest(`key\0${key}`),
  random: randomId
}

/** The id that a concept is named by, once it is known to be an id or a key. */
export function idOf(input: IdInput): ConceptId {
  return typeof input === 'string' ? input : ConceptId.fromKey(input.key)
}

export function isConceptId(value: unknown): value is ConceptId {
  return typeof value === 'string' && HEX_ID.test(value)
}

/** @param command Its number in a commit. */
export function idInvalid(received: unknown, command?: number): StoreError<'ID_INVALID'> {
  const shown = typeof received === 'string' ? `'${received.slice(0, 80)}'` : typeof received
  return new StoreError('ID_INVALID', `Expected 32 lower-case hex digits, received ${shown}`, {
    ...(command !== undefined && { command }),
    received
  })
}

const scratch = Buffer.alloc(2 * HEX_DIGITS)

function digest(text: string): ConceptId {
  // Copied by way of the scratch buffer: a slice would keep the whole digest alive behind it.
  scratch.write(hash('sha256', text, 'hex'), 'latin1')
  return scratch.toString('latin1', 0, HEX_DIGITS) as ConceptId
}

// Random bytes are drawn in blocks: one system call serves a few hundred ids.
const pool = Buffer.alloc(4096)
const RANDOM_BYTES = 10
let poolUsed = pool.length

function randomId(): ConceptId {
  if (poolUsed + RANDOM_BYTES > pool.length) {
    randomFillSync(pool)
    poolUsed = 0
  }
  const random = pool.toString('hex', poolUsed, poolUsed + RANDOM_BYTES)
  poolUsed += RANDOM_BYTES
  return (Date.now().toString(16).padStart(12, '0') + random) as ConceptId
}
