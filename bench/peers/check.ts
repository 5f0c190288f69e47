/** Compares what a peer answered with what is right. */
import { adjacencyOf, neighborsOf } from './adjacency.ts'
import type { Dataset } from './dataset.ts'
import { K, type Questions } from './questions.ts'

/** The first answer that is wrong, in words, and how many are. */
export interface Verdict {
  wrong: number
  example?: string
}

/** Something is wrong with one answer, in words; nothing: `undefined`. */
type Check = (answer: unknown, n: number) => string | undefined

export class Reference {
  readonly #data: Dataset
  readonly #questions: Questions
  readonly #rows: Map<string, number>
  readonly #out: readonly string[][]
  readonly #graph: ReturnType<typeof adjacencyOf>

  constructor(data: Dataset, questions: Questions) {
    this.#data = data
    this.#questions = questions
    this.#rows = new Map(data.keys.map((key, row) => [key, row]))
    this.#graph = adjacencyOf(data.keys.length, data.sources, data.targets)
    this.#out = outNeighbors(data)
  }

  check(task: Task, answers: readonly unknown[]): Verdict {
    const problems = answers
      .map((answer, n) => this.#checks[task](answer, n))
      .filter((problem) => problem !== undefined)
    const [example] = problems
    return { wrong: problems.length, ...(example === undefined ? {} : { example }) }
  }

  readonly #checks: Readonly<Record<Task, Check>> = {
    get: (answer, n) => this.#checkGet(answer, this.#questions.gets[n] ?? ''),
    hop: (answer, n) => this.#checkHop(answer, this.#questions.hops[n] ?? ''),
    path: (answer, n) => this.#checkPath(answer, n),
    knn: (answer) => this.#checkFound(answer)
  }

  #checkGet(answer: unknown, key: string): string | undefined {
    const row = this.#rows.get(key) ?? -1
    const right = { type: this.#data.types[row], content: this.#data.contents[row] }
    const { type, content } = fieldsOf(answer)
    if (type === right.type && content === right.content) return undefined
    return `${key} is ${brief(answer)}, not ${brief(right)}`
  }

  /** Pairs of type and key, in any order; parallel associations count. */
  #checkHop(answer: unknown, key: string): string | undefined {
    const right = this.#out[this.#rows.get(key) ?? -1] ?? []
    const pairs = listOf(answer).map((pair) => listOf(pair).join(' '))
    pairs.sort()
    if (pairs.length === right.length && pairs.every((pair, n) => pair === right[n])) {
      return undefined
    }
    const [found, wanted] = [pairs, right].map((list) => `${list.length}: ${brief(list)}`)
    return `${key} has ${found}, not ${wanted}`
  }

  /** Any of the shortest will do. */
  #checkPath(answer: unknown, n: number): string | undefined {
    const { source, target, hops } = this.#questions.pairs[n] ?? { source: '', target: '', hops: 0 }
    const keys = listOf(answer).map(String)
    const asked = `${source} to ${target}`
    if (keys[0] !== source || keys.at(-1) !== target) return `${asked} is ${brief(answer)}`
    if (keys.length !== hops + 1) return `${asked} takes ${keys.length - 1} hops, not ${hops}`
    const gap = keys.findIndex((key, at) => at > 0 && !this.#areJoined(keys[at - 1], key))
    return gap === -1 ? undefined : `${asked}: nothing joins ${keys[gap - 1]} and ${keys[gap]}`
  }

  /** Which ones were found is a matter of recall. */
  #checkFound(answer: unknown): string | undefined {
    const keys = listOf(answer)
    const known = new Set(keys.filter((key) => this.#rows.has(String(key))))
    return known.size === K ? undefined : `${known.size} concepts were found, not ${K}`
  }

  #areJoined(a: string | undefined, b: string): boolean {
    const row = this.#rows.get(b) ?? -1
    return neighborsOf(this.#graph, this.#rows.get(a ?? '') ?? 0).includes(row)
  }
}

export const TASKS = ['get', 'hop', 'path', 'knn'] as const

export type Task = (typeof TASKS)[number]

/** For each row, `<type> <key of the other>`, sorted. */
function outNeighbors(data: Dataset): string[][] {
  const out = data.keys.map((): string[] => [])
  for (const [edge, source] of data.sources.entries()) {
    const type = data.typeNames[data.edgeTypes[edge] ?? 0] ?? ''
    out[source]?.push(`${type} ${data.keys[data.targets[edge] ?? 0] ?? ''}`)
  }
  for (const pairs of out) pairs.sort()
  return out
}

function listOf(answer: unknown): unknown[] {
  return Array.isArray(answer) ? answer : []
}

function fieldsOf(answer: unknown): { type?: unknown; content?: unknown } {
  return typeof answer === 'object' && answer !== null ? answer : {}
}

function brief(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 120)
}
