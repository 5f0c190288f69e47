import { INTEGERS, IRI } from '../rdf.ts'
import { fitsDouble } from './decimal.ts'
import { parseKept } from './exact-json.ts'

const INTEGER = /^[+-]?\d+$/
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)$/
const DOUBLE = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/
/** A digit before the exponent says so. */
const NOT_ZERO = /^[^eE]*[1-9]/

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
      return numberOr(text, DECIMAL.test(text) && fitsDouble(text))
    case IRI.json:
      return parsedOr(text)
    default:
      if (!INTEGERS.has(type)) return text
      return numberOr(text, INTEGER.test(text) && Number.isSafeInteger(Number(text)))
  }
}

/** Infinity and -0 are kept as text, since metadata holds neither, and so is what would become 0. */
function numberOr(text: string, isExact: boolean): unknown {
  const number = Number(text)
  const isKept =
    number === 0 ? !Object.is(number, -0) && !NOT_ZERO.test(text) : Number.isFinite(number)
  return isExact && isKept ? number : text
}

function parsedOr(text: string): unknown {
  try {
    return parseKept(text)
  } catch {
    // A datatype is a claim; a text that does not live up to it is still a text. So is one with a
    // number that would become another one.
    return text
  }
}
