/**
 * A triple between the passes, as a line of fields that tabs part. What an IRI, a label or a
 * datatype is holds no tab; a literal may, so it stands last, and it is still escaped.
 */
export interface Entry {
  /** Number of the file among those of the import, and of the line in it. */
  readonly file: number
  readonly line: number
  readonly kind: EntryKind
  readonly subject: string
  readonly predicate: string
  /** `''`, an IRI or a language; for literals alone. */
  readonly type: string
  /** IRI, blank node or literal. */
  readonly object: string
}

/** `subject`: nothing but that there is one. `part`: of what may be a statement. */
export type EntryKind = 'literal' | 'type' | 'part' | 'link' | 'subject'

const KINDS: Readonly<Record<string, EntryKind>> = {
  l: 'literal',
  t: 'type',
  p: 'part',
  a: 'link',
  s: 'subject'
}
const TAB = '\t'

/** The subject comes first, so that whoever sends entries on reads no more than that. */
export function encodeEntry(entry: Entry): string {
  const { file, line, kind, subject, predicate, type, object } = entry
  return `${subject}\t${letterOf(kind)}\t${file}\t${line}\t${predicate}\t${type}\t${object}`
}

function letterOf(kind: EntryKind): string {
  return kind === 'link' ? 'a' : kind.slice(0, 1)
}

export function subjectOf(text: string): string {
  return text.slice(0, text.indexOf(TAB))
}

/** What tells a triple from others, wherever it stands. */
export function tripleOf(text: string): string {
  const { subject, predicate, type, object } = decodeEntry(text)
  return `${subject}\t${predicate}\t${type}\t${object}`
}

export function decodeEntry(text: string): Entry {
  const ends: number[] = []
  for (let at = -1; ends.length < 6; ends.push(at)) at = text.indexOf(TAB, at + 1)
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = ends
  return {
    subject: text.slice(0, a),
    kind: KINDS[text.slice(a + 1, b)] ?? 'subject',
    file: Number(text.slice(b + 1, c)),
    line: Number(text.slice(c + 1, d)),
    predicate: text.slice(d + 1, e),
    type: text.slice(e + 1, f),
    object: text.slice(f + 1)
  }
}
