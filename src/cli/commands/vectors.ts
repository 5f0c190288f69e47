import type { Command } from 'commander'
import type { RecallReport } from '../../index.ts'
import { given, onStore, toInteger } from '../arguments.ts'
import { type Cell, formatCount, formatMany, formatMicros } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import type { Session, StoreFlags } from '../session.ts'

interface Flags extends StoreFlags {
  sample?: number
  k?: number
  seed?: number
}

export function addVectors(program: Command, session: Session): void {
  const vectors = program.command('vectors').description('Look after the vector index')
  onStore(vectors.command('check'))
    .description('Measure how much of the exact answer a search finds, and how fast')
    .option('--sample <count>', 'stored vectors to search for', toInteger)
    .option('-k, --k <count>', 'matches of each search', toInteger)
    .option('--seed <number>', 'decides which vectors are drawn', toInteger)
    .action(async (flags: Flags) => {
      const bar = new ProgressLine()
      const { sample, k, seed } = flags
      // The index is brought up to date first and the report is kept: not for reading alone.
      await session.withStore(flags.dir, { createIfMissing: false }, async (store) => {
        try {
          const report = await store.checkVectors({
            ...given({ sample, k, seed }),
            signal: session.signal,
            onProgress: ({ phase, done, total }) => bar.update('searching', done, total, phase)
          })
          bar.stop()
          if (flags.json) await session.printer.json(report)
          else await print(report, session)
        } finally {
          bar.stop()
        }
      })
    })
}

async function print(report: RecallReport, { printer }: Session): Promise<void> {
  const { vectors, sample, k, position, exact, recalls } = report
  const searches = `${formatCount(sample)} ${sample === 1 ? 'search' : 'searches'} for ${k}`
  const searched = `${searches} in ${formatMany(vectors, 'vector')}`
  await printer.line(`${searched}, at position ${formatCount(position)}`, 'dim')
  const header = ['ef', `recall@${k}`, 'p50', 'p99'].map((text): Cell => {
    return { text, style: 'dim', align: 'right' }
  })
  const rows = recalls.map(({ ef, recall, p50Us, p99Us }) =>
    row(String(ef), recall.toFixed(4), p50Us, p99Us)
  )
  const last = row('exact', '1.0000', exact.p50Us, exact.p99Us)
  // The last column of a table is the one that is cut, so it holds nothing.
  await printer.table([[...header, { text: '' }], ...rows, last])
}

function row(name: string, recall: string, p50Us: number, p99Us: number): Cell[] {
  return [
    { text: name, style: 'name', align: 'right' },
    { text: recall, style: 'good', align: 'right' },
    { text: formatMicros(p50Us), align: 'right' },
    { text: formatMicros(p99Us), align: 'right' },
    { text: '' }
  ]
}
