/** What the system tells of processes and threads. Only Linux tells more than that there is one. */
import { readFileSync, readlinkSync } from 'node:fs'

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

export function hasProc(): boolean {
  return process.platform === 'linux'
}

/** The kernel's number of this thread, from the link `<pid>/task/<tid>`. */
export function currentTask(): number | null {
  if (!hasProc()) return null
  const last = readlinkSync('/proc/thread-self').split('/').at(-1)
  return last === undefined ? null : Number(last)
}

/**
 * When a process or one of its threads began, in clock ticks since boot, which tells numbers apart that
 * were given again. Field 22 of `stat`; fields begin behind the last `)`.
 */
export function startTime(pid: number, task: number | null): string | null {
  if (!hasProc()) return null
  const path = task === null ? `/proc/${pid}/stat` : `/proc/${pid}/task/${task}/stat`
  try {
    const text = readFileSync(path, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    // The task is gone, which is the answer.
    return null
  }
}

export function bootId(): string | null {
  if (!hasProc()) return null
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    // Not every sandbox shows it; then the start time alone tells owners apart.
    return null
  }
}

/** Where the numbers of processes are those that we see: containers have each their own. 0: not told. */
export function pidSpace(): number {
  if (!hasProc()) return 0
  try {
    return Number(/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? 0)
  } catch {
    // Not every sandbox shows it.
    return 0
  }
}
