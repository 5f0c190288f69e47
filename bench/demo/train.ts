import { add, countWords, type Model, normalise, randomDirection } from './embed.ts'

/** How far a word leans from its own random direction towards the texts it was found in. */
const REFLECTION = 1.5
/** A word found in fewer texts than this counts as found in so many: names are not that telling. */
const RARE = 20
/** A word found once keeps its random direction, which needs no row. Half of all words are such. */
const WORD_TEXTS_MIN = 2

interface Corpus {
  /** Every word, in the order of its first appearance, with the number of texts it is in. */
  found: Map<string, { id: number; texts: number }>
  texts: { words: Int32Array; amounts: Float32Array }[]
}

/**
 * Learns a model from the texts it will embed: how rare each word is, and which words keep
 * company. Deterministic: the same texts give the same model.
 *
 * @see Cohen, Schvaneveldt, Widdows, 2010, "Reflective Random Indexing and indirect inference".
 */
export async function trainModel(texts: AsyncIterable<string>, dimensions: number): Promise<Model> {
  const corpus = await readCorpus(texts)
  const vocabulary = [...corpus.found]
  const weights = Float32Array.from(vocabulary, ([, { texts: count }]) =>
    weightOf(count, corpus.texts.length)
  )
  const own = new Float32Array(vocabulary.length * dimensions)
  vocabulary.forEach(([word], id) => {
    own.set(randomDirection(word, dimensions), id * dimensions)
  })
  const company = companyOf(own, corpus, weights, dimensions)

  const kept = vocabulary.filter(([, { texts: count }]) => count >= WORD_TEXTS_MIN)
  const rows = new Float32Array(kept.length * dimensions)
  kept.forEach(([, { id }], row) => {
    const vector = rows.subarray(row * dimensions, (row + 1) * dimensions)
    add(vector, own, id * dimensions, 1)
    add(vector, company, id * dimensions, REFLECTION)
    normalise(vector)
  })
  return {
    dimensions,
    words: new Map(kept.map(([word], row) => [word, row])),
    weights: Float32Array.from(kept, ([, { id }]) => weights[id] ?? 0),
    unknownWeight: weightOf(1, corpus.texts.length),
    rows
  }
}

async function readCorpus(texts: AsyncIterable<string>): Promise<Corpus> {
  const corpus: Corpus = { found: new Map(), texts: [] }
  for await (const text of texts) {
    const counts = countWords(text)
    const words = Int32Array.from(counts.keys(), (word) => {
      const entry = corpus.found.get(word) ?? { id: corpus.found.size, texts: 0 }
      if (entry.texts === 0) corpus.found.set(word, entry)
      entry.texts++
      return entry.id
    })
    corpus.texts.push({ words, amounts: Float32Array.from(counts.values()) })
  }
  return corpus
}

/** Never zero, not even for a word that is in every text of a tiny corpus. */
function weightOf(texts: number, corpusTexts: number): number {
  return Math.log(1 + Math.max(corpusTexts, RARE) / Math.max(texts, RARE))
}

/** The mean direction of the texts that hold a word, less the direction that all words share. */
function companyOf(
  own: Float32Array,
  corpus: Corpus,
  weights: Float32Array,
  dimensions: number
): Float32Array {
  const company = new Float32Array(own.length)
  const rowOf = (id: number): Float32Array =>
    company.subarray(id * dimensions, (id + 1) * dimensions)
  for (const { words, amounts } of corpus.texts) {
    const text = new Float32Array(dimensions)
    words.forEach((id, i) => {
      add(text, own, id * dimensions, (amounts[i] ?? 0) * (weights[id] ?? 0))
    })
    normalise(text)
    words.forEach((id, i) => {
      add(rowOf(id), text, 0, amounts[i] ?? 0)
    })
  }

  const shared = new Float32Array(dimensions)
  for (let id = 0; id < weights.length; id++) {
    normalise(rowOf(id))
    add(shared, company, id * dimensions, 1 / weights.length)
  }
  for (let id = 0; id < weights.length; id++) {
    add(rowOf(id), shared, 0, -1)
    normalise(rowOf(id))
  }
  return company
}
