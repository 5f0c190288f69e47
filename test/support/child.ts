/** Programs that run in a process of their own: to be killed, starved or lied to by the system. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A line of JSON that a child printed. */
export type Line = { readonly [name: string]: unknown }

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  lines: Line[]
  stderr: string
}

export class Child {
  readonly lines: Line[] = []
  readonly ended: Promise<Ended>
  readonly process: ChildProcess
  #stderr = ''
  readonly #waiting = new Set<() => void>()

  /** @param script A file of this folder's parent, such as `support/writer.mjs`. */
  constructor(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url))
    this.process = spawn(process.execPath, [path, ...args], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe']
    })
    const { stdout, stderr } = this.process
    if (stdout === null || stderr === null) throw new Error('The child has no output')
    stderr.on('data', (text: Buffer) => {
      this.#stderr += text.toString()
    })
    const reader = createInterface({ input: stdout })
    reader.on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line)
      for (const wake of [...this.#waiting]) wake()
    })
    this.ended = this.#end(once(reader, 'close'))
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  /** Resolves with the first line that has this member; rejects if the child ends without one. */
  async line(name: string): Promise<Line> {
    for (;;) {
      const found = this.lines.find((line) => name in line)
      if (found !== undefined) return found
      const ended = await Promise.race([this.#more(), this.ended])
      if (ended !== undefined && !this.lines.some((line) => name in line)) {
        throw new Error(`The child ended without '${name}': ${JSON.stringify(ended)}`)
      }
    }
  }

  /** Resolves with the line behind this many, once it is there. */
  async after(count: number): Promise<Line> {
    for (;;) {
      const found = this.lines[count]
      if (found !== undefined) return found
      const ended = await Promise.race([this.#more(), this.ended])
      if (ended !== undefined) throw new Error(`The child ended: ${JSON.stringify(ended)}`)
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ended> {
    this.process.kill(signal)
    return this.ended
  }

  async #more(): Promise<undefined> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        resolve()
      }
      this.#waiting.add(wake)
    })
  }

  async #end(output: Promise<unknown>): Promise<Ended> {
    const [code, signal] = (await once(this.process, 'exit')) as [number, NodeJS.Signals | null]
    await output
    return { code, signal, lines: this.lines, stderr: this.#stderr }
  }
}

export async function run(
  script: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv
): Promise<Ended> {
  return new Child(script, args, env).ended
}
