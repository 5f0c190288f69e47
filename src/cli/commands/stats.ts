import { type Command, InvalidArgumentError } from 'commander'
import type { Counts, Stats } from '../../index.ts'
import { onStore, toNumber } from '../arguments.ts'
import { type Cell, formatBytes, formatCount, formatMicros, formatShare } from '../output.ts'
import { type Session, type StoreFlags, UsageError } from '../session.ts'
import { look } from '../source.ts'
import { watch } from '../watch/watch.ts'

const TYPES_SHOWN = 10

interface Flags extends StoreFlags {
  watch?: true
  interval?: number
}

export function addStats(program: Command, session: Session): void {
  onStore(program.command('stats'))
    .description('Show what a store holds and how it fares')
    .option('--watch', 'show it live, while another process has the store open')
    .option('--interval <seconds>', 'with --watch: how often to look, 0.1 to 3600', toInterval)
    .action(async (flags: Flags) => {
      if (flags.watch) {
        const intervalMs = 1000 * (flags.interval ?? 1)
        return watch(session, { directory: flags.dir, intervalMs, json: flags.json === true })
      }
      if (flags.interval !== undefined) throw new UsageError('--interval is for --watch')
      await look(session, flags, async (source) => {
        const counts = await source.counts({ signal: session.signal })
        await print(session, flags, counts, await source.stats())
      })
    })
}

/** @throws InvalidArgumentError */
function toInterval(text: string): number {
  const seconds = toNumber(text)
  if (seconds >= 0.1 && seconds <= 3600) return seconds
  throw new InvalidArgumentError('Expected a number from 0.1 to 3600.')
}

async function print(
  { printer }: Session,
  flags: Flags,
  counts: Counts,
  stats: Stats
): Promise<void> {
  if (flags.json) return printer.json({ counts, ...stats })
  await printer.table(contents(counts))
  await printer.line()
  await printer.fields(state(stats))
  await printer.line()
  await printer.table(projections(stats))
  const timed = latencies(stats)
  if (timed.length === 0) return
  await printer.line()
  await printer.table(timed)
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
        `vectors ${formatBytes(disk.vectorsBytes)}, ` +
        `projections ${formatBytes(disk.projectionsBytes)}, ` +
        `telemetry ${formatBytes(disk.telemetryBytes)}`
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
