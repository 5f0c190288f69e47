import { type Command, Option } from 'commander'
import { type RestoreReport, restore } from '../../index.ts'
import { given, onStore, toInteger, toPath } from '../arguments.ts'
import { formatBytes, formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { Failed, type Session, type StoreFlags } from '../session.ts'
import { toTime } from '../times.ts'

interface Flags extends StoreFlags {
  toPosition?: number
  toTime?: Date
}

/** What the restore said, and what the restored store itself says once it is open. */
interface Outcome extends Omit<RestoreReport, 'restoredHash'> {
  /** Of the store that was opened. */
  stateHash: string
  /** What the backup says it must be; absent where only a part was restored. */
  expectedHash?: string
  ok: boolean
}

export function addRestore(program: Command, session: Session): void {
  const position = new Option('--to-position <n>', 'leave out what was committed later')
  onStore(program.command('restore'))
    .description('Make a store out of a backup, whole or as it was earlier, and check its state')
    .argument('<backup>', 'directory of the backup', toPath)
    .addOption(position.argParser(toInteger).conflicts('toTime'))
    .option('--to-time <time>', 'the same by time: 2h (ago), or 2026-01-31T12:00Z', toDate)
    .action(async (backup: string, flags: Flags) => {
      const bar = new ProgressLine()
      let outcome: Outcome
      try {
        const report = await restore(backup, flags.dir, {
          ...given({ toPosition: flags.toPosition, toTime: flags.toTime }),
          compare: true,
          signal: session.signal,
          onProgress: ({ phase, done, total }) => bar.update(phase, done, total, formatCount(done))
        })
        outcome = outcomeOf(report)
      } finally {
        bar.stop()
      }
      if (flags.json) await session.printer.json(outcome)
      else await print(outcome, flags.dir, session)
      if (outcome.ok) return
      await session.printer.flush()
      throw new Failed('The restored state is not the one that was backed up')
    })
}

function outcomeOf(report: RestoreReport): Outcome {
  const { stateHash: expectedHash, restoredHash: stateHash = '', ...rest } = report
  const ok = expectedHash === undefined || expectedHash === stateHash
  return { ...rest, stateHash, ...given({ expectedHash }), ok }
}

async function print(outcome: Outcome, dir: string, { printer }: Session): Promise<void> {
  const { position, backupPosition, frames, events, bytes, seconds, ok } = outcome
  const at = `position ${formatCount(position)}`
  if (ok) await printer.line(`Restored to ${dir}, up to ${at}`, 'good')
  else await printer.line('The restored state is not the one that was backed up', 'bad')
  const copied = `${formatMany(events, 'event')} in ${formatMany(frames, 'frame')}`
  const isCompared = outcome.expectedHash !== undefined
  const compared = ok ? 'as it was backed up' : `the backup says ${outcome.expectedHash ?? ''}`
  const left = `the backup goes on to position ${formatCount(backupPosition)}`
  await printer.fields([
    ['copied', `${copied}; ${formatBytes(bytes)} in ${formatSeconds(seconds)}`],
    ['state hash', outcome.stateHash],
    ['compared', isCompared ? compared : position < backupPosition ? left : 'no: none is known']
  ])
}

function toDate(text: string): Date {
  return new Date(toTime(text))
}
