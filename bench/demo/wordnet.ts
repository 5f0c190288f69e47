/**
 * Reads WordNet's own database files, as wndb(5) documents them, into records to import.
 *
 * One line is one synset:
 *
 *   offset lexfile ss_type w_cnt (word lex_id)… p_cnt (symbol offset pos source/target)… | gloss
 *
 * `w_cnt` and the word numbers of `source/target` are hexadecimal, `p_cnt` is decimal. A line that
 * starts with a blank belongs to the licence at the head of each file.
 */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { AssociationRecord, ConceptRecord } from 'sutra-storage'

interface Pointer {
  /** What the target is to the source: `hypernym` reads "its hypernym is". */
  type: string
  target: string
  /** Set for relations between words rather than meanings: `1>2`, numbers of the words. */
  key?: string
}

export interface Synset {
  key: string
  pos: PartOfSpeech
  lexicographer: string
  lemmas: string[]
  gloss: string
  pointers: Pointer[]
}

type PartOfSpeech = 'noun' | 'verb' | 'adjective' | 'adverb'

export const SYNSETS = 117_791
export const POINTERS = 378_203

/** Yields every synset of the four files in a folder, a chunk of a file in memory at a time. */
export async function* readSynsets(folder: string): AsyncGenerator<Synset> {
  for (const name of ['data.noun', 'data.verb', 'data.adj', 'data.adv']) {
    for await (const lines of readLines(join(folder, name))) {
      for (const line of lines) {
        const synset = parseSynset(line)
        if (synset !== undefined) yield synset
      }
    }
  }
}

/** Yields the lines of one chunk at a time: node:readline, line by line, takes three times as long. */
async function* readLines(file: string): AsyncGenerator<string[]> {
  let rest = ''
  for await (const chunk of createReadStream(file, { encoding: 'utf8' })) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield lines
  }
  yield [rest]
}

/** @returns `undefined` for a line of the licence and for an empty one. */
export function parseSynset(line: string): Synset | undefined {
  if (line === '' || line.startsWith(' ')) return undefined
  const bar = line.indexOf(' | ')
  const fields = line.slice(0, bar).split(' ')
  let at = 0
  const next = (): string => fields[at++] ?? malformed(line)

  const offset = next()
  const lexicographer = LEXICOGRAPHER_FILES[Number(next())] ?? malformed(line)
  const pos = PARTS_OF_SPEECH[next()] ?? malformed(line)
  const lemmas: string[] = []
  for (let words = Number.parseInt(next(), 16); words > 0; words--) {
    lemmas.push(lemma(next()))
    at++ // The number that tells equal words of one lexicographer file apart.
  }
  const types = pos === 'adverb' ? ADVERB_POINTERS : POINTER_TYPES
  const pointers: Pointer[] = []
  for (let count = Number(next()); count > 0; count--) {
    const type = types[next()] ?? malformed(line)
    const target = synsetKey(next(), next())
    pointers.push({ type, target, ...wordNumbers(next()) })
  }
  numberRepeats(pointers)
  const gloss = line.slice(bar + ' | '.length).trim()
  return { key: synsetKey(offset, FILE_LETTERS[pos]), pos, lexicographer, lemmas, gloss, pointers }
}

export function conceptRecord(synset: Synset, embedding: Float32Array): ConceptRecord {
  const { key, pos, lexicographer, lemmas, gloss } = synset
  const metadata = { lemmas, gloss, lexicographer, pos }
  return { kind: 'concept', key, type: pos, content: synsetText(synset), metadata, embedding }
}

export function associationRecords(synset: Synset): AssociationRecord[] {
  return synset.pointers.map(({ type, target, key }) => ({
    kind: 'association',
    sourceKey: synset.key,
    targetKey: target,
    type,
    ...(key === undefined ? {} : { key })
  }))
}

/** What a synset says in words. Its embedding is made from this, too. */
export function synsetText({ lemmas, gloss }: Pick<Synset, 'lemmas' | 'gloss'>): string {
  return `${lemmas.join(', ')}: ${gloss}`
}

function synsetKey(offset: string, letter: string): string {
  // Satellite adjectives live in the file of adjectives, so they share its letter and offsets.
  return `wn:${offset}-${letter === 's' ? 'a' : letter}`
}

/** Adjectives carry a mark of where they may stand, such as `galore(ip)`: not part of the word. */
function lemma(word: string): string {
  return word.replace(/\((?:p|a|ip)\)$/, '').replaceAll('_', ' ')
}

/** `0000` relates whole synsets; anything else two words of them, and such may be parallel. */
function wordNumbers(field: string): { key?: string } {
  if (field === '0000') return {}
  const [source, target] = [field.slice(0, 2), field.slice(2)].map((hex) =>
    Number.parseInt(hex, 16)
  )
  return { key: `${source}>${target}` }
}

/** Ten pointers of WordNet 3.1 stand twice in their line: the second gets a key of its own. */
function numberRepeats(pointers: Pointer[]): void {
  const seen = new Map<string, number>()
  for (const pointer of pointers) {
    const name = `${pointer.type} ${pointer.target} ${pointer.key ?? ''}`
    const times = (seen.get(name) ?? 0) + 1
    seen.set(name, times)
    if (times > 1) pointer.key = `${pointer.key ?? ''}#${times}`
  }
}

function malformed(line: string): never {
  throw new Error(`Not a line of a WordNet data file: '${line.slice(0, 60)}'`)
}

const PARTS_OF_SPEECH: Readonly<Record<string, PartOfSpeech>> = {
  n: 'noun',
  v: 'verb',
  a: 'adjective',
  s: 'adjective',
  r: 'adverb'
}

const FILE_LETTERS: Readonly<Record<PartOfSpeech, string>> = {
  noun: 'n',
  verb: 'v',
  adjective: 'a',
  adverb: 'r'
}

const POINTER_TYPES: Readonly<Record<string, string>> = {
  '!': 'antonym',
  '@': 'hypernym',
  '@i': 'instance-hypernym',
  '~': 'hyponym',
  '~i': 'instance-hyponym',
  '#m': 'member-holonym',
  '#s': 'substance-holonym',
  '#p': 'part-holonym',
  '%m': 'member-meronym',
  '%s': 'substance-meronym',
  '%p': 'part-meronym',
  '=': 'attribute',
  '+': 'derivation',
  ';c': 'topic',
  '-c': 'topic-member',
  ';r': 'region',
  '-r': 'region-member',
  ';u': 'usage',
  '-u': 'usage-member',
  '*': 'entailment',
  '>': 'cause',
  '^': 'see-also',
  $: 'verb-group',
  '&': 'similar',
  '<': 'participle',
  '\\': 'pertainym'
}

/** The one symbol that means something else in the file of adverbs. */
const ADVERB_POINTERS: Readonly<Record<string, string>> = {
  ...POINTER_TYPES,
  '\\': 'derived-from-adjective'
}

/** By file number, as lexnames(5) lists them. */
const LEXICOGRAPHER_FILES: readonly string[] = [
  ...['adj.all', 'adj.pert', 'adv.all', 'noun.Tops', 'noun.act', 'noun.animal', 'noun.artifact'],
  ...['noun.attribute', 'noun.body', 'noun.cognition', 'noun.communication', 'noun.event'],
  ...['noun.feeling', 'noun.food', 'noun.group', 'noun.location', 'noun.motive', 'noun.object'],
  ...['noun.person', 'noun.phenomenon', 'noun.plant', 'noun.possession', 'noun.process'],
  ...['noun.quantity', 'noun.relation', 'noun.shape', 'noun.state', 'noun.substance', 'noun.time'],
  ...['verb.body', 'verb.change', 'verb.cognition', 'verb.communication', 'verb.competition'],
  ...['verb.consumption', 'verb.contact', 'verb.creation', 'verb.emotion', 'verb.motion'],
  ...[
    'verb.perception',
    'verb.possession',
    'verb.social',
    'verb.stative',
    'verb.weather',
    'adj.ppl'
  ]
]
