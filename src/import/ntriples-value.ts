import { INTEGERS, IRI } from '../rdf.ts'

/** A decimal of at most so many digits is the same after a double has held it. */
const DIGITS_MAX = 15
const INTEGER = /^[+-]?\d+$/
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)$/
const DOUBLE = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/

/**
 * What a literal becomes in metadata: a number or a boolean where that says the same, else its text.
 *
 * @param type Its datatype, or '' or a language.
 */
export function literalValue(text: string, type: string): unknown {
  switch (type) {
    case IRI.boolean:
      if (text === 'true' || text === '1') return true
      return text === 'false' || text === '0' ? false : text
    case IRI.double:
    case IRI.float:
      return numberOr(text, DOUBLE.test(text))
    case IRI.decimal:
      return numberOr(text, DECIMAL.test(text) && digitsOf(text) <= DIGITS_MAX)
    case IRI.json:
      return parsedOr(text)
    default:
      if (!INTEGERS.has(type)) return text
      return numberOr(text, INTEGER.test(text) && Number.isSafeInteger(Number(text)))
  }
}

/** Infinity and -0 are kept as text: metadata holds neither. */
function numberOr(text: string, isExact: boolean): unknown {
  const number = Number(text)
  return isExact && Number.isFinite(number) && !Object.is(number, -0) ? number : text
}

function digitsOf(text: string): number {
  return text.replace(/^[+-]?0*/, '').replace('.', '').length
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A datatype is a claim; a text that does not live up to it is still a text.
    return text
  }
}
