import { IRI } from '../rdf.ts'
import type { ImportRecord } from '../types.ts'
import { unescapeLiteral } from './ntriples-line.ts'
import { linkOf, type Terms } from './ntriples-terms.ts'
import { literalValue } from './ntriples-value.ts'

/** Of all that is said of one subject. No record may be that large, and memory must be bounded. */
const BYTES_MAX = 64 * 1024 * 1024
/** About what a value takes in memory beside its text. */
const VALUE_BYTES = 100
const LANGUAGE = '@'

/** The literals of one predicate in one language. */
interface Field {
  readonly name: string
  readonly values: unknown[]
  /** Made for the second value, because most have but one. Tells those that came twice. */
  seen: Set<unknown> | undefined
  /** What tells the first value from others. */
  readonly first: unknown
}

interface Content {
  readonly text: string
  readonly rank: number
  readonly field: Field
}

/** Everything that the literals and types of one source say about one subject. */
export class Subject {
  readonly term: string
  readonly line: number
  readonly file: number
  bytes = 0
  readonly #terms: Terms
  readonly #types = new Set<string>()
  readonly #fields = new Map<string, Field>()
  /** Objects of `rdf:subject`, `rdf:predicate` and `rdf:object`: it may be a statement. */
  readonly #parts = new Map<string, Set<string>>()
  /** What only a store has a word for, by the IRI of its predicate. */
  readonly #own = new Map<string, string>()
  #content: Content | undefined

  constructor(term: string, line: number, file: number, terms: Terms) {
    this.term = term
    this.line = line
    this.file = file
    this.#terms = terms
  }

  /** `undefined` while it holds no more than a record may. */
  get fault(): string | undefined {
    return this.bytes > BYTES_MAX ? `what is said of it exceeds ${BYTES_MAX} bytes` : undefined
  }

  addType(iri: string): void {
    if (this.#hasRoom(iri)) this.#types.add(iri)
  }

  addPart(predicate: string, object: string): void {
    if (!this.#hasRoom(object)) return
    const found = this.#parts.get(predicate)
    if (found === undefined) this.#parts.set(predicate, new Set([object]))
    else found.add(object)
  }

  /** @param raw Still escaped. */
  addLiteral(predicate: string, type: string, raw: string): void {
    if (!this.#hasRoom(raw)) return
    const text = unescapeLiteral(raw)
    if (OWN.has(predicate)) {
      if (!this.#own.has(predicate)) this.#own.set(predicate, text)
      return
    }
    const language = type.startsWith(LANGUAGE) ? type : ''
    const value = literalValue(text, type)
    const identity = typeof value === 'object' ? `${IRI.json} ${text}` : value
    const field = this.#add(predicate, language, value, identity)
    // An empty one is no name: another may be, or the key.
    const mayName = typeof value === 'string' && value !== ''
    const rank = mayName ? this.#rankOf(predicate, language) : undefined
    if (rank !== undefined && (this.#content === undefined || rank < this.#content.rank)) {
      this.#content = { text, rank, field }
    }
  }

  /** Parts of a statement that turned out to be none: associations after all. */
  *leftovers(): Generator<{ predicate: string; object: string }> {
    if (this.#isStatement()) return
    for (const [predicate, objects] of this.#parts) {
      for (const object of objects) yield { predicate, object }
    }
  }

  /** The association that this is, if it is a statement of its ends, its type and more about it. */
  association(): ImportRecord | undefined {
    if (!this.#isStatement()) return undefined
    const { nameOf, endOf } = this.#terms
    const key = this.#own.get(IRI.key)
    const types = [...this.#types].filter((type) => type !== IRI.statement)
    const [source, target] = [this.#part(IRI.subject), this.#part(IRI.object)]
    return {
      ...linkOf(endOf(source), endOf(target), nameOf(this.#part(IRI.predicate))),
      ...(key !== undefined && { key }),
      ...this.#units(),
      ...this.#metadata(types, undefined)
    }
  }

  concept(): ImportRecord {
    const [first, ...types] = this.#types
    const { nameOf, endOf } = this.#terms
    const end = endOf(this.term)
    const type = first === undefined ? this.#terms.type : nameOf(first)
    const known = { kind: 'concept' as const, ...end, ...(type !== undefined && { type }) }
    const rest = { ...this.#units(), ...this.#metadata(types, this.#content), ...this.#extras() }
    const content = this.#content?.text
    // A bare one is known for its associations alone, like any other end that nobody described.
    const isBare = content === undefined && this.#fields.size === 0 && this.#types.size === 0
    if (isBare || this.#own.get(IRI.stub) === 'true') {
      return { ...known, ...rest, content: content ?? '', stub: true }
    }
    return { ...known, ...rest, content: content ?? end.key ?? this.term }
  }

  #hasRoom(text: string): boolean {
    this.bytes += text.length + VALUE_BYTES
    return this.fault === undefined
  }

  #isStatement(): boolean {
    if (!this.#types.has(IRI.statement)) return false
    const parts = [IRI.subject, IRI.predicate, IRI.object]
    return (
      parts.every((part) => this.#parts.get(part)?.size === 1) &&
      !this.#part(IRI.predicate).startsWith('_:')
    )
  }

  #part(predicate: string): string {
    const [first = ''] = this.#parts.get(predicate) ?? []
    return first
  }

  /** Where a literal of this predicate and language stands among what the content may be. */
  #rankOf(predicate: string, language: string): number | undefined {
    const { content, languages } = this.#terms
    const byPredicate = content.get(predicate)
    if (byPredicate === undefined) return undefined
    const tag = language.slice(1)
    // `en-GB` is as good as `en`, if there is no better one.
    const byLanguage = languages.get(tag) ?? half(languages.get(tag.split('-')[0] ?? ''))
    // A language that nobody asked for is worse than any predicate in one that was.
    if (byLanguage === undefined) return UNWANTED + byPredicate
    return byPredicate * languages.size * 2 + byLanguage * 2
  }

  #add(predicate: string, language: string, value: unknown, identity: unknown): Field {
    // No IRI holds a space. By IRI, not by name: a name may be written as two of them, and one of
    // those may be that of the content.
    const id = `${predicate} ${language}`
    const found = this.#fields.get(id)
    if (found !== undefined) {
      found.seen ??= new Set([found.first])
      if (!found.seen.has(identity)) found.values.push(value)
      found.seen.add(identity)
      return found
    }
    const name = this.#terms.nameOf(predicate) + language
    const field = { name, values: [value], seen: undefined, first: identity }
    this.#fields.set(id, field)
    return field
  }

  /** @param content Where it came from: it is not told twice. */
  #metadata(types: readonly string[], content: Content | undefined): { metadata?: object } {
    for (const type of types) {
      const name = this.#terms.nameOf(type)
      this.#add(IRI.type, '', name, name)
    }
    const members = new Map<string, unknown[]>()
    for (const field of this.#fields.values()) {
      const { name, values } = field
      const told = content?.field === field ? content.text : undefined
      const rest = values.filter((value) => value !== told)
      if (rest.length > 0) members.set(name, [...(members.get(name) ?? []), ...rest])
    }
    if (members.size === 0) return {}
    const entries = Array.from(members, ([name, all]) => [name, all.length === 1 ? all[0] : all])
    // Defines its members, whatever they are called; an assignment would take `__proto__` amiss.
    return { metadata: Object.fromEntries(entries) as object }
  }

  #units(): { strength?: number; confidence?: number } {
    const strength = this.#own.get(IRI.strength)
    const confidence = this.#own.get(IRI.confidence)
    return {
      ...(strength !== undefined && { strength: Number(strength) }),
      ...(confidence !== undefined && { confidence: Number(confidence) })
    }
  }

  #extras(): { data?: string; embedding?: number[] | null } {
    const data = this.#own.get(IRI.data)
    const embedding = this.#own.get(IRI.embedding)
    return {
      ...(data !== undefined && { data }),
      ...(embedding !== undefined && { embedding: numbersOf(embedding) })
    }
  }
}

const OWN: ReadonlySet<string> = new Set([
  IRI.stub,
  IRI.data,
  IRI.embedding,
  IRI.strength,
  IRI.confidence,
  IRI.key
])

const UNWANTED = 1_000_000

function half(rank: number | undefined): number | undefined {
  return rank === undefined ? undefined : rank + 0.5
}

function numbersOf(text: string): number[] | null {
  return text === 'null' ? null : text.trim().split(/\s+/).map(Number)
}
