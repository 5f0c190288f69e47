import type { Command } from 'commander'
import type { VerifyReport } from '../../index.ts'
import { onStore } from '../arguments.ts'
import { type Cell, formatCount, formatMany, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import { Failed, type Session, type StoreFlags } from '../session.ts'

export function addVerify(program: Command, session: Session): void {
  onStore(program.command('verify'))
    .description('Check every frame of the log and every projection')
    .action(async (flags: StoreFlags) => {
      const bar = new ProgressLine()
      // What is checked must be up to date first, which a read-only store cannot see to.
      await session.withStore(flags.dir, { createIfMissing: false }, async (store) => {
        try {
          const report = await store.verify({
            signal: session.signal,
            onProgress: ({ phase, done, total }) =>
              bar.update(phase, done, total, formatCount(done))
          })
          bar.stop()
          if (flags.json) await session.printer.json(report)
          else await print(report, session)
          if (report.ok) return
        } finally {
          bar.stop()
        }
        await session.printer.flush()
        throw new Failed('The store is damaged')
      })
    })
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
