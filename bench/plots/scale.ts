import type { Machine } from '../machine.ts'
import type { Mark } from '../scale/child-process.ts'
import type { ScaleResult } from '../scale/run.ts'
import { count } from '../support.ts'
import { axis, type Chart, COLORS, legend } from './chart.ts'
import { sourceLine } from './source.ts'

export interface ScaleFile {
  readonly name: string
  readonly date: string
  readonly machine: Machine
  readonly scale: ScaleResult
}

const MILLION = 1e6

/** Rate and memory against size: what stays flat, and what does not. */
export function scaleChart(file: ScaleFile): Chart {
  const { concepts, each, store, bare } = file.scale
  const beside = each === 0 ? '' : ` with ${each} associations each`
  const lines = (marks: readonly Mark[], amountOf: (mark: Mark) => number): [number, number][] =>
    marks
      .filter(({ phase }) => phase === 'concepts')
      .map((mark) => [mark.done / MILLION, Number(amountOf(mark).toPrecision(4))])
  const rate = (mark: Mark): number => mark.rate / 1000
  const rss = (mark: Mark): number => mark.rss / MILLION
  const own = (mark: Mark): number => mark.anonymous / MILLION
  const knowsOwn = store.marks.some(({ anonymous }) => anonymous > 0)
  const size = { type: 'value', min: 0, max: concepts / MILLION } as const
  return {
    name: 'scale',
    title: `Import of ${count(concepts)} concepts of 100 bytes${beside}: rate and memory`,
    source: sourceLine(file),
    height: 560,
    option: {
      legend: legend(),
      grid: [
        { left: 80, right: 24, top: 92, height: 180 },
        { left: 80, right: 24, top: 320, height: 180 }
      ],
      xAxis: [
        { ...axis(''), ...size, gridIndex: 0 },
        { ...axis('concepts imported, millions'), ...size, gridIndex: 1, nameGap: 28 }
      ],
      yAxis: [
        { ...axis('1,000 concepts/s'), type: 'value', min: 0, gridIndex: 0, nameGap: 52 },
        { ...axis('resident memory, MB'), type: 'value', min: 0, gridIndex: 1, nameGap: 52 }
      ],
      series: [
        line('store.import', 0, lines(store.marks, rate), COLORS.store),
        line(
          'bare classic-level, behind it',
          0,
          lines(bare.marks, rate),
          COLORS.baseline,
          'dashed'
        ),
        line('store.import', 1, lines(store.marks, rss), COLORS.store),
        line('bare classic-level, behind it', 1, lines(bare.marks, rss), COLORS.baseline, 'dashed'),
        ...(knowsOwn
          ? [
              line(
                'store.import, without pages of files',
                1,
                lines(store.marks, own),
                COLORS.orange
              )
            ]
          : [])
      ]
    }
  }
}

function line(
  name: string,
  panel: number,
  data: [number, number][],
  color: string,
  dash: 'solid' | 'dashed' = 'solid'
): object {
  return {
    name,
    type: 'line',
    xAxisIndex: panel,
    yAxisIndex: panel,
    data,
    symbol: 'circle',
    symbolSize: 5,
    itemStyle: { color },
    lineStyle: { color, width: 2, type: dash }
  }
}
