/** What the engine underneath does by itself, with the same numbers and parameters. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { VectorData } from './vector-data.ts'

export type Quantization = 'f32' | 'f16' | 'i8'

/** Rows that were found, `k` for each query, and milliseconds for each. */
export interface Found {
  found: Uint32Array
  ms: number[]
}

export const CONNECTIVITY = 16
export const EXPANSION_ADD = 128

/** Speaks to one thread that blocks while usearch works. Close it, or it keeps the process alive. */
export class BareUsearch implements AsyncDisposable {
  readonly #worker: Worker
  readonly #asked = new Map<number, Asked>()
  #next = 0

  constructor(
    { base, queries, dimensions }: VectorData,
    graph = { connectivity: CONNECTIVITY, expansionAdd: EXPANSION_ADD }
  ) {
    const shape = { dimensions, ...graph }
    this.#worker = new Worker(new URL('./usearch-worker.mjs', import.meta.url), {
      workerData: { base, queries, ...shape }
    })
    this.#worker.on('message', ({ id, answer, error }: Answer) => {
      const asked = this.#asked.get(id)
      this.#asked.delete(id)
      if (error === undefined) asked?.resolve(answer)
      else asked?.reject(new Error(`usearch: ${error}`))
    })
    this.#worker.on('error', (error) => {
      for (const asked of this.#asked.values()) asked.reject(error)
      this.#asked.clear()
    })
  }

  /** @returns Milliseconds, of this as of the next two. */
  async build(quantization: Quantization, threads: number): Promise<number> {
    return (await this.#ask('build', quantization, threads)) as number
  }

  async save(path: string): Promise<number> {
    return (await this.#ask('save', path)) as number
  }

  async view(path: string, quantization: Quantization, ef: number): Promise<number> {
    return (await this.#ask('view', path, quantization, ef)) as number
  }

  /** One search after the other, for some of the queries. */
  async search(from: number, to: number, k: number): Promise<Found> {
    return (await this.#ask('search', from, to, k)) as Found
  }

  /** Milliseconds that usearch's exact search over some rows takes for each of some queries. */
  async exact(rows: Uint32Array, from: number, to: number, k: number): Promise<number[]> {
    return (await this.#ask('exact', rows, from, to, k)) as number[]
  }

  /** The right answers to the first queries, over all rows or some. */
  async truth(queries: number, k: number, rows?: Uint32Array): Promise<Uint32Array> {
    return (await this.#ask('truth', queries, k, rows)) as Uint32Array
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#worker, 'exit')
    await this.#worker.terminate()
    await ended
  }

  async #ask(task: string, ...args: unknown[]): Promise<unknown> {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject })
      this.#worker.postMessage({ id, task, args })
    })
  }
}

interface Asked {
  resolve: (answer: unknown) => void
  reject: (error: Error) => void
}

interface Answer {
  id: number
  answer: unknown
  error?: string
}
