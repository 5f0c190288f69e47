import { type Command, Option } from 'commander'
import { type MigrationReport, migrate } from '../../index.ts'
import { onStore, toPath } from '../arguments.ts'
import { formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import type { Session, StoreFlags } from '../session.ts'

interface Flags extends StoreFlags {
  /** `false` for `--no-backup`. */
  backup?: string | boolean
  dryRun?: true
}

export function addMigrate(program: Command, session: Session): void {
  const command = onStore(program.command('migrate'))
  // Both set one value, of which the later would win.
  let isCopied = false
  let isUncopied = false
  command.on('option:backup', () => {
    isCopied = true
  })
  command.on('option:no-backup', () => {
    isUncopied = true
  })
  command
    .description('Move a store of an older format to the newest one')
    .option('--backup <directory>', 'copy the log there first; it must be empty', toPath)
    .addOption(new Option('--no-backup', 'copy nothing first').default(undefined))
    .option('--dry-run', 'read and check everything and change nothing')
    .action(async (flags: Flags) => {
      const { dir, json } = flags
      const dryRun = flags.dryRun === true
      if ((isCopied && isUncopied) || (flags.backup === undefined && !dryRun)) {
        command.error('error: either --backup <directory> or --no-backup must be given')
      }
      const backup = typeof flags.backup === 'string' ? flags.backup : false
      const bar = new ProgressLine()
      let report: MigrationReport
      try {
        report = await migrate(dir, {
          backup,
          dryRun,
          signal: session.signal,
          onProgress: ({ phase, done, total }) => bar.update(phase, done, total, formatCount(done))
        })
      } finally {
        bar.stop()
      }
      if (json) await session.printer.json(report)
      else await print(report, dryRun, session)
      await session.printer.flush()
    })
}

async function print(
  report: MigrationReport,
  dryRun: boolean,
  { printer }: Session
): Promise<void> {
  const { from, to, steps, backup, frames, events, seconds } = report
  if (from === to) {
    await printer.line(`The store has format ${from}, the newest one`, 'good')
    return
  }
  const done = dryRun ? 'Would move' : 'Moved'
  await printer.line(`${done} the store from format ${from} to ${to}`, 'good')
  for (const step of steps) await printer.line(`  ${step}`)
  const checked = `${formatMany(events, 'event')} in ${formatMany(frames, 'frame')}`
  await printer.line(`${checked}, in ${formatSeconds(seconds)}`, 'dim')
  if (backup !== undefined) await printer.line(`The log of before is in ${backup}`, 'dim')
}
