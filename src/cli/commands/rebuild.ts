import type { Command } from 'commander'
import { collect, given, onStore } from '../arguments.ts'
import { formatCount, formatSeconds } from '../output.ts'
import { ProgressLine } from '../progress.ts'
import type { Session, StoreFlags } from '../session.ts'

interface Flags extends StoreFlags {
  projection?: string[]
}

export function addRebuild(program: Command, session: Session): void {
  onStore(program.command('rebuild'))
    .description('Make the tables and the vector index again from the log')
    .option('--projection <name>', 'only this one; may be given several times', collect)
    .action(async (flags: Flags) => {
      const { dir, projection: projections, json } = flags
      const bar = new ProgressLine()
      await session.withStore(dir, { createIfMissing: false }, async (store) => {
        const began = performance.now()
        try {
          await store.rebuild({
            ...given({ projections }),
            signal: session.signal,
            onProgress: ({ phase, done, total }) =>
              bar.update(phase, done, total, formatCount(done))
          })
        } finally {
          bar.stop()
        }
        const seconds = (performance.now() - began) / 1000
        const { position } = store
        if (json) await session.printer.json({ position, seconds })
        else {
          const up = `up to position ${formatCount(position)} in ${formatSeconds(seconds)}`
          await session.printer.line(`Rebuilt from the log ${up}`, 'good')
        }
      })
    })
}
