import type { Command } from 'commander'
import type { Counts, Stats } from '../../index.ts'
import { onStore } from '../arguments.ts'
import { type Cell, formatBytes, formatCount, formatMicros, formatShare } from '../output.ts'
import type { Session, StoreFlags } from '../session.ts'

const TYPES_SHOWN = 10

export function addStats(program: Command, session: Session): void {
  onStore(program.command('stats'))
    .description('Show what a store holds and how it fares')
    .action(async (flags: StoreFlags) => {
      await session.read(flags, async (store) => {
        const counts = await store.counts({ signal: session.signal })
        const stats = store.stats()
        if (flags.json) {
          await session.printer.json({ counts, ...stats })
          return
        }
        await session.printer.table(contents(counts))
        await session.printer.line()
        await session.printer.fields(state(stats))
        await session.printer.line()
        await session.printer.table(projections(stats))
        const timed = latencies(stats)
        if (timed.length === 0) return
        await session.printer.line()
        await session.printer.table(timed)
      })
    })
}

function contents({ concepts, associations, vectors, types }: Counts): Cell[][] {
  const row = (name: string, count: number): Cell[] => [
    { text: name, style: 'dim' },
    { text: formatCount(count), align: 'right' },
    { text: '' }
  ]
  const largest = Object.entries(types).sort(([, a], [, b]) => b - a)
  const shown = largest.slice(0, TYPES_SHOWN)
  const rest = largest.slice(TYPES_SHOWN).reduce((sum, [, count]) => sum + count, 0)
  return [
    row('concepts', concepts),
    ...shown.map(([type, count]) => row(`  ${type}`, count)),
    ...(rest > 0 ? [row('  other types', rest)] : []),
    row('associations', associations),
    row('vectors', vectors)
  ]
}

function state(stats: Stats): [string, string][] {
  const { position, durableHead, disk, memory, pipeline, vectors } = stats
  const index = `${formatCount(vectors.indexed)} indexed, ${formatCount(vectors.pending)} pending`
  return [
    ['position', `${formatCount(position)}, on disk ${formatCount(durableHead)}`],
    [
      'disk',
      `log ${formatBytes(disk.logBytes)}, tables ${formatBytes(disk.tablesBytes)}, ` +
        `vectors ${formatBytes(disk.vectorsBytes)}`
    ],
    ['memory', `${formatBytes(memory.rssBytes)} resident`],
    ['vectors', vectors.declared ? `${vectors.dimensions} dimensions, ${index}` : 'not declared'],
    ['health', `${formatShare(pipeline.healthScore)}: ${pipeline.recommendation}`]
  ]
}

function projections({ pipeline }: Stats): Cell[][] {
  return Object.entries(pipeline.projections).map(([name, one]) => [
    { text: name, style: 'name' },
    { text: one.state, style: one.state === 'stopped' ? 'bad' : 'good' },
    { text: `at ${formatCount(one.position)}` },
    { text: one.error ?? `${formatCount(one.lagEvents)} behind` }
  ])
}

function latencies({ latency }: Stats): Cell[][] {
  const used = Object.entries(latency).filter(([, { count }]) => count > 0)
  if (used.length === 0) return []
  const right = (text: string): Cell => ({ text, align: 'right' })
  const header = ['count', 'p50', 'p95', 'p99', 'max'].map((text) => {
    return { ...right(text), style: 'dim' as const }
  })
  const rows = used.map(([name, { count, p50Us, p95Us, p99Us, maxUs }]): Cell[] => [
    { text: name, style: 'name' },
    right(formatCount(count)),
    ...[p50Us, p95Us, p99Us, maxUs].map((us) => right(formatMicros(us))),
    { text: '' }
  ])
  return [[{ text: '' }, ...header, { text: '' }], ...rows]
}
