import { fileURLToPath } from 'node:url'
import type { Answers, PeerResult, TaskResult } from '../peers/race.ts'
import { axis, type Chart, COLORS } from './chart.ts'

/** What the benchmark of peers leaves behind it. */
export interface PeersFile {
  /** Lines about the data, the questions and the machine. */
  readonly header: readonly string[]
  readonly recall: number
  readonly results: readonly PeerResult[]
}

/** Where it leaves it. */
export const PEERS: string = fileURLToPath(new URL('../peers/results/', import.meta.url))

interface Panel {
  readonly name: string
  readonly amountOf: (result: PeerResult) => number | undefined
}

const OURS = 'ours'
const COLUMNS = 2
const ROW = 18
const PANEL_GAP = 64
const TOP = 64

/** One panel for each question, the same peers in each. No bar: it cannot do that, or failed. */
export function peersChart({ header, recall, results }: PeersFile): Chart | undefined {
  const loaded = results.filter(({ load }) => load !== undefined && !('error' in load))
  if (loaded.length === 0) return undefined
  const [data = '', , machine = ''] = header
  const height = loaded.length * ROW
  const panels = panelsOf(recall)
  const rows = Math.ceil(panels.length / COLUMNS)
  const places = panels.map((_, at) => ({
    left: at % COLUMNS === 0 ? 130 : 552,
    width: 250,
    top: TOP + Math.floor(at / COLUMNS) * (height + PANEL_GAP),
    height
  }))
  return {
    name: 'peers',
    title: `Peers: ${data}`.replace(/ vectors of .*/, ' vectors'),
    source: `${machine} · logarithmic, shorter is better · no bar: it cannot, or failed`,
    height: TOP + rows * (height + PANEL_GAP),
    option: {
      grid: places,
      xAxis: panels.map(({ name, amountOf }, gridIndex) => {
        const floor = floorOf(loaded.map(amountOf))
        return {
          ...axis(name),
          type: 'log',
          gridIndex,
          nameGap: 26,
          nameTextStyle: { color: COLORS.ink, fontSize: 12 },
          min: floor,
          // Else bars begin at 1, wherever that is.
          startValue: floor
        }
      }),
      yAxis: panels.map((_, gridIndex) => ({
        ...axis(''),
        type: 'category',
        gridIndex,
        inverse: true,
        data: loaded.map(({ title }) => title),
        splitLine: { show: false },
        axisLabel: { color: COLORS.ink, fontSize: 11, width: 118, overflow: 'truncate' }
      })),
      series: panels.map(({ amountOf }, panel) => ({
        type: 'bar',
        xAxisIndex: panel,
        yAxisIndex: panel,
        barWidth: ROW - 6,
        label: { show: true, position: 'right', color: COLORS.ink, fontSize: 10 },
        data: loaded.map((result) => ({
          value: rounded(amountOf(result)),
          itemStyle: { color: result.name === OURS ? COLORS.store : COLORS.baseline }
        }))
      }))
    }
  }
}

function panelsOf(recall: number): Panel[] {
  const p50 = (task: TaskResult | undefined): number | undefined =>
    isAnswers(task) ? task.p50Us : undefined
  const loadOf = ({ load }: PeerResult): { seconds: number; diskBytes: number } | undefined =>
    load === undefined || 'error' in load ? undefined : load
  return [
    { name: 'load, s', amountOf: (result) => loadOf(result)?.seconds },
    { name: 'get one concept, p50, µs', amountOf: ({ tasks }) => p50(tasks.get) },
    { name: 'one hop, p50, µs', amountOf: ({ tasks }) => p50(tasks.hop) },
    { name: 'shortest path, p50, ms', amountOf: ({ tasks }) => perThousand(p50(tasks.path)) },
    {
      name: `10 nearest at recall ${recall}, p50, ms`,
      amountOf: ({ tasks }) => perThousand(p50(tasks.knn))
    },
    {
      name: 'fresh process to first answer, s',
      amountOf: ({ reopen }) =>
        reopen === undefined || 'error' in reopen ? undefined : reopen.seconds
    },
    { name: 'on disk, MB', amountOf: (result) => perMillion(loadOf(result)?.diskBytes) },
    {
      name: 'memory while it answers, MB',
      amountOf: ({ servePeakBytes }) => perMillion(servePeakBytes)
    }
  ]
}

function isAnswers(task: TaskResult | undefined): task is Answers {
  return task !== undefined && 'p50Us' in task
}

function perThousand(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value / 1e3
}

function perMillion(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value / 1e6
}

/** A logarithmic axis has no zero: bars begin at the power of ten below the shortest. */
function floorOf(values: readonly (number | undefined)[]): number {
  const known = values.filter((value): value is number => value !== undefined && value > 0)
  const least = known.length === 0 ? 1 : Math.min(...known)
  return 10 ** Math.floor(Math.log10(least * 0.99))
}

/** `-` is what the library calls a missing value. */
function rounded(value: number | undefined): number | '-' {
  return value === undefined ? '-' : Number(value.toPrecision(3))
}
