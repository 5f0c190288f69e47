import { eventsAtMost, type WaitingCommit } from './staged-commit.ts'

/** Commits that wait for the writer, first come first served. */
export class CommitLine {
  #commits: WaitingCommit[] = []
  #events = 0
  #bytes = 0
  /** What the first in line brings at most, whichever it is when this is looked at. */
  readonly next: Readonly<{ events: number; bytes: number }>

  constructor() {
    const first = (): WaitingCommit | undefined => this.#commits[0]
    this.next = {
      get events(): number {
        const commit = first()
        return commit === undefined ? 0 : eventsAtMost(commit)
      },
      get bytes(): number {
        return first()?.bytes ?? 0
      }
    }
  }

  get length(): number {
    return this.#commits.length
  }

  /** About how many events they will make, and of how many bytes. */
  get load(): { events: number; bytes: number } {
    return { events: this.#events, bytes: this.#bytes }
  }

  push(commit: WaitingCommit): void {
    this.#commits.push(commit)
    this.#count(commit, 1)
  }

  /** Whether it was in line. */
  remove(commit: WaitingCommit): boolean {
    const index = this.#commits.indexOf(commit)
    if (index < 0) return false
    this.#commits.splice(index, 1)
    this.#count(commit, -1)
    return true
  }

  /** Hands commits out from the front until one is declined, and says how many were taken. */
  take(accept: (commit: WaitingCommit) => boolean): number {
    let taken = 0
    for (const commit of this.#commits) {
      if (!accept(commit)) break
      this.#count(commit, -1)
      taken++
    }
    if (taken > 0) this.#commits = this.#commits.slice(taken)
    return taken
  }

  rejectAll(error: unknown): void {
    this.take((commit) => {
      leaveLine(commit)
      commit.reject(error)
      return true
    })
  }

  #count({ commands, bytes }: WaitingCommit, sign: 1 | -1): void {
    this.#events += sign * commands.length
    this.#bytes += sign * bytes
  }
}

/** From here on the signal comes too late. Long-lived signals must not gather listeners. */
export function leaveLine(commit: WaitingCommit): void {
  commit.deafen?.()
}
