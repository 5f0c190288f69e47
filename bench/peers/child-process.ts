/** Runs one phase of one peer in a process of its own, for so long and no longer. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Task } from './check.ts'
import type { DatasetFiles } from './dataset.ts'

export interface Request {
  driver: string
  phase: 'load' | 'serve' | 'reopen'
  directory: string
  files?: DatasetFiles
  /** The time for the questions of one task; what is left then is not asked. */
  budgetMs?: number
  tasks?: readonly Task[]
  task?: Task
  ef?: number
  k?: number
  recall?: number
  query?: readonly number[]
  key?: string
}

export type Message =
  | {
      event: 'loaded'
      readySeconds: number
      closeSeconds: number
      parts: Record<string, number>
      baseBytes: number
      peakBytes: number
    }
  | { event: 'opened'; seconds: number }
  | { event: 'task'; task: Task }
  | Answered
  | { event: 'served'; peakBytes: number }
  | { event: 'first'; answer: unknown }
  | { event: 'failed'; error: string }

export interface Answered {
  event: 'answered'
  task: Task
  cannot?: boolean
  error?: string
  us?: number[]
  answers?: unknown[]
  ef?: number
  recall?: number
}

export interface Run {
  messages: Message[]
  /** When each message came, in seconds from before the process was started. */
  seconds: number[]
  /** Why it ended before its work was done. */
  failure?: string
}

const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url))
const STDERR_KEPT = 500

/** @param silenceMs It is killed after so long without a word. */
export async function runChild(
  request: Request,
  silenceMs: number,
  signal?: AbortSignal
): Promise<Run> {
  signal?.throwIfAborted()
  const started = performance.now()
  // Plain Node, without the loader that runs this file: its start is part of what is measured.
  const child = fork(CHILD, [JSON.stringify(request)], {
    execArgv: [],
    env: withoutOptions(),
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc']
  })
  const run: Run = { messages: [], seconds: [] }
  let stderr = ''
  let failure: string | undefined
  const stop = (why: string): void => {
    failure ??= why
    child.kill('SIGKILL')
  }
  const late = (): void => stop(`no answer within ${silenceMs / 1000} s`)
  let timer = setTimeout(late, silenceMs)
  const abort = (): void => stop('aborted')
  signal?.addEventListener('abort', abort, { once: true })
  child.stderr?.on('data', (text: Buffer) => {
    stderr = (stderr + text.toString()).slice(-STDERR_KEPT)
  })
  // The child sends nothing else.
  child.on('message', (message: unknown) => {
    run.seconds.push((performance.now() - started) / 1000)
    run.messages.push(message as Message)
    clearTimeout(timer)
    timer = setTimeout(late, silenceMs)
  })
  await new Promise<void>((resolve) => {
    child.once('error', (error) => stop(error.message))
    child.once('close', (code, by) => {
      if (code !== 0) failure ??= `ended with ${by ?? code}${stderr && `: ${stderr.trim()}`}`
      resolve()
    })
  })
  clearTimeout(timer)
  signal?.removeEventListener('abort', abort)
  signal?.throwIfAborted()
  const told = run.messages.find((message) => message.event === 'failed')
  failure = told?.error ?? failure
  return failure === undefined ? run : { ...run, failure }
}

function withoutOptions(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}
