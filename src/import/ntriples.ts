import { DESCRIBED, IRI } from '../rdf.ts'
import { LineSplitter } from './lines.ts'
import { decodeEntry, type EntryKind, encodeEntry } from './ntriples-entry.ts'
import { parseTriple, type Triple, TripleError, unescapeLiteral } from './ntriples-line.ts'
import { Partitions } from './ntriples-partitions.ts'
import { Subject } from './ntriples-subject.ts'
import { BlankScopes, Terms } from './ntriples-terms.ts'
import type { Input, Row } from './reader.ts'
import { Spill } from './spill.ts'
import { Turns } from './turns.ts'

type Groups = AsyncGenerator<Iterable<Row>, void>

/**
 * Reads the triples of all files and gives what they say together: first a concept for each
 * subject, then the associations. Triples wait in a temporary file, because those of one subject
 * may be anywhere. `map` gets each triple as it comes instead.
 */
export async function* readTriples(inputs: readonly Input[]): Groups {
  const [first] = inputs
  if (first === undefined) return
  if (first.options.map !== undefined) {
    for (const input of inputs) yield* readEach(input)
    return
  }
  const spill = new Spill(first.options.ntriples?.tempDirectory)
  try {
    yield* new Together(inputs, spill).groups()
  } finally {
    await spill.close()
  }
}

/** A triple as `map` gets it. */
interface TripleRow {
  subject: string
  predicate: string
  object: string
  kind: 'iri' | 'blank' | 'literal'
  datatype?: string
  language?: string
}

async function* readEach(input: Input): Groups {
  const splitter = new LineSplitter()
  for await (const chunk of input.chunks()) yield rowsOf(splitter.push(chunk), input)
  yield rowsOf(splitter.end(), input)
}

function* rowsOf(lines: ReturnType<LineSplitter['push']>, { file }: Input): Generator<Row, void> {
  for (const { number: line, bytes, text, fault } of lines) {
    for (const found of triplesOf(text, fault)) {
      const isFault = typeof found === 'string'
      const value = isFault ? undefined : rowOf(found)
      yield { line, bytes, file, text, value, fault: isFault ? found : undefined }
    }
  }
}

function rowOf({ subject, predicate, object, literal }: Triple): TripleRow {
  if (literal === undefined) {
    const kind = object.startsWith('_:') ? 'blank' : 'iri'
    return { subject, predicate, object, kind }
  }
  const row = { subject, predicate, object: unescapeLiteral(object), kind: 'literal' as const }
  if (literal.startsWith('@'))
    return { ...row, datatype: IRI.langString, language: literal.slice(1) }
  return { ...row, datatype: literal === '' ? IRI.string : literal }
}

/** The triples of one line: a CR ends one too. Or what is wrong with it. */
function* triplesOf(
  text: string | undefined,
  fault: string | undefined
): Generator<Triple | string, void> {
  if (text === undefined) {
    yield fault ?? ''
    return
  }
  for (const piece of text.includes('\r') ? text.split('\r') : [text]) {
    try {
      const triple = parseTriple(piece)
      if (triple !== undefined) yield triple
    } catch (error) {
      if (!(error instanceof TripleError)) throw error
      yield error.message
    }
  }
}

/** Subjects that were lately noted need not be noted again. */
const NOTED_MAX = 4096

/** Half of the work is to read, the other half to give out what was read. */
const READING = 0.5

const PARTS: ReadonlySet<string> = new Set([IRI.subject, IRI.predicate, IRI.object])

function kindOf(predicate: string, literal: string | undefined, object: string): EntryKind {
  if (literal !== undefined) return 'literal'
  if (PARTS.has(predicate)) return 'part'
  // A type without a name of its own is a concept like any other.
  return predicate === IRI.type && !object.startsWith('_:') ? 'type' : 'link'
}

class Together {
  readonly #inputs: readonly Input[]
  readonly #spill: Spill
  readonly #turns = new Turns()
  readonly #scopes = new BlankScopes()
  readonly #terms: Terms
  readonly #partitions: Partitions
  /** Associations, and behind them those that statements say more about. */
  readonly #links: Partitions
  readonly #statements: number
  readonly #noted = new Set<string>()
  /** Of entries, in characters. */
  #taken = 0
  #given = 0

  constructor(inputs: readonly Input[], spill: Spill) {
    this.#inputs = inputs
    this.#spill = spill
    this.#terms = new Terms(inputs[0]?.options.ntriples ?? {}, this.#scopes)
    this.#partitions = new Partitions(spill)
    this.#links = new Partitions(spill, { isOfTriples: true })
    this.#statements = spill.stream()
  }

  async *groups(): Groups {
    for (const [file, input] of this.#inputs.entries()) yield* this.#read(file, input)
    for await (const part of this.#partitions.all(this.#turns)) {
      const { subjects, bytes } = await this.#gather(part)
      yield this.#concepts(subjects)
      await this.#rest()
      this.#tell(bytes)
    }
    for await (const part of this.#links.all(this.#turns)) {
      const known = new Set<string>()
      for await (const page of part) {
        yield this.#associations(page, known)
        this.#tell(sizeOf(page))
      }
    }
    for await (const page of this.#spill.pages(this.#statements)) yield this.#described(page)
  }

  /** Takes in all triples of a file; yields what is wrong with it. */
  async *#read(file: number, input: Input): Groups {
    const splitter = new LineSplitter()
    for await (const chunk of input.chunks(READING)) {
      yield* this.#take(file, input, splitter.push(chunk))
      await this.#rest()
    }
    yield* this.#take(file, input, splitter.end())
  }

  async *#take(file: number, input: Input, lines: ReturnType<LineSplitter['push']>): Groups {
    const faults: Row[] = []
    for (const { number: line, bytes, text, fault } of lines) {
      if (text?.endsWith(DESCRIBED)) continue
      for (const found of triplesOf(text, fault)) {
        if (typeof found !== 'string') this.#note(file, line, found)
        else faults.push({ line, bytes, file: input.file, text, value: undefined, fault: found })
      }
      if (this.#turns.step(bytes)) await this.#turns.next()
    }
    yield faults
  }

  async #rest(): Promise<void> {
    await this.#partitions.settle(this.#turns)
    await this.#links.settle(this.#turns)
    if (this.#spill.isFull) await this.#spill.flush()
  }

  #note(file: number, line: number, triple: Triple): void {
    const { predicate, literal } = triple
    const subject = this.#scopes.term(file, triple.subject)
    const object = literal === undefined ? this.#scopes.term(file, triple.object) : triple.object
    if (subject !== triple.subject || object !== triple.object) this.#scopes.note(file, triple)
    const kind = kindOf(predicate, literal, object)
    const entry = encodeEntry({ file, line, kind, subject, predicate, type: literal ?? '', object })
    this.#taken += entry.length
    if (kind !== 'link') {
      this.#partitions.append(subject, entry)
    } else {
      this.#links.append(subject, entry)
      if (this.#noted.has(subject)) return
      const bare = { file, line, subject, predicate: '', type: '', object: '' }
      this.#partitions.append(subject, encodeEntry({ ...bare, kind: 'subject' }))
    }
    if (this.#noted.size >= NOTED_MAX) this.#noted.clear()
    this.#noted.add(subject)
  }

  /** Tells how far the second half of the work is, by what was given out of what was taken in. */
  #tell(bytes: number): void {
    this.#given += bytes
    const share = READING + (1 - READING) * Math.min(1, this.#given / this.#taken)
    for (const input of this.#inputs) if (input.bytes !== undefined) input.told(input.bytes * share)
  }

  async #gather(
    part: AsyncIterable<string[]>
  ): Promise<{ subjects: Iterable<Subject>; bytes: number }> {
    const subjects = new Map<string, Subject>()
    let bytes = 0
    for await (const page of part) {
      bytes += sizeOf(page)
      for (const text of page) {
        const { file, line, kind, subject: term, predicate, type, object } = decodeEntry(text)
        let subject = subjects.get(term)
        if (subject === undefined) {
          subject = new Subject(term, line, file, this.#terms)
          subjects.set(term, subject)
        }
        if (kind === 'literal') subject.addLiteral(predicate, type, object)
        else if (kind === 'type') subject.addType(object)
        else if (kind === 'part') subject.addPart(predicate, object)
        if (this.#turns.step(text.length)) await this.#turns.next()
      }
    }
    return { subjects: subjects.values(), bytes }
  }

  /** The concepts among subjects. Statements among them are left for later. */
  *#concepts(subjects: Iterable<Subject>): Generator<Row, void> {
    for (const subject of subjects) {
      const { term, line, file, bytes, fault } = subject
      for (const { predicate, object } of subject.leftovers()) {
        const link = {
          file,
          line,
          kind: 'link',
          subject: term,
          predicate,
          type: '',
          object
        } as const
        this.#links.append(term, encodeEntry(link))
      }
      const association = subject.association()
      if (association !== undefined && fault === undefined) {
        const value = JSON.stringify([file, line, association])
        this.#spill.append(this.#statements, value)
        continue
      }
      const value = fault === undefined ? subject.concept() : undefined
      yield { line, bytes, file: this.#inputs[file]?.file, text: undefined, value, fault }
    }
  }

  /** @param known A triple that is said again says nothing. */
  *#associations(page: readonly string[], known: Set<string>): Generator<Row, void> {
    for (const text of page) {
      const { file, line, subject, predicate, object } = decodeEntry(text)
      const triple = `${subject}\t${predicate}\t${object}`
      if (known.has(triple)) continue
      known.add(triple)
      yield this.#row(file, line, text, this.#terms.association(subject, predicate, object))
    }
  }

  *#described(page: readonly string[]): Generator<Row, void> {
    for (const text of page) {
      // As `#concepts` wrote it.
      const [file, line, value] = JSON.parse(text) as [number, number, unknown]
      yield this.#row(file, line, text, value)
    }
  }

  #row(file: number, line: number, text: string, value: unknown): Row {
    const name = this.#inputs[file]?.file
    return { line, bytes: text.length, file: name, text: undefined, value, fault: undefined }
  }
}

function sizeOf(page: readonly string[]): number {
  return page.reduce((sum, text) => sum + text.length, 0)
}
