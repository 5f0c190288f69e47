import { isAbsoluteIri } from '../rdf.ts'

/** One triple. A blank node is given as `_:` and its label, which no IRI begins with. */
export interface Triple {
  subject: string
  predicate: string
  object: string
  /** Of a literal its datatype, `@` and its language, or ''; of all else undefined. */
  literal: string | undefined
}

const LETTERS =
  'A-Za-z\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u02FF\\u0370-\\u037D\\u037F-\\u1FFF' +
  '\\u200C-\\u200D\\u2070-\\u218F\\u2C00-\\u2FEF\\u3001-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFFD' +
  '\\u{10000}-\\u{EFFFF}_'
const MORE = `${LETTERS}\\-0-9\\u00B7\\u0300-\\u036F\\u203F-\\u2040`
const BLANK = new RegExp(`_:[${LETTERS}0-9](?:[${MORE}.]*[${MORE}])?`, 'uy')
const LANGUAGE = /@[a-zA-Z]+(?:-[a-zA-Z0-9]+)*/y
const CODE_POINT = /u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})/y

const ESCAPES: Readonly<Record<string, string>> = {
  t: '\t',
  b: '\b',
  n: '\n',
  r: '\r',
  f: '\f',
  '"': '"',
  "'": "'",
  '\\': '\\'
}

const CODE_POINT_MAX = 0x10ffff

/** A line that the grammar does not know. Its message is the reason. */
export class TripleError extends Error {
  override readonly name = 'TripleError'
}

/**
 * Reads one line of N-Triples.
 *
 * @returns The triple, its literal still escaped; `undefined` for a blank line and a comment.
 * @throws TripleError
 * @see https://www.w3.org/TR/n-triples/#n-triples-grammar
 */
export function parseTriple(line: string): Triple | undefined {
  const cursor = new Cursor(line)
  if (cursor.isAtEnd()) return undefined
  const subject = cursor.iri() ?? cursor.blank()
  if (subject === undefined) throw cursor.expected('an IRI or a blank node')
  const predicate = cursor.iri()
  if (predicate === undefined) throw cursor.expected('an IRI')
  const triple: Triple = { subject, predicate, object: '', literal: undefined }
  const object = cursor.iri() ?? cursor.blank()
  if (object !== undefined) triple.object = object
  else cursor.literal(triple)
  cursor.end()
  return triple
}

/** What an escaped literal says. @throws TripleError */
export function unescapeLiteral(raw: string): string {
  let at = raw.indexOf('\\')
  if (at === -1) return raw
  const parts: string[] = []
  let from = 0
  while (at !== -1) {
    parts.push(raw.slice(from, at))
    const known = ESCAPES[raw[at + 1] ?? '']
    if (known === undefined) {
      const [character, length] = codePoint(raw, at + 1)
      parts.push(character)
      from = at + 1 + length
    } else {
      parts.push(known)
      from = at + 2
    }
    at = raw.indexOf('\\', from)
  }
  parts.push(raw.slice(from))
  const text = parts.join('')
  if (!text.isWellFormed()) throw new TripleError('an escape makes half a character')
  return text
}

function codePoint(raw: string, at: number): [string, number] {
  CODE_POINT.lastIndex = at
  const found = CODE_POINT.exec(raw)
  const code = Number.parseInt(found?.[1] ?? found?.[2] ?? '', 16)
  if (found && code <= CODE_POINT_MAX) return [String.fromCodePoint(code), found[0].length]
  throw new TripleError(`'\\${raw.slice(at, at + 9)}' is no escape`)
}

class Cursor {
  readonly #line: string
  #at = 0

  constructor(line: string) {
    this.#line = line
    this.#skip()
  }

  isAtEnd(): boolean {
    return this.#at === this.#line.length || this.#line[this.#at] === '#'
  }

  iri(): string | undefined {
    const line = this.#line
    if (line[this.#at] !== '<') return undefined
    const end = line.indexOf('>', this.#at)
    if (end === -1) throw new TripleError(`the IRI at column ${this.#at + 1} is not closed`)
    const raw = line.slice(this.#at + 1, end)
    const iri = raw.includes('\\') ? unescapeIri(raw) : raw
    if (!isAbsoluteIri(iri)) {
      throw new TripleError(`'${raw.slice(0, 80)}' is no absolute IRI`)
    }
    this.#at = end + 1
    this.#skip()
    return iri
  }

  blank(): string | undefined {
    return this.#take(BLANK)
  }

  literal(triple: Triple): void {
    const line = this.#line
    if (line[this.#at] !== '"') throw this.expected('an IRI, a blank node or a literal')
    const from = this.#at + 1
    const end = closingQuote(line, from)
    if (end === -1) throw new TripleError(`the literal at column ${from} is not closed`)
    triple.object = line.slice(from, end)
    // Only looked at here: who needs the text unescapes it again.
    unescapeLiteral(triple.object)
    this.#at = end + 1
    triple.literal = ''
    if (line.startsWith('^^', this.#at)) {
      this.#at += 2
      const datatype = this.iri()
      if (datatype === undefined) throw this.expected('the IRI of a datatype')
      triple.literal = datatype
    } else if (line[this.#at] === '@') {
      const language = this.#take(LANGUAGE)
      if (language === undefined) throw this.expected('a language')
      triple.literal = language.toLowerCase()
    } else {
      this.#skip()
    }
  }

  end(): void {
    if (this.#line[this.#at] !== '.') throw this.expected("'.'")
    this.#at += 1
    this.#skip()
    if (!this.isAtEnd()) throw this.expected('the end of the line')
  }

  expected(what: string): TripleError {
    const found = this.#at < this.#line.length ? `'${this.#line[this.#at]}'` : 'its end'
    return new TripleError(`${what} expected at column ${this.#at + 1}, found ${found}`)
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#line)?.[0]
    if (found === undefined) return undefined
    this.#at += found.length
    this.#skip()
    return found
  }

  #skip(): void {
    const line = this.#line
    let code = line.charCodeAt(this.#at)
    while (code === SPACE || code === TAB) {
      this.#at += 1
      code = line.charCodeAt(this.#at)
    }
  }
}

const SPACE = 32
const TAB = 9

/** IRIs know escapes of code points alone. */
function unescapeIri(raw: string): string {
  if (/\\[^uU]/.test(raw)) throw new TripleError(`'${raw.slice(0, 80)}' holds a bad escape`)
  return unescapeLiteral(raw)
}

function closingQuote(line: string, from: number): number {
  for (let at = line.indexOf('"', from); at !== -1; at = line.indexOf('"', at + 1)) {
    let slashes = 0
    while (at - slashes > from && line[at - slashes - 1] === '\\') slashes += 1
    if (slashes % 2 === 0) return at
  }
  return -1
}
