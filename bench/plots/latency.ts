import type { Latency } from '../harness.ts'
import type { Result } from '../results.ts'
import { count } from '../support.ts'
import { axis, type Chart, COLORS, legend } from './chart.ts'
import type { ScaleFile } from './scale.ts'
import { sourceLine } from './source.ts'

const PERCENTILES = ['p50', 'p90', 'p99', 'p999'] as const
const LABELS = ['p50', 'p90', 'p99', 'p99.9']

interface Line {
  readonly name: string
  readonly latency: Latency | undefined
  readonly color: string
  readonly isBaseline?: boolean
}

/** Reads by percentile, each beside the bare engine's in the same run. */
export function latencyChart(reads: Result, scale: ScaleFile | undefined): Chart {
  const of = (lane: string): Latency | undefined =>
    reads.report.lanes.find(({ name }) => name.startsWith(lane))?.latency
  const lines: Line[] = [
    { name: 'get, random id', latency: of('get, random id: store'), color: COLORS.store },
    { name: 'get, hot id', latency: of('get, one of'), color: COLORS.green },
    { name: 'out-neighbours', latency: of('out-neighbours: store'), color: COLORS.purple },
    ...baselinesOf(of),
    ...(scale === undefined ? [] : linesOf(scale))
  ]
  return {
    name: 'latency',
    title: `${reads.report.title}: latency by percentile`,
    source: scale === undefined ? sourceLine(reads) : `${sourceLine(reads)} · ${otherRun(scale)}`,
    height: 480,
    option: {
      legend: legend(),
      grid: { left: 80, right: 24, top: 132, bottom: 52 },
      xAxis: { ...axis('percentile of reads'), type: 'category', data: LABELS, nameGap: 30 },
      yAxis: { ...axis('µs, as the caller waits (logarithmic)'), type: 'log', nameGap: 52 },
      series: lines.filter(({ latency }) => latency !== undefined).map(seriesOf)
    }
  }
}

function otherRun({ date, machine, scale }: ScaleFile): string {
  return `${count(scale.concepts)}: ${date.slice(0, 10)}, commit ${machine.commit}`
}

function baselinesOf(of: (lane: string) => Latency | undefined): Line[] {
  const [get, iterator] = ['get, random id: classic-level', 'out-neighbours: classic-level']
  return [
    {
      name: 'bare classic-level: getSync, random id',
      latency: of(get),
      color: COLORS.baseline,
      isBaseline: true
    },
    {
      name: 'bare classic-level: iterator over a prefix',
      latency: of(iterator),
      color: COLORS.muted,
      isBaseline: true
    }
  ]
}

function linesOf({ scale: { concepts, read } }: ScaleFile): Line[] {
  const { store, bare } = read.latency.random
  return [
    { name: `get, random id of ${count(concepts)}`, latency: store, color: COLORS.orange },
    {
      name: `bare classic-level: getSync, of ${count(concepts)}`,
      latency: bare,
      color: COLORS.orange,
      isBaseline: true
    }
  ]
}

function seriesOf({ name, latency, color, isBaseline = false }: Line): object {
  return {
    name,
    type: 'line',
    data: PERCENTILES.map((percentile) => Number(latency?.[percentile].toFixed(2))),
    symbol: 'circle',
    symbolSize: 6,
    itemStyle: { color },
    lineStyle: { color, width: 2, type: isBaseline ? 'dashed' : 'solid' }
  }
}
