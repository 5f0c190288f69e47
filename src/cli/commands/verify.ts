import type { Command } from 'commander'
import { type BackupCheckReport, type VerifyReport, verifyBackup } from '../../index.ts'
import { storeOption, toPath } from '../arguments.ts'
import { type Cell, formatBytes, formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { Failed, type Session } from '../session.ts'

interface Flags {
  dir?: string
  backup?: string
  json?: true
}

export function addVerify(program: Command, session: Session): void {
  program
    .command('verify')
    .description('Check every frame of the log and every projection')
    .addOption(storeOption().conflicts('backup'))
    .option('--backup <directory>', 'check a backup instead, every frame of it', toPath)
    .option('--json', 'print JSON')
    .action(async ({ dir, backup, json }: Flags, command: Command) => {
      const asJson = json === true
      if (backup !== undefined) await checkBackup(backup, asJson, session)
      else if (dir !== undefined) await checkStore(dir, asJson, session)
      else command.error('error: either --dir <directory> or --backup <directory> must be given')
    })
}

async function checkStore(dir: string, asJson: boolean, session: Session): Promise<void> {
  const bar = new ProgressLine()
  // What is checked must be up to date first, which a read-only store cannot see to.
  await session.withStore(dir, { createIfMissing: false }, async (store) => {
    try {
      const report = await store.verify({
        signal: session.signal,
        onProgress: ({ phase, done, total }) => bar.update(phase, done, total, formatCount(done))
      })
      bar.stop()
      if (asJson) await session.printer.json(report)
      else await print(report, session)
      if (report.ok) return
    } finally {
      bar.stop()
    }
    await session.printer.flush()
    throw new Failed('The store is damaged')
  })
}

async function checkBackup(backup: string, asJson: boolean, session: Session): Promise<void> {
  const bar = new ProgressLine()
  let report: BackupCheckReport
  try {
    report = await verifyBackup(backup, {
      signal: session.signal,
      onProgress: ({ phase, done, total }) => bar.update(phase, done, total, formatCount(done))
    })
  } finally {
    bar.stop()
  }
  if (asJson) await session.printer.json(report)
  else await printBackup(report, session)
  await session.printer.flush()
  if (!report.ok) throw new Failed('The backup is damaged')
}

async function printBackup(report: BackupCheckReport, { printer }: Session): Promise<void> {
  const { ok, position, frames, events, bytes, problems, seconds } = report
  const whole = `${formatMany(events, 'event')} in ${formatMany(frames, 'frame')} whole`
  const read = `${formatBytes(bytes)} in ${formatSeconds(seconds)}`
  await printer.line(ok ? 'The backup is whole' : 'The backup is damaged', ok ? 'good' : 'bad')
  await printer.line(`${whole}, up to position ${formatCount(position)}, ${read}`, 'dim')
  await printer.table(
    problems.map(({ file, reason }): Cell[] => [{ text: file, style: 'name' }, { text: reason }])
  )
}

async function print(report: VerifyReport, { printer }: Session): Promise<void> {
  const { ok, position, frames, events, problems, seconds } = report
  const checked = `${formatMany(events, 'event')} in ${formatMany(frames, 'frame')}`
  const done = `${checked}, up to position ${formatCount(position)}, in ${formatSeconds(seconds)}`
  await printer.line(ok ? 'The store is whole' : 'The store is damaged', ok ? 'good' : 'bad')
  await printer.line(done, 'dim')
  await printer.table(
    problems.map(({ part, reason, from, to }): Cell[] => [
      { text: part, style: 'name' },
      { text: from === undefined ? '' : `${from} to ${to ?? from}` },
      { text: reason }
    ])
  )
}
