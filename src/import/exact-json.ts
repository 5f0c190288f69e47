/** Reading JSON without changing a number in silence. */

/**
 * What an integer has to hold, or a number far below all others, before it may change. Nearly every
 * text has none of it, and no fraction of a common length has.
 */
const SUSPECT = /[^\d.][1-9]\d{15}|^[1-9]\d{15}|[eE]-\d{3}|0{200}/
/** What every -0 and every number beyond all doubles have. */
const EXTREME = /-0(\.0+)?([eE][+-]?\d+)?(?![\d.])|[eE]\+?\d\d|\d{200}/
const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y
/** Also as CSV has it: with a plus, without digits on one side of the point. */
const PARTS = /^[+-]?(\d*)(\.\d*)?([eE][+-]?\d+)?$/
const DIGITS_SAFE = 15
/** Beyond it no number is finite, and that is refused elsewhere. */
const DIGITS_MAX = 309

/** A number that would become another one. Its message is the reason, as metadata has it for -0. */
export class InexactNumber extends Error {
  constructor(number: string) {
    const shown = number.length > 40 ? `${number.slice(0, 40)}…` : number
    super(`the number ${shown} could not be given back as it was`)
  }
}

/**
 * @param isRecord A record in JSON: the numbers of its embedding become floats in any case.
 * @throws SyntaxError for what is no JSON; InexactNumber.
 */
export function parseExactly(text: string, isRecord = false): unknown {
  const value: unknown = JSON.parse(text)
  const parts = isRecord ? outsideEmbedding(text, value) : [text]
  for (const part of parts) if (SUSPECT.test(part)) checkNumbers(part, isRecord)
  return value
}

/**
 * The same without what metadata does not hold, for values that are not refused later: -0, Infinity.
 *
 * @throws SyntaxError for what is no JSON; InexactNumber.
 */
export function parseKept(text: string): unknown {
  const value = parseExactly(text)
  if (EXTREME.test(text)) JSON.parse(text, refuseExtreme)
  return value
}

function refuseExtreme(_: string, value: unknown): unknown {
  if (Object.is(value, -0) || value === Infinity || value === -Infinity) {
    throw new InexactNumber(Object.is(value, -0) ? '-0' : String(value))
  }
  return value
}

/**
 * What is worth a look: embeddings are most of a long record. Where it is not sure which part one
 * is, that is the whole text, and only takes longer.
 */
function outsideEmbedding(text: string, value: unknown): readonly string[] {
  if (text.length < LONG || !hasEmbedding(value)) return [text]
  const at = text.indexOf(EMBEDDING)
  // Metadata may have a field of that name, a content be that word, and a name be escaped.
  const isSure = text.indexOf(EMBEDDING, at + 1) === -1 && !text.includes(ESCAPED_LETTER)
  if (!isSure) return [text]
  const from = text.indexOf('[', at)
  return [text.slice(0, from), text.slice(text.indexOf(']', from))]
}

function hasEmbedding(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('embedding' in value)) return false
  const { embedding } = value
  return Array.isArray(embedding) && embedding.every((one) => typeof one === 'number')
}

const EMBEDDING = '"embedding"'
/** Any of those in that word begins so. */
const ESCAPED_LETTER = '\\u006'
/** In shorter texts there is not enough to leave out. */
const LONG = 500

/** @throws InexactNumber for an integer that no double is, or what is so small that it would be 0. */
export function checkNumber(number: string): void {
  const [, integer = '', fraction = '', exponent = ''] = PARTS.exec(number) ?? []
  const isInteger = fraction === '' && exponent === ''
  if (isInteger ? !isExact(integer) : isVanished(number, integer + fraction)) {
    throw new InexactNumber(number)
  }
}

/** Whether a double holds the integer that stands there. */
function isExact(digits: string): boolean {
  if (digits.length <= DIGITS_SAFE) return true
  const value = Number(digits)
  if (digits.length > DIGITS_MAX || !Number.isFinite(value)) return true
  // From 1e21 on it prints with an exponent; what it is exactly may stand there as well.
  return String(value) === digits || BigInt(value) === BigInt(digits)
}

/** @param text Of valid JSON, whole or what is left without the only embedding; no string is cut in two. */
function checkNumbers(text: string, isRecord: boolean): void {
  let depth = 0
  let isInEmbedding = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfString(text, at)
      if (isRecord && depth === 1 && isName(text, end)) {
        isInEmbedding = JSON.parse(text.slice(at, end + 1)) === 'embedding'
      }
      at = end
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      NUMBER.lastIndex = at
      const [number = ''] = NUMBER.exec(text) ?? []
      if (!isInEmbedding) checkNumber(number)
      at += number.length - 1
    } else if (OPENING.has(code)) depth += 1
    else if (CLOSING.has(code)) depth -= 1
  }
}

/** The string that ends there is the name of a member. */
function isName(text: string, end: number): boolean {
  COLON.lastIndex = end + 1
  return COLON.test(text)
}

/** The number is so small that it would become 0. */
function isVanished(number: string, digits: string): boolean {
  return Number(number) === 0 && /[1-9]/.test(digits)
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b])
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d])
const COLON = /\s*:/y

/** Where the string that begins here has its last quote. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); ; at = text.indexOf('"', at + 1)) {
    let before = at - 1
    while (text.charCodeAt(before) === BACKSLASH) before -= 1
    if ((at - before) % 2 === 1) return at
  }
}
