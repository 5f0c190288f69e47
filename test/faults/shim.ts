/** Compiles the shim that makes calls of the C library fail, once for each run of the tests. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

export interface Fault {
  op: string
  /** Part of the path of the file, and its end. */
  path: string
  end?: string
  /** Number of the call that fails, from 1. Absent: none fails. */
  at?: number
  count?: number
  errno?: number
  /** Milliseconds that the call waits; with `errno: 0` it succeeds then. */
  delayMs?: number
  partial?: boolean
  kill?: boolean
  when?: string
  trace?: string
}

export const EIO = 5
export const ENOSPC = 28

const SOURCE = fileURLToPath(new URL('shim.c', import.meta.url))

/** Where the shim is, or why there is none. */
export const shim: { path: string } | { missing: string } = compile()

function compile(): typeof shim {
  if (process.platform !== 'linux') return { missing: `no preloading on ${process.platform}` }
  const directory = mkdtempSync(join(tmpdir(), 'sutra-shim-'))
  afterAll(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'shim.so')
  try {
    const flags = ['-O1', '-fno-builtin', '-shared', '-fPIC']
    execFileSync('gcc', [...flags, '-o', path, SOURCE, '-ldl'], { stdio: 'pipe' })
    return { path }
  } catch (error) {
    return { missing: `gcc: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** The environment of a process in which this fault happens. */
export function faultEnv(fault: Fault): NodeJS.ProcessEnv {
  if (!('path' in shim)) throw new Error(shim.missing)
  const { op, path, end, at, count, errno, delayMs, partial, kill, when, trace } = fault
  return {
    LD_PRELOAD: shim.path,
    FAULT_OP: op,
    FAULT_PATH: path,
    ...(end === undefined ? {} : { FAULT_END: end }),
    ...(at === undefined ? {} : { FAULT_AT: String(at) }),
    ...(count === undefined ? {} : { FAULT_COUNT: String(count) }),
    ...(errno === undefined ? {} : { FAULT_ERRNO: String(errno) }),
    ...(delayMs === undefined ? {} : { FAULT_DELAY: String(delayMs) }),
    ...(partial === true ? { FAULT_PARTIAL: '1' } : {}),
    ...(kill === true ? { FAULT_KILL: '1' } : {}),
    ...(when === undefined ? {} : { FAULT_WHEN: when }),
    ...(trace === undefined ? {} : { FAULT_TRACE: trace })
  }
}
