/**
 * Turns texts into vectors with a model that lies beside this file, needing no package and no download.
 *
 * The method is TF-IDF with random projection, once reflected. Every word has a fixed random
 * direction, hashed from its letters. A word of the model also leans towards the directions of
 * the texts it was found in, so that words used alike point alike. A text is the sum of its words,
 * the rare ones louder. It knows no grammar and no word that WordNet does not use.
 *
 * The demo compiles this one file to `embed.mjs` in its directory, for `sutra search --embed`. So
 * it imports nothing of the project.
 */
import { readFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'

export interface Model {
  dimensions: number
  /** Row of each word. */
  words: Map<string, number>
  /** Loudness of each row's word: the logarithm of how rare it is. */
  weights: Float32Array
  /** Loudness of a word that the model does not know: as rare as a word can be. */
  unknownWeight: number
  /** The direction of each word: `dimensions` numbers of length 1. */
  rows: Float32Array
}

type Embed = (texts: string[], context: { signal?: AbortSignal }) => Promise<Float32Array[]>

export const MODEL_FILE = 'embed-model.json'
// What a text calls itself matters less than what it says: names are rare and would drown the rest.
const NAME_SHARE = 0.4
const YIELD_EVERY_MS = 4

let loaded: Promise<Embed> | undefined

/** Embeds with the model beside this file, which is read at the first call. */
export default async function embed(
  texts: string[],
  context: { signal?: AbortSignal } = {}
): Promise<Float32Array[]> {
  loaded ??= readFile(new URL(MODEL_FILE, import.meta.url), 'utf8').then((json) =>
    createEmbedder(parseModel(json))
  )
  return (await loaded)(texts, context)
}

export function createEmbedder(model: Model): Embed {
  return async (texts, { signal }) => {
    const vectors: Float32Array[] = []
    let yielded = performance.now()
    for (const text of texts) {
      if (performance.now() - yielded > YIELD_EVERY_MS) {
        await setImmediate()
        yielded = performance.now()
      }
      signal?.throwIfAborted()
      vectors.push(embedText(model, text))
    }
    return vectors
  }
}

/** @returns A vector of length 1, whatever the text: words that nobody knows have directions, too. */
function embedText(model: Model, text: string): Float32Array {
  const vector = new Float32Array(model.dimensions)
  for (const [word, amount] of countWords(text)) {
    const row = model.words.get(word)
    if (row === undefined) {
      add(vector, randomDirection(word, model.dimensions), 0, amount * model.unknownWeight)
    } else {
      add(vector, model.rows, row * model.dimensions, amount * (model.weights[row] ?? 0))
    }
  }
  if (!normalise(vector)) return randomDirection(text, model.dimensions)
  return vector
}

/**
 * Counts the words of a text by their stems. In 'dog, domestic dog: a member of …; "the dog barked"'
 * the names before the colon count less, and quoted examples not at all.
 */
export function countWords(text: string): Map<string, number> {
  const colon = text.indexOf(': ')
  const counts = new Map<string, number>()
  const count = (part: string, share: number): void => {
    for (const word of part.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
      if (STOP_WORDS.has(word) || word.length === 1) continue
      const stem = stemOf(word)
      counts.set(stem, (counts.get(stem) ?? 0) + share)
    }
  }
  count(text.slice(0, Math.max(colon, 0)), NAME_SHARE)
  count(text.slice(colon + 1).replace(/"[^"]*"?/g, ' '), 1)
  for (const [word, times] of counts) if (times > 1) counts.set(word, 1 + Math.log(times))
  return counts
}

/** @returns The direction of length 1 that a word's letters are hashed to: each number ± 1/√n. */
export function randomDirection(word: string, dimensions: number): Float32Array {
  let state = 0x811c9dc5
  for (let i = 0; i < word.length; i++) {
    state = Math.imul(state ^ word.charCodeAt(i), 0x01000193)
  }
  const size = 1 / Math.sqrt(dimensions)
  return Float32Array.from({ length: dimensions }, () => {
    // The mixing step of splitmix32: the letters of like words differ in few bits.
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return (mixed ^ (mixed >>> 16)) & 1 ? size : -size
  })
}

/** Adds to a sum the vector that starts at `from` in many, taken `factor` times. */
export function add(sum: Float32Array, many: Float32Array, from: number, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + factor * (many[from + i] ?? 0)
}

/** Gives a vector the length 1. @returns `false` for the zero vector, which has no direction. */
export function normalise(vector: Float32Array): boolean {
  let squares = 0
  for (let i = 0; i < vector.length; i++) squares += (vector[i] ?? 0) ** 2
  if (squares === 0) return false
  const factor = 1 / Math.sqrt(squares)
  for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) * factor
  return true
}

/** One byte a number is enough: a word's direction is a rough guess anyway. */
export function serializeModel(model: Model): string {
  const { dimensions, unknownWeight, rows } = model
  const bytes = Buffer.alloc(rows.length)
  for (let start = 0; start < rows.length; start += dimensions) {
    const row = rows.subarray(start, start + dimensions)
    const largest = row.reduce((max, number) => Math.max(max, Math.abs(number)), 0)
    for (const [i, number] of row.entries()) {
      bytes.writeInt8(Math.round((number / (largest || 1)) * 127), start + i)
    }
  }
  const words = [...model.words.keys()]
  const weights = Array.from(model.weights, (weight) => Number(weight.toFixed(4)))
  return JSON.stringify({
    dimensions,
    unknownWeight,
    words,
    weights,
    rows: bytes.toString('base64')
  })
}

export function parseModel(json: string): Model {
  const { dimensions, unknownWeight, words, weights, rows: packed } = JSON.parse(json)
  const rows = Float32Array.from(new Int8Array(Buffer.from(packed, 'base64')))
  for (let start = 0; start < rows.length; start += dimensions) {
    normalise(rows.subarray(start, start + dimensions))
  }
  return {
    dimensions,
    unknownWeight,
    words: new Map(words.map((word: string, row: number) => [word, row])),
    weights: Float32Array.from(weights),
    rows
  }
}

/** Cuts endings until most forms of a word meet: 'measures', 'measured', 'measuring' → 'measur'. */
export function stemOf(word: string): string {
  let stem = singular(word)
  if (stem.length > 5 && stem.endsWith('ing')) stem = undouble(stem.slice(0, -3))
  else if (stem.length > 4 && stem.endsWith('ed')) stem = undouble(stem.slice(0, -2))
  if (stem.length > 4 && stem.endsWith('e')) stem = stem.slice(0, -1)
  if (stem.length > 4 && stem.endsWith('y')) stem = `${stem.slice(0, -1)}i`
  return stem
}

function singular(word: string): string {
  if (word.length < 4 || /(?:ss|us|is)$/.test(word)) return word
  if (word.length > 4 && word.endsWith('ies')) return `${word.slice(0, -3)}y`
  if (word.length > 4 && /(?:ch|sh|x|ss|z)es$/.test(word)) return word.slice(0, -2)
  return word.endsWith('s') ? word.slice(0, -1) : word
}

/** 'running' leaves 'runn', but 'falling' rightly leaves 'fall'. */
function undouble(stem: string): string {
  return /([^ls])\1$/.test(stem) ? stem.slice(0, -1) : stem
}

const STOP_WORDS: ReadonlySet<string> = new Set(
  (
    'a an the of or and in to for with by on is are be that which as at from it its was has have been ' +
    'being not used usually especially one who some something someone into up out this these those ' +
    'their his her them they he she you we my your very more most can may will'
  ).split(' ')
)
