import { createHash, type Hash } from 'node:crypto'
import { CONTENT, idOf, Names } from '../rdf.ts'
import type { ImportRecord, NTriplesImportOptions } from '../types.ts'
import type { Triple } from './ntriples-line.ts'

const BLANK = '_:'
const SCOPE_DIGITS = 12
/** Predicates and types are few; a file in which they are not must not fill the memory. */
const NAMES_MAX = 10_000
const LANGUAGES: readonly string[] = ['en', '']

/**
 * Blank nodes are named within their file alone. Their keys hold a hash of all that the file says of
 * blank nodes: the same file gives the same keys again, whatever it is called, and another file
 * other ones.
 */
export class BlankScopes {
  readonly #hashes = new Map<number, Hash>()
  readonly #scopes = new Map<number, string>()

  /** A blank node with the number of its file, any other term as it is. */
  term(file: number, term: string): string {
    return term.startsWith(BLANK) ? `${BLANK}${file}:${term.slice(BLANK.length)}` : term
  }

  /** To be told of every triple that holds a blank node, in order. */
  note(file: number, { subject, predicate, object, literal }: Triple): void {
    let hash = this.#hashes.get(file)
    if (hash === undefined) {
      hash = createHash('sha256')
      this.#hashes.set(file, hash)
    }
    hash.update(JSON.stringify([subject, predicate, object, literal ?? null]))
  }

  /** Key of what `term` gave, once the whole file was noted. */
  keyOf(term: string): string {
    const colon = term.indexOf(':', BLANK.length)
    const file = Number(term.slice(BLANK.length, colon))
    return `${BLANK}${this.#scopeOf(file)}.${term.slice(colon + 1)}`
  }

  #scopeOf(file: number): string {
    const found = this.#scopes.get(file)
    if (found !== undefined) return found
    const scope = (this.#hashes.get(file)?.digest('hex') ?? '').slice(0, SCOPE_DIGITS)
    this.#scopes.set(file, scope)
    return scope
  }
}

/** Turns the terms of an import into keys, types and names. */
export class Terms {
  /** Ranks of predicates and languages: the lower, the better for the content. */
  readonly content: ReadonlyMap<string, number>
  readonly languages: ReadonlyMap<string, number>
  /** Of concepts that have none of their own. */
  readonly type: string | undefined
  readonly #names: Names
  readonly #scopes: BlankScopes
  readonly #known = new Map<string, string>()

  constructor(options: NTriplesImportOptions, scopes: BlankScopes) {
    const { content = CONTENT, languages = LANGUAGES, prefixes, type } = options
    this.#names = new Names(prefixes)
    this.#scopes = scopes
    this.type = type
    this.content = ranks(content.map((name) => this.#names.expand(name)))
    this.languages = ranks(languages.map((language) => language.toLowerCase()))
  }

  /** The name of a predicate or a type. */
  readonly nameOf = (iri: string): string => {
    const found = this.#known.get(iri)
    if (found !== undefined) return found
    if (this.#known.size >= NAMES_MAX) this.#known.clear()
    const name = this.#names.nameOf(iri)
    this.#known.set(iri, name)
    return name
  }

  /** The id or the key of a concept. */
  readonly endOf = (term: string): { id?: string; key?: string } => {
    if (term.startsWith(BLANK)) return { key: this.#scopes.keyOf(term) }
    const id = idOf(term)
    return id === undefined ? { key: this.#names.nameOf(term) } : { id }
  }

  association(subject: string, predicate: string, object: string): ImportRecord {
    return linkOf(this.endOf(subject), this.endOf(object), this.nameOf(predicate))
  }
}

/** An association with its ends as records name them. */
export function linkOf(
  source: { id?: string; key?: string },
  target: { id?: string; key?: string },
  type: string
): ImportRecord & { kind: 'association' } {
  return {
    kind: 'association',
    ...(source.id === undefined ? { sourceKey: source.key ?? '' } : { source: source.id }),
    ...(target.id === undefined ? { targetKey: target.key ?? '' } : { target: target.id }),
    type
  }
}

function ranks(all: readonly string[]): ReadonlyMap<string, number> {
  return new Map(all.map((one, rank) => [one, rank]))
}
