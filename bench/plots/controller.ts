import type { Result } from '../results.ts'
import { SHAPES } from '../simulation/shapes.ts'
import { type Moment, simulate } from '../simulation/simulate.ts'
import { axis, type Chart, COLORS } from './chart.ts'

const LEFT = 190
const WIDTH = 186
const GAP = 42
const TOP = 92
const ROW = 92
const ROW_GAP = 26
/** A point for each millisecond would be more than the picture has room for. */
const EVERY_MS = 6

interface Column {
  readonly name: string
  readonly color: string
  readonly isLogarithmic?: boolean
  read(moment: Moment): number
}

const COLUMNS: readonly Column[] = [
  { name: 'queue, events', color: COLORS.store, read: ({ depth }) => depth },
  {
    name: 'interval, ms (logarithmic)',
    color: COLORS.purple,
    isLogarithmic: true,
    read: ({ intervalMs }) => intervalMs
  },
  { name: 'lag of the oldest event, ms', color: COLORS.orange, read: ({ lagMs }) => lagMs }
]

/** A row for each shape of load: what is in the queue, the interval, the lag. */
export async function controllerChart(result: Result): Promise<Chart> {
  const runs = []
  for (const shape of SHAPES) runs.push({ shape, moments: (await simulate(shape)).moments })
  const panels = runs.flatMap(({ shape, moments }, row) =>
    COLUMNS.map((column, at) => {
      const isSlowToo = shape.slowProjection !== undefined && at === COLUMNS.length - 1
      const slow = isSlowToo ? sampled(moments, { read: ({ slowLagMs }) => slowLagMs }) : []
      return { shape, column, row, at, data: sampled(moments, column), slow }
    })
  )
  const isLast = (row: number): boolean => row === runs.length - 1
  return {
    name: 'controller',
    title: 'How the pipeline follows its load',
    source: `the real pipeline on a virtual clock; a batch takes 1 ms and 5 µs an event · seed ${result.report.seed}`,
    height: TOP + runs.length * (ROW + ROW_GAP) + 36,
    option: {
      grid: panels.map(({ row, at }) => ({
        left: LEFT + at * (WIDTH + GAP),
        width: WIDTH,
        top: TOP + row * (ROW + ROW_GAP),
        height: ROW
      })),
      graphic: [
        ...runs.map(({ shape }, row) => ({
          type: 'text' as const,
          left: 16,
          top: TOP + row * (ROW + ROW_GAP) + 8,
          style: {
            text: shape.name,
            fill: COLORS.ink,
            fontSize: 12,
            width: 130,
            overflow: 'break' as const
          }
        })),
        ...COLUMNS.map(({ name }, at) => ({
          type: 'text' as const,
          left: LEFT + at * (WIDTH + GAP),
          top: TOP - 22,
          style: { text: name, fill: COLORS.ink, fontSize: 12, fontWeight: 600 }
        }))
      ],
      xAxis: panels.map(({ shape, row }, i) => ({
        ...axis(isLast(row) ? 'ms' : ''),
        type: 'value' as const,
        gridIndex: i,
        min: 0,
        max: shape.ms,
        interval: 1000,
        nameGap: 24,
        axisLabel: { show: isLast(row), color: COLORS.muted, fontSize: 10 }
      })),
      yAxis: panels.map(({ data, slow, column }, i) => ({
        ...axis(''),
        ...scaleOf(column, [...data, ...slow]),
        gridIndex: i,
        axisLabel: { color: COLORS.muted, fontSize: 10, formatter: short }
      })),
      series: panels.flatMap(({ column, data, slow }, i) => [
        line(i, data, column.color, 'solid'),
        ...(slow.length > 0 ? [line(i, slow, COLORS.baseline, 'dashed')] : [])
      ])
    }
  }
}

function line(
  panel: number,
  data: readonly [number, number][],
  color: string,
  type: 'solid' | 'dashed'
): object {
  return {
    type: 'line',
    xAxisIndex: panel,
    yAxisIndex: panel,
    data,
    symbol: 'none',
    itemStyle: { color },
    lineStyle: { color, width: 1.4, type }
  }
}

function scaleOf({ isLogarithmic = false }: Column, data: readonly [number, number][]): object {
  if (isLogarithmic) return { type: 'log', min: 1, max: 100 }
  return { type: 'value', min: 0, max: nice(Math.max(...data.map(([, y]) => y))), splitNumber: 2 }
}

/** The highest value of each few milliseconds: what is short must not fall between two points. */
function sampled(moments: readonly Moment[], { read }: Pick<Column, 'read'>): [number, number][] {
  const points: [number, number][] = []
  for (let i = 0; i < moments.length; i += EVERY_MS) {
    const few = moments.slice(i, i + EVERY_MS)
    points.push([i, Math.max(...few.map(read))])
  }
  return points
}

/** The next of 1, 2 and 5 times a power of ten. */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)))
  return ([1, 2, 5].find((times) => times * power >= value) ?? 10) * power
}

function short(value: number): string {
  return value >= 1000 ? `${value / 1000} k` : String(value)
}
