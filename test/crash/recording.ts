/**
 * The system calls of a process that change files below one directory, as strace tells them. Its
 * output is in the order in which calls ended; a sync covers what had ended when it began.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type Call =
  | { do: 'create'; path: string; fd: number; truncate: boolean }
  | { do: 'write'; path: string; fd: number; data: Buffer; offset: number | undefined }
  | { do: 'sync'; path: string; dataOnly: boolean; begun: number }
  | { do: 'rename' | 'link'; path: string; to: string }
  | { do: 'remove' | 'mkdir'; path: string }
  | { do: 'tell'; line: Record<string, unknown> }

const CALLS =
  'openat,write,pwrite64,writev,pwritev,fdatasync,fsync,rename,renameat,renameat2,' +
  'unlink,unlinkat,rmdir,ftruncate,link,linkat,mkdir,mkdirat'
/** LevelDB's diary and its lock are never read back. */
const DIARY = /\/(LOG|LOG\.old|LOCK)$/

/** Why nothing can be recorded here; `undefined` where it can. */
export function whyNotRecord(): string | undefined {
  const scratch = mkdtempSync(join(tmpdir(), 'sutra-strace-'))
  try {
    execFileSync('strace', ['-f', '-o', join(scratch, 'out'), 'true'], { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return `no strace: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : error}`
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Runs a script of this folder and tells what it did below `directory`. */
export async function record(
  script: string,
  directory: string,
  args: readonly string[]
): Promise<Call[]> {
  const output = `${directory}.strace`
  const path = fileURLToPath(new URL(script, import.meta.url))
  const watch = ['-f', '-y', '-xx', '-s', '200000', '-e', `trace=${CALLS}`, '-o', output]
  execFileSync('strace', [...watch, process.execPath, path, directory, ...args], { stdio: 'pipe' })
  return parse(await readFile(output, 'latin1'), directory)
}

function parse(text: string, directory: string): Call[] {
  const calls: Call[] = []
  /** By thread: what was begun, and how many calls had ended then. */
  const unfinished = new Map<string, { start: string; begun: number }>()
  for (const line of text.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (rest.endsWith('<unfinished ...>')) {
      const start = rest.slice(0, -'<unfinished ...>'.length)
      unfinished.set(thread, { start, begun: calls.length })
      continue
    }
    const [, ending] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? []
    const before = unfinished.get(thread)
    const whole = ending === undefined ? rest : `${before?.start ?? ''}${ending}`
    const begun = ending === undefined ? calls.length : (before?.begun ?? calls.length)
    const call = callOf(whole, begun, directory)
    if (call !== undefined) calls.push(call)
  }
  return calls
}

function callOf(line: string, begun: number, directory: string): Call | undefined {
  const [, name = '', args = '', result = ''] = /^(\w+)\((.*)\)\s+= (.*)$/.exec(line) ?? []
  if (name === '' || result.startsWith('-1')) return undefined
  const texts = Array.from(args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g), ([, hex]) =>
    bytesOf(hex ?? '')
  )
  const fd = Number.parseInt(args, 10)
  const target = bytesOf(/^\d+<([^>]*)>/.exec(args)?.[1] ?? '').toString()
  if (name === 'write' && fd === 1) return told(texts[0] ?? Buffer.alloc(0))
  const paths = texts.map((text) => text.toString())
  const path = /^(p?write|f(data)?sync|ftruncate)/.test(name) ? target : (paths[0] ?? '')
  if (!path.startsWith(directory) || DIARY.test(path)) return undefined
  switch (name) {
    case 'openat':
      if (!/O_CREAT|O_TRUNC/.test(args)) return undefined
      return { do: 'create', path, fd: Number.parseInt(result, 10), truncate: /O_TRUNC/.test(args) }
    case 'write':
    case 'pwrite64': {
      // A short write wrote as much as it says.
      const data = (texts[0] ?? Buffer.alloc(0)).subarray(0, Number(result))
      const offset = name === 'write' ? undefined : Number(/(\d+)\s*$/.exec(args)?.[1])
      return { do: 'write', path, fd, data, offset }
    }
    case 'fsync':
    case 'fdatasync':
      return { do: 'sync', path, dataOnly: name === 'fdatasync', begun }
    case 'rename':
    case 'renameat':
    case 'renameat2':
      return { do: 'rename', path, to: paths[1] ?? '' }
    case 'link':
    case 'linkat':
      return { do: 'link', path, to: paths[1] ?? '' }
    case 'unlink':
    case 'unlinkat':
    case 'rmdir':
      return { do: 'remove', path }
    case 'mkdir':
    case 'mkdirat':
      return { do: 'mkdir', path }
    default:
      throw new Error(`A call that nobody knows how to repeat: ${line.slice(0, 200)}`)
  }
}

function told(text: Buffer): Call {
  // The script says one line with each call.
  return { do: 'tell', line: JSON.parse(text.toString()) as Record<string, unknown> }
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex')
}
