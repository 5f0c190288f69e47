import type { Result } from '../results.ts'
import { axis, type Chart, COLORS } from './chart.ts'
import { sourceLine } from './source.ts'

interface Bar {
  readonly label: string
  readonly ratio: number
}

interface Compared {
  readonly name: string
  readonly ratio: number | undefined
  readonly p50Ratio: number | undefined
}

const BAR_HEIGHT = 24

/** Every lane of the store that has a baseline. The line at 1 is the baseline itself. */
export function ratiosChart(results: readonly Result[]): Chart | undefined {
  const bars = results.flatMap(({ name, report }) =>
    report.lanes.flatMap((lane): Bar[] => {
      const ratio = speedOf(lane)
      // Lanes of the bare engine compare it with itself.
      if (ratio === undefined || !lane.name.includes('store')) return []
      return [{ label: `${name}: ${lane.name}`, ratio }]
    })
  )
  const [first] = results
  if (first === undefined || bars.length === 0) return undefined
  return {
    name: 'ratios',
    title: 'Speed as a multiple of the baseline in the same run',
    source: sourceLine(first),
    height: 150 + bars.length * BAR_HEIGHT,
    option: {
      grid: { left: 340, right: 60, top: 64, bottom: 56 },
      xAxis: {
        ...axis('times as fast, by medians where operations were timed one by one (logarithmic)'),
        type: 'log',
        nameGap: 30
      },
      yAxis: {
        ...axis(''),
        type: 'category',
        inverse: true,
        data: bars.map(({ label }) => label),
        splitLine: { show: false },
        axisLabel: { color: COLORS.ink, fontSize: 11, width: 320, overflow: 'truncate' }
      },
      series: [
        {
          type: 'bar',
          data: bars.map(({ ratio }) => ({
            value: Number(ratio.toPrecision(3)),
            itemStyle: { color: ratio >= 1 ? COLORS.store : COLORS.orange }
          })),
          label: { show: true, position: 'right', color: COLORS.ink, fontSize: 11 },
          markLine: {
            symbol: 'none',
            silent: true,
            label: { show: false },
            lineStyle: { color: COLORS.ink, type: 'solid', width: 1.5 },
            data: [{ xAxis: 1 }]
          }
        }
      ]
    }
  }
}

/** A median is not moved by one read in a thousand that had to wait for a processor. */
function speedOf({ ratio, p50Ratio }: Compared): number | undefined {
  return p50Ratio === undefined ? ratio : 1 / p50Ratio
}
