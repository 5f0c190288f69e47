import type { Command } from 'commander'
import type { BackupReport } from '../../index.ts'
import { onStore, toPath } from '../arguments.ts'
import { formatBytes, formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import type { Session, StoreFlags } from '../session.ts'

interface Flags extends StoreFlags {
  /** `false` for `--no-state-hash`. */
  stateHash: boolean
  /** `false` for `--no-check`. */
  check: boolean
}

export function addBackup(program: Command, session: Session): void {
  onStore(program.command('backup'))
    .description('Copy the store into a directory, or what is new since the backup there')
    .argument('<target>', 'directory of the backup', toPath)
    .option('--no-state-hash', 'copy alone: a restore has no state to compare')
    .option('--no-check', 'do not read the older backup that is there before going on with it')
    .action(async (target: string, flags: Flags) => {
      const bar = new ProgressLine()
      await session.withStore(flags.dir, { createIfMissing: false }, async (store) => {
        try {
          const report = await store.backup(target, {
            stateHash: flags.stateHash,
            check: flags.check,
            signal: session.signal,
            onProgress: ({ phase, done, total }) =>
              bar.update(phase, done, total, formatCount(done))
          })
          bar.stop()
          if (flags.json) await session.printer.json(report)
          else await print(report, target, session)
        } finally {
          bar.stop()
        }
      })
    })
}

async function print(report: BackupReport, target: string, { printer }: Session): Promise<void> {
  const { position, from, frames, events, bytes, vectors, stateHash, seconds } = report
  await printer.line(`Backed up to ${target}, up to position ${formatCount(position)}`, 'good')
  const since = from === 0 ? '' : `, new since position ${formatCount(from)}`
  const copied = `${formatMany(events, 'event')} in ${formatMany(frames, 'frame')}${since}`
  await printer.fields([
    ['copied', `${copied}; ${formatBytes(bytes)} in ${formatSeconds(seconds)}`],
    ['vectors', vectors ? 'with the index' : 'without an index'],
    ['state hash', stateHash ?? 'not known']
  ])
}
