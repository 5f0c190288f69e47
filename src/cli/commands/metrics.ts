import type { Command } from 'commander'
import { onStore } from '../arguments.ts'
import type { Session, StoreFlags } from '../session.ts'
import { look } from '../source.ts'

export function addMetrics(program: Command, session: Session): void {
  onStore(program.command('metrics'))
    .description('Print how a store fares in the text format of Prometheus')
    .action(async (flags: StoreFlags) => {
      await look(session, flags, async (source) => {
        const text = await source.metrics({ signal: session.signal })
        if (flags.json) await session.printer.json({ metrics: text })
        else await session.printer.line(text.trimEnd())
      })
    })
}
