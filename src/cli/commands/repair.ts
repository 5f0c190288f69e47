import type { Command } from 'commander'
import { type RepairReport, repair } from '../../index.ts'
import { onStore } from '../arguments.ts'
import { type Cell, formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { Failed, type Session, type StoreFlags } from '../session.ts'

interface Flags extends StoreFlags {
  dryRun?: true
}

export function addRepair(program: Command, session: Session): void {
  onStore(program.command('repair'))
    .description('Keep every intact frame of a damaged log, and mark what is lost')
    .option('--dry-run', 'find out what is lost and change nothing')
    .action(async (flags: Flags) => {
      const { dir, json } = flags
      const dryRun = flags.dryRun === true
      const bar = new ProgressLine()
      let report: RepairReport
      try {
        report = await repair(dir, {
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
      // As `verify` says it. What was repaired is whole by now.
      if (dryRun && !isWhole(report)) throw new Failed('The store is damaged')
    })
}

function isLogWhole({ changed, eventsLost, lost, files, declaration }: RepairReport): boolean {
  const isLost = eventsLost > 0 || lost.length > 0 || declaration !== undefined
  return !isLost && files.length === 0 && !changed
}

function isWhole(report: RepairReport): boolean {
  return isLogWhole(report) && report.subscriptions.length === 0
}

async function print(report: RepairReport, dryRun: boolean, { printer }: Session): Promise<void> {
  const { changed, position, frames, events, eventsLost, lost, files, aside, seconds } = report
  const { declaration, subscriptions } = report
  const kept = `${formatMany(events, 'event')} in ${formatMany(frames, 'frame')} intact`
  const up = `up to position ${formatCount(position)}, in ${formatSeconds(seconds)}`
  const damaged = isLogWhole(report)
    ? 'Checkpoints of subscriptions are damaged'
    : 'The log is damaged'
  const verdict = isWhole(report) ? 'The log is whole' : dryRun ? damaged : 'Repaired'
  await printer.line(verdict, isWhole(report) || changed ? 'good' : 'bad')
  await printer.line(`${kept}, ${up}`, 'dim')
  if (eventsLost > 0) await printer.line(`${formatMany(eventsLost, 'event')} lost`, 'bad')
  if (declaration !== undefined) await printer.line(DECLARATION[declaration], 'bad')
  await printer.table(
    lost.map(({ from, to, reason }): Cell[] => [
      { text: 'lost', style: 'name' },
      { text: `${from} to ${to}` },
      { text: reason }
    ])
  )
  await printer.table(
    files.map(({ file, reason }): Cell[] => [{ text: file, style: 'name' }, { text: reason }])
  )
  await printer.table(
    subscriptions.map(({ name, reason, kept }): Cell[] => [
      { text: `subscription ${name}`, style: 'name' },
      { text: kept ? 'kept' : dryRun ? 'of no use' : 'put aside' },
      { text: reason }
    ])
  )
  if (aside !== undefined) await printer.line(`The damaged files are in ${aside}`, 'dim')
}

const DECLARATION: Readonly<Record<NonNullable<RepairReport['declaration']>, string>> = {
  tables: 'The declaration of vectors was lost, and is put back from the tables',
  vectors:
    "The declaration of vectors was lost, and is put back from the vectors' files, without model",
  lost: 'The declaration of vectors is lost: give their options at the next open'
}
