import type { Command } from 'commander'
import { Option } from 'commander'
import type { Association, Direction } from '../../index.ts'
import { collect, given, onStore, toId, toInteger, toNumber } from '../arguments.ts'
import { type Cell, formatShare } from '../output.ts'
import type { Session, StoreFlags } from '../session.ts'
import { notFound } from './get.ts'

interface Flags extends StoreFlags {
  direction: Direction
  type?: string[]
  minStrength?: number
  limit: number
  after?: string
}

export function addNeighbors(program: Command, session: Session): void {
  onStore(program.command('neighbors'))
    .description('List the associations of a concept')
    .argument('<id-or-key>', 'a key, or an id of 32 hex digits')
    .addOption(directionOption())
    .option('--type <name>', 'only this type; may be given several times', collect)
    .option('--min-strength <number>', 'only associations at least this strong', toNumber)
    .option('--limit <count>', 'how many', toInteger, 20)
    .option('--after <cursor>', 'go on behind this association (its cursor in --json)')
    .action(async (idOrKey: string, flags: Flags) => {
      const id = toId(idOrKey)
      const { direction, type: types, minStrength, limit, after } = flags
      await session.read(flags, async (store) => {
        const found = await store.neighbors(id, {
          direction,
          limit,
          ...given({ types, minStrength, after }),
          include: ['concept'],
          signal: session.signal
        })
        if (found.length === 0 && !(await store.has(id))) throw notFound(idOrKey)
        if (flags.json) {
          for (const association of found) await session.printer.json(association)
          return
        }
        await session.printer.table(found.map(row))
        if (found.length === 0) await session.printer.line('No associations', 'dim')
        if (found.length === limit) {
          await session.printer.line(`The first ${limit}: --limit shows more`, 'dim')
        }
      })
    })
}

/** Shared with `path`, which walks in the same directions. */
export function directionOption(): Option {
  return new Option('--direction <direction>', 'which way associations are followed')
    .choices(['out', 'in', 'both'])
    .default('out')
}

function row({ other, source, type, strength, concept }: Association): Cell[] {
  return [
    { text: other.id === source ? '←' : '→', style: 'dim' },
    { text: type, style: 'link' },
    { text: other.key ?? other.id, style: 'name' },
    { text: formatShare(strength), style: 'dim' },
    { text: concept?.content ?? '' }
  ]
}
