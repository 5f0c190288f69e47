/**
 * The names of RDF in the words of a store. An IRI is shortened to a name by a prefix, and each
 * name is written as an IRI that is shortened to just that name, so that an export imports back.
 */

const RDF = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#'
const XSD = 'http://www.w3.org/2001/XMLSchema#'
const RDFS = 'http://www.w3.org/2000/01/rdf-schema#'
const SKOS = 'http://www.w3.org/2004/02/skos/core#'
const SCHEMA = 'http://schema.org/'
/** The same vocabulary under its other address. */
const SCHEMA_TOO = 'https://schema.org/'
const TERMS = 'http://purl.org/dc/terms/'
const ELEMENTS = 'http://purl.org/dc/elements/1.1/'
const FOAF = 'http://xmlns.com/foaf/0.1/'
const SUTRA = 'urn:sutra:'

type Term =
  | 'type'
  | 'statement'
  | 'subject'
  | 'predicate'
  | 'object'
  | 'json'
  | 'langString'
  | 'string'
  | 'boolean'
  | 'integer'
  | 'decimal'
  | 'double'
  | 'float'
  | 'bytes'
  | 'label'
  | 'stub'
  | 'data'
  | 'embedding'
  | 'strength'
  | 'confidence'
  | 'key'

export const IRI: Readonly<Record<Term, string>> = {
  type: `${RDF}type`,
  statement: `${RDF}Statement`,
  subject: `${RDF}subject`,
  predicate: `${RDF}predicate`,
  object: `${RDF}object`,
  json: `${RDF}JSON`,
  langString: `${RDF}langString`,
  string: `${XSD}string`,
  boolean: `${XSD}boolean`,
  integer: `${XSD}integer`,
  decimal: `${XSD}decimal`,
  double: `${XSD}double`,
  float: `${XSD}float`,
  bytes: `${XSD}base64Binary`,
  label: `${RDFS}label`,
  // What RDF has no word for.
  stub: `${SUTRA}stub`,
  data: `${SUTRA}data`,
  embedding: `${SUTRA}embedding`,
  strength: `${SUTRA}strength`,
  confidence: `${SUTRA}confidence`,
  key: `${SUTRA}key`
}

/** Datatypes whose values are whole numbers. */
export const INTEGERS: ReadonlySet<string> = new Set(
  [
    'integer',
    'long',
    'int',
    'short',
    'byte',
    'nonNegativeInteger',
    'positiveInteger',
    'nonPositiveInteger',
    'negativeInteger',
    'unsignedLong',
    'unsignedInt',
    'unsignedShort',
    'unsignedByte'
  ].map((name) => XSD + name)
)

/** Predicates whose literals become the content of a concept, the preferred first. */
export const CONTENT: readonly string[] = [
  IRI.label,
  `${SKOS}prefLabel`,
  `${SCHEMA}name`,
  `${SCHEMA_TOO}name`,
  `${FOAF}name`,
  `${TERMS}title`,
  `${ELEMENTS}title`
]

const WELL_KNOWN: Readonly<Record<string, string>> = {
  rdf: RDF,
  rdfs: RDFS,
  xsd: XSD,
  owl: 'http://www.w3.org/2002/07/owl#',
  skos: SKOS,
  schema: SCHEMA,
  foaf: FOAF,
  dc: ELEMENTS,
  dcterms: TERMS
}

/** Before the text of a concept's id, and before a name that no other IRI is shortened to. */
const ID = `${SUTRA}id:`
const NAME = `${SUTRA}name:`

/**
 * A remark behind a triple of which a statement (`rdf:Statement`) in the same file says more: who
 * takes in the statement leaves out the triple.
 */
export const DESCRIBED: string = ` # ${SUTRA}described`

/** Characters that an IRI cannot hold end it; without a scheme it would be relative. */
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:[^\0-\x20<>"{}|^`\\]*$/

export function isAbsoluteIri(text: string): boolean {
  return ABSOLUTE.test(text)
}

export class Names {
  readonly #byPrefix: ReadonlyMap<string, string>
  /** The longest namespace first: it says most. */
  readonly #byNamespace: readonly (readonly [namespace: string, prefix: string])[]

  /** @param prefixes Namespaces by prefix, beside the well-known; one of these may be redefined. */
  constructor(prefixes: Readonly<Record<string, string>> = {}) {
    const all = new Map(Object.entries({ ...WELL_KNOWN, ...prefixes }))
    this.#byPrefix = all
    const pairs = Array.from(all, ([prefix, namespace]) => [namespace, prefix] as const)
    if (all.get('schema') === SCHEMA) pairs.push([SCHEMA_TOO, 'schema'])
    this.#byNamespace = pairs.sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1))
  }

  /** The name that stands for an IRI in keys, types and metadata. */
  nameOf(iri: string): string {
    if (iri.startsWith(NAME)) return decoded(iri.slice(NAME.length)) ?? iri
    for (const [namespace, prefix] of this.#byNamespace) {
      if (iri.startsWith(namespace)) return `${prefix}:${iri.slice(namespace.length)}`
    }
    // Without the brackets, one that begins like a short name would be taken for the IRI behind that.
    return this.expand(iri) === iri ? iri : `<${iri}>`
  }

  /** The IRI that a name is short for; an IRI stays as it is. */
  expand(name: string): string {
    const colon = name.indexOf(':')
    const namespace = colon === -1 ? undefined : this.#byPrefix.get(name.slice(0, colon))
    return namespace === undefined ? name : namespace + name.slice(colon + 1)
  }

  /** An IRI of which `nameOf` makes this name again: a natural one where there is one. */
  iriOf(name: string): string {
    const isWhole = name.startsWith('<') && name.endsWith('>')
    const natural = isWhole ? name.slice(1, -1) : this.expand(name)
    const isTaken = natural.startsWith(SUTRA) || !isAbsoluteIri(natural)
    return isTaken || this.nameOf(natural) !== name ? escapedIri(name) : natural
  }
}

/** An IRI that stands for a name and for nothing else, whatever it looks like. */
export function escapedIri(name: string): string {
  return NAME + encodeURIComponent(name)
}

export function idIri(id: string): string {
  return ID + id
}

/** The id that an IRI stands for, if it is one of a concept without a key. */
export function idOf(iri: string): string | undefined {
  return iri.startsWith(ID) ? iri.slice(ID.length) : undefined
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // Not written by an export: then it is an IRI like any other.
    return undefined
  }
}
