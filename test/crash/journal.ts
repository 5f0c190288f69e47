/**
 * A file system with an ordered journal, and what may be left of it when the power goes.
 *
 * Names change in order: some last ones may be missing, but none before one that is there. What was
 * written into a file since it was last synced may be missing, half there or all there, in each
 * file for itself. A sync of a file, or of a directory, makes the names before it durable as well.
 */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Random } from '../support/random.ts'
import type { Call } from './recording.ts'

interface Write {
  offset: number
  data: Buffer
  /** Number of the call that wrote it. */
  at: number
}

/** What a name leads to. */
interface Inode {
  directory: boolean
  durable: Buffer
  pending: Write[]
}

type Names = ReadonlyMap<string, Inode>
export type Part = 'none' | 'half' | 'all'

/** A directory as a crash may leave it: contents by path; `undefined` for a directory. */
export class CrashState {
  readonly entries: ReadonlyMap<string, Buffer | undefined>

  constructor(names: Names, partOf: (inode: Inode) => Part) {
    const contents = new Map<Inode, Buffer>()
    const entries = new Map<string, Buffer | undefined>()
    for (const [path, inode] of names) {
      if (inode.directory) {
        entries.set(path, undefined)
        continue
      }
      const content = contents.get(inode) ?? contentOf(inode, partOf(inode))
      contents.set(inode, content)
      entries.set(path, content)
    }
    this.entries = entries
  }

  get digest(): string {
    const hash = createHash('sha1')
    for (const path of [...this.entries.keys()].sort()) {
      hash.update(`${path}\0`).update(this.entries.get(path) ?? '')
    }
    return hash.digest('hex')
  }

  /** @param root What the recorded paths begin with, and what takes its place. */
  async writeTo(root: string, replacement: string): Promise<void> {
    for (const path of [...this.entries.keys()].sort()) {
      const target = join(replacement, path.slice(root.length))
      const content = this.entries.get(path)
      if (content === undefined) {
        await mkdir(target, { recursive: true })
        continue
      }
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, content)
    }
  }
}

export class Journal {
  #names: Map<string, Inode> = new Map()
  /** The names as they were at the last sync and after each change since. */
  #since: Names[] = [new Map()]
  /** Where each open file is written next. */
  readonly #offsets = new Map<number, number>()
  apply(call: Call, at: number): void {
    switch (call.do) {
      case 'create': {
        const known = this.#names.get(call.path)
        // A file that is opened anew and emptied is another one, to which the name leads now.
        this.#offsets.set(call.fd, 0)
        if (known !== undefined && !call.truncate) return
        const inode = { directory: false, durable: Buffer.alloc(0), pending: [] }
        this.#rename((names) => names.set(call.path, inode))
        return
      }
      case 'write': {
        const inode = this.#names.get(call.path)
        if (inode === undefined) return
        const offset = call.offset ?? this.#advance(call.fd, call.data.length)
        inode.pending.push({ offset, data: call.data, at })
        return
      }
      case 'sync':
        this.#sync(call.path, call.dataOnly, call.begun)
        return
      case 'mkdir': {
        const inode = { directory: true, durable: Buffer.alloc(0), pending: [] }
        this.#rename((names) => names.set(call.path, inode))
        return
      }
      case 'rename':
      case 'link': {
        const inode = this.#names.get(call.path)
        if (inode === undefined) return
        this.#rename((names) => {
          names.set(call.to, inode)
          if (call.do === 'rename') names.delete(call.path)
        })
        return
      }
      case 'remove':
        this.#rename((names) => names.delete(call.path))
        return
      case 'tell':
        return
    }
  }

  /** What may be left if the power goes now: the extremes, and some by chance. */
  *states(random: Random, byChance: number): Generator<CrashState> {
    const newest = this.#since.at(-1) ?? new Map()
    const oldest = this.#since[0] ?? new Map()
    for (const names of [newest, oldest]) {
      for (const part of PARTS) yield new CrashState(names, () => part)
    }
    for (let n = 0; n < byChance; n++) {
      const parts = new Map<Inode, Part>()
      const partOf = (inode: Inode): Part => {
        const part = parts.get(inode) ?? random.pick(PARTS)
        parts.set(inode, part)
        return part
      }
      yield new CrashState(random.pick(this.#since), partOf)
    }
  }

  #advance(fd: number, bytes: number): number {
    const offset = this.#offsets.get(fd) ?? 0
    this.#offsets.set(fd, offset + bytes)
    return offset
  }

  #rename(change: (names: Map<string, Inode>) => unknown): void {
    const names = new Map(this.#names)
    change(names)
    this.#names = names
    this.#since.push(names)
  }

  #sync(path: string, dataOnly: boolean, begun: number): void {
    const inode = this.#names.get(path)
    if (inode === undefined) return
    const covered = inode.pending.filter(({ at }) => at < begun)
    const grows = covered.some(({ offset, data }) => offset + data.length > inode.durable.length)
    inode.durable = laid(inode.durable, covered)
    inode.pending = inode.pending.filter(({ at }) => at >= begun)
    // Bytes that change in place need no journal, so no name becomes durable with them.
    if (dataOnly && !grows) return
    this.#since = [this.#names]
  }
}

const PARTS: readonly Part[] = ['none', 'half', 'all']

function contentOf({ durable, pending }: Inode, part: Part): Buffer {
  if (part === 'none' || pending.length === 0) return durable
  if (part === 'all') return laid(durable, pending)
  const total = pending.reduce((sum, { data }) => sum + data.length, 0)
  let left = Math.floor(total / 2)
  const half: Write[] = []
  for (const { offset, data, at } of pending) {
    if (left <= 0) break
    half.push({ offset, data: data.subarray(0, left), at })
    left -= data.length
  }
  return laid(durable, half)
}

function laid(bytes: Buffer, writes: readonly Write[]): Buffer {
  const end = Math.max(bytes.length, ...writes.map(({ offset, data }) => offset + data.length))
  const out = Buffer.alloc(end)
  bytes.copy(out)
  for (const { offset, data } of writes) data.copy(out, offset)
  return out
}
