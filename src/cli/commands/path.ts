import { type Command, Option } from 'commander'
import type { Direction, Path, Store } from '../../index.ts'
import { collect, given, onStore, toId, toInteger, toNumber } from '../arguments.ts'
import { type Cell, formatMany, formatShare } from '../output.ts'
import type { Session, StoreFlags } from '../session.ts'
import { directionOption } from './neighbors.ts'

interface Flags extends StoreFlags {
  maxDepth: number
  direction: Direction
  type?: string[]
  minStrength?: number
  order: 'hops' | 'confidence'
}

export function addPath(program: Command, session: Session): void {
  onStore(program.command('path'))
    .description('Find the best path between two concepts')
    .argument('<from>', 'a key, or an id of 32 hex digits')
    .argument('<to>', 'the same')
    .addOption(directionOption())
    .option('--max-depth <hops>', 'how far to look', toInteger, 6)
    .option('--type <name>', 'only along this type; may be given several times', collect)
    .option('--min-strength <number>', 'only along associations at least this strong', toNumber)
    .addOption(
      new Option('--order <order>', 'what makes a path the best')
        .choices(['hops', 'confidence'])
        .default('hops')
    )
    .action(async (from: string, to: string, flags: Flags) => {
      const { direction, maxDepth, order, type: types, minStrength } = flags
      await session.read(flags, async (store) => {
        const path = await store.findPath(toId(from), toId(to), {
          direction,
          maxDepth,
          order,
          ...given({ types, minStrength }),
          signal: session.signal
        })
        if (flags.json) await session.printer.json(path ?? null)
        else if (path === undefined) {
          await session.printer.line(`No path within ${formatMany(maxDepth, 'hop')}`, 'dim')
        } else await print(path, store, session)
      })
    })
}

async function print(path: Path, store: Store, { printer, signal }: Session): Promise<void> {
  const concepts = await store.getMany(path.concepts, { signal })
  const rows = path.concepts.map((id, index): Cell[] => {
    const before = path.associations[index - 1]
    const arrow = before?.target === id ? '→' : '←'
    return [
      { text: before === undefined ? '' : `${arrow} ${before.type}`, style: 'link' },
      { text: path.keys[index] ?? id, style: 'name' },
      { text: concepts[index]?.content ?? '' }
    ]
  })
  await printer.table(rows)
  const hops = formatMany(path.associations.length, 'hop')
  await printer.line(`${hops}, confidence ${formatShare(path.confidence)}`, 'dim')
}
