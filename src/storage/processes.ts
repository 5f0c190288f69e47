import { readFileSync, readlinkSync } from 'node:fs'

/**
 * What tells this process from others that had or will have its number, and from those of other
 * containers; `''` where the system does not tell.
 */
export function identityOf(pid: number): string {
  if (process.platform !== 'linux') return ''
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Field 22, the start in clock ticks since boot. Fields begin behind the last `)`.
    const started = text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
    const space = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? ''
    return `${started}-${space}`
  } catch {
    // The process is gone, or the system hides it.
    return ''
  }
}

/** Whether a process of this machine lives; another user's does, too. */
export function processExists(pid: number): boolean {
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
