/** Starts one of the processes of a scale run and listens to what it tells. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Told<T> {
  /** What it tells at its end. */
  readonly result: T
  /** Milliseconds from before it was started until it told that it had answered. */
  readonly answeredMs: number | undefined
}

interface Line<T> {
  mark?: Mark
  answered?: boolean
  result?: T
}

/** Memory in bytes: the most that was seen during the step. */
export interface Memory {
  readonly rss: number
  /** Of `rss`, what is the process's own, and what is pages of files. 0 where nobody tells. */
  readonly anonymous: number
  readonly mapped: number
  readonly heapUsed: number
  readonly external: number
}

/** One step of so many. */
export interface Mark extends Memory {
  readonly phase: 'concepts' | 'associations'
  readonly done: number
  /** A second, of this step alone. */
  readonly rate: number
  /** Processor time of each, all threads: what stays the same beside other work. */
  readonly cpuUs: number
}

/**
 * @param script Beside this file. Gets what is asked as JSON.
 * @throws Error when it ends without a result; AbortError.
 */
export async function runChild<T>(
  script: string,
  asked: object,
  { onMark, signal }: { onMark?: (mark: Mark) => void; signal?: AbortSignal | undefined } = {}
): Promise<Told<T>> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const started = performance.now()
  const child = spawn(process.execPath, [path, JSON.stringify(asked)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(signal === undefined ? {} : { signal })
  })
  // Listened to from the start: it may end, or never begin, before its lines are read.
  const ended = once(child, 'close')
  ended.catch(() => undefined)
  let result: T | undefined
  let answeredMs: number | undefined
  for await (const text of createInterface({ input: child.stdout })) {
    // Nobody else writes to the child's standard output.
    const line = JSON.parse(text) as Line<T>
    if (line.mark !== undefined) onMark?.(line.mark)
    if (line.answered !== undefined) answeredMs = performance.now() - started
    if (line.result !== undefined) result = line.result
  }
  const [code, by] = (await ended) as [number | null, string | null]
  if (code !== 0 || result === undefined) {
    throw new Error(`${script} ended without a result: exit code ${code}, signal ${by}`)
  }
  return { result, answeredMs }
}
