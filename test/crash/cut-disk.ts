/** A file system of its own, in a file, whose power can be cut. Needs root and loop devices. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type FileSystem = 'ext4' | 'xfs'
/** Images are sparse: what matters is that mkfs takes them and the test has room. */
const SIZES: Readonly<Record<FileSystem, string>> = { ext4: '2G', xfs: '2G' }
const FORCE: Readonly<Record<FileSystem, string>> = { ext4: '-F', xfs: '-f' }

const SOURCE = fileURLToPath(new URL('godown.c', import.meta.url))

export class CutDisk implements Disposable {
  readonly #parent: string
  readonly #image: string
  /** Where the file system is mounted. */
  readonly directory: string
  readonly #godown: string
  #isMounted = false

  private constructor(parent: string) {
    this.#parent = parent
    this.#image = join(parent, 'image')
    this.directory = join(parent, 'disk')
    this.#godown = join(parent, 'godown')
  }

  /** @throws Error where the system does not allow it. */
  static async create(kind: FileSystem = 'ext4'): Promise<CutDisk> {
    if (process.platform !== 'linux') throw new Error(`no loop devices on ${process.platform}`)
    if (process.getuid?.() !== 0) throw new Error('only root mounts file systems')
    const disk = new CutDisk(mkdtempSync(join(tmpdir(), 'sutra-disk-')))
    try {
      run('gcc', ['-O1', '-o', disk.#godown, SOURCE])
      run('truncate', ['-s', SIZES[kind], disk.#image])
      run(`mkfs.${kind}`, ['-q', FORCE[kind], disk.#image])
      await mkdir(disk.directory)
      disk.#mount()
      return disk
    } catch (error) {
      disk[Symbol.dispose]()
      throw error
    }
  }

  /** From here on, nothing reaches the disk. */
  cut(): void {
    run(this.#godown, [this.directory])
  }

  /** Power comes back: the journal is replayed. Nobody may have a file open. */
  restart(): void {
    this.#unmount()
    this.#mount()
  }

  [Symbol.dispose](): void {
    if (this.#isMounted) this.#unmount()
    rmSync(this.#parent, { recursive: true, force: true })
  }

  #mount(): void {
    run('mount', ['-o', 'loop', this.#image, this.directory])
    this.#isMounted = true
  }

  #unmount(): void {
    run('umount', [this.directory])
    this.#isMounted = false
  }
}

/** Why power cannot be cut here; `undefined` where it can. */
export async function whyNotCut(kind: FileSystem = 'ext4'): Promise<string | undefined> {
  try {
    using disk = await CutDisk.create(kind)
    disk.cut()
    disk.restart()
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: 'pipe' })
}
