/** On what a benchmark ran: figures of two machines, or of one beside other work, do not compare. */
import { spawnSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os'

export interface Machine {
  readonly commit: string
  readonly processor: string
  readonly memory: string
  /** File system of the directory for temporary files, where benchmarks write. */
  readonly disk: string
  readonly system: string
  /** Averages of 1, 5 and 15 minutes. */
  readonly load: readonly number[]
}

/** Numbers that statfs(2) tells file systems by. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  26: 'apfs'
}

export function describeMachine(directory: string = tmpdir()): Machine {
  const [processor] = cpus()
  const { type } = statfsSync(directory)
  const commit = git('rev-parse', '--short', 'HEAD')
  const changed = git('status', '--short', '--untracked-files=no') === '' ? '' : ', changed'
  return {
    commit: commit === '' ? 'unknown' : `${commit}${changed}`,
    processor: `${availableParallelism()} × ${processor?.model.trim() ?? 'unknown'}`,
    memory: `${(totalmem() / 1024 ** 3).toFixed(0)} GiB`,
    disk: FILE_SYSTEMS[type] ?? `file system type 0x${type.toString(16)}`,
    system: `${platform()} ${release()}, Node ${process.version}`,
    load: loadavg().map((load) => Number(load.toFixed(1)))
  }
}

function git(...args: string[]): string {
  // Without git or a checkout there is nothing to tell.
  return (spawnSync('git', args, { encoding: 'utf8' }).stdout ?? '').trim()
}
