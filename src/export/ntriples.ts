import { CONTENT, DESCRIBED, escapedIri, IRI, idIri, Names } from '../rdf.ts'
import type { ExportOptions } from '../types.ts'
import { floatText } from './float-text.ts'
import type { AssociationRow, ConceptRow, ExportEnd, TextWriter } from './writer.ts'

/** Predicates that an import takes for more than the name of an association or a field. */
const SPECIAL: ReadonlySet<string> = new Set([
  IRI.type,
  IRI.subject,
  IRI.predicate,
  IRI.object,
  ...CONTENT
])

/** As an import names the field of literals in a language. */
const IN_LANGUAGE = /^(.*)(@[a-z]+(?:-[a-z0-9]+)*)$/s

/**
 * Triples that any tool reads, and that an import turns into the same concepts and associations:
 * by the words of RDF where it has them, by `urn:sutra:` where it has none.
 */
export function ntriplesWriter({ ntriples = {} }: ExportOptions): TextWriter {
  const writer = new TripleText(new Names(ntriples.prefixes))
  return {
    head: () => '',
    concept: (row) => writer.concept(row),
    association: (row) => writer.association(row),
    tail: () => ''
  }
}

class TripleText {
  readonly #names: Names
  #statements = 0

  constructor(names: Names) {
    this.#names = names
  }

  concept(row: ConceptRow): string {
    const { type, content, data, embedding, stub } = row
    const subject = this.#end(row)
    let text = ''
    if (content !== '') text += triple(subject, IRI.label, literal(content))
    if (stub) text += triple(subject, IRI.stub, literal('true', IRI.boolean))
    if (type !== undefined) text += triple(subject, IRI.type, `<${this.#names.iriOf(type)}>`)
    if (data !== undefined) {
      text += triple(subject, IRI.data, literal(toBuffer(data).toString('base64'), IRI.bytes))
    }
    if (embedding !== undefined) {
      const numbers = embedding === null ? 'null' : Array.from(embedding, floatText).join(' ')
      text += triple(subject, IRI.embedding, literal(numbers))
    }
    return text + this.#common(subject, row)
  }

  association(row: AssociationRow): string {
    const { key, strength, confidence, metadata } = row
    const [source, target] = [this.#end(row.source), this.#end(row.target)]
    const predicate = this.#predicate(row.type)
    const plain = `${source} <${predicate}> ${target} .`
    const isPlain = strength === 1 && confidence === 1
    if (isPlain && key === undefined && metadata === undefined) return `${plain}\n`
    // Other tools see the triple, and the importer, told by the remark, waits for the statement.
    this.#statements += 1
    const statement = `_:s${this.#statements}`
    let text = `${plain}${DESCRIBED}\n`
    text += triple(statement, IRI.type, `<${IRI.statement}>`)
    text += triple(statement, IRI.subject, source)
    text += triple(statement, IRI.predicate, `<${predicate}>`)
    text += triple(statement, IRI.object, target)
    if (key !== undefined) text += triple(statement, IRI.key, literal(key))
    return text + this.#common(statement, row)
  }

  #end({ id, key }: ExportEnd): string {
    return `<${key === undefined ? idIri(id) : this.#names.iriOf(key)}>`
  }

  #predicate(name: string): string {
    const iri = this.#names.iriOf(name)
    return SPECIAL.has(iri) ? escapedIri(name) : iri
  }

  #common(subject: string, row: ConceptRow | AssociationRow): string {
    const { strength, confidence, metadata } = row
    let text = ''
    if (strength !== 1) text += triple(subject, IRI.strength, numberLiteral(strength))
    if (confidence !== 1) text += triple(subject, IRI.confidence, numberLiteral(confidence))
    if (metadata === undefined) return text
    for (const [name, value] of Object.entries(metadata)) text += this.#field(subject, name, value)
    return text
  }

  #field(subject: string, name: string, value: unknown): string {
    const values = listOf(value)
    const [, base, language] = IN_LANGUAGE.exec(name) ?? []
    if (base !== undefined && values?.every((one) => typeof one === 'string')) {
      const predicate = this.#predicate(base)
      return values.map((one) => triple(subject, predicate, literal(one) + language)).join('')
    }
    const predicate = this.#predicate(name)
    // What is nested, empty or twice the same has no triples of its own.
    const literals = values?.map(scalarLiteral) ?? [literal(JSON.stringify(value), IRI.json)]
    return literals.map((one) => triple(subject, predicate, one)).join('')
  }
}

type Scalar = string | number | boolean

/** What can be said by one triple a value; `undefined` for all else. */
function listOf(value: unknown): readonly Scalar[] | undefined {
  if (!Array.isArray(value)) return isScalar(value) ? [value] : undefined
  const all: readonly unknown[] = value
  const isSet = all.length > 1 && new Set(all).size === all.length
  return isSet && all.every(isScalar) ? all : undefined
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function scalarLiteral(value: Scalar): string {
  if (typeof value === 'string') return literal(value)
  return typeof value === 'number' ? numberLiteral(value) : literal(String(value), IRI.boolean)
}

function numberLiteral(value: number): string {
  return literal(String(value), Number.isSafeInteger(value) ? IRI.integer : IRI.double)
}

function literal(text: string, datatype?: string): string {
  const quoted = `"${text.replace(/["\\\n\r\t]/g, escapeOf)}"`
  return datatype === undefined ? quoted : `${quoted}^^<${datatype}>`
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeOf(character: string): string {
  return ESCAPES[character] ?? `\\${character}`
}

function triple(subject: string, predicate: string, object: string): string {
  return `${subject} <${predicate}> ${object} .\n`
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
