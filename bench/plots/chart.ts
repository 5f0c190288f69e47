/** Draws one chart as SVG, without a browser, to be read on light and on dark pages. */
import { type EChartsOption, init } from 'echarts'

export interface Chart {
  /** Of the file, without `.svg`. */
  readonly name: string
  readonly title: string
  /** On what machine, when, and of which commit. */
  readonly source: string
  readonly height: number
  readonly option: EChartsOption
}

const WIDTH = 860

/** Each with what it becomes on a dark page. */
const DARK = {
  '#ffffff': '#0d1117',
  '#1f2328': '#f0f6fc',
  '#59636e': '#9198a1',
  '#d1d9e0': '#3d444d',
  '#0969da': '#58a6ff',
  '#818b98': '#7d8590',
  '#bc4c00': '#f0883e',
  '#1a7f37': '#3fb950',
  '#8250df': '#bc8cff'
} as const

type Color = keyof typeof DARK

export const COLORS = {
  paper: '#ffffff',
  ink: '#1f2328',
  muted: '#59636e',
  grid: '#d1d9e0',
  store: '#0969da',
  baseline: '#818b98',
  orange: '#bc4c00',
  green: '#1a7f37',
  purple: '#8250df'
} as const satisfies Record<string, Color>

export function renderChart({ title, source, height, option }: Chart): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: COLORS.paper,
      // Fonts that a page has anyway: nothing is embedded.
      textStyle: { fontFamily: 'system-ui, sans-serif', color: COLORS.ink },
      title: {
        text: title,
        subtext: source,
        left: 16,
        top: 10,
        textStyle: { fontSize: 16, color: COLORS.ink },
        subtextStyle: { fontSize: 11, color: COLORS.muted }
      },
      ...option
    })
    return withDarkPages(chart.renderToSVGString())
  } finally {
    chart.dispose()
  }
}

/** Axis lines, labels and names as every chart here has them. */
export function axis(name: string): object {
  return {
    name,
    nameLocation: 'middle',
    nameTextStyle: { color: COLORS.muted, fontSize: 12 },
    axisLine: { show: true, lineStyle: { color: COLORS.muted } },
    axisTick: { lineStyle: { color: COLORS.muted } },
    axisLabel: { color: COLORS.muted, fontSize: 11 },
    splitLine: { lineStyle: { color: COLORS.grid } },
    minorSplitLine: { show: false }
  }
}

/** In columns, because no font is at hand to measure the names with. */
export function legend(): object {
  // A width counts where there is something to fill.
  const column = { color: COLORS.ink, fontSize: 11, width: 228, backgroundColor: COLORS.paper }
  return {
    left: 16,
    top: 54,
    itemWidth: 30,
    itemGap: 8,
    formatter: '{column|{name}}',
    textStyle: { rich: { column } }
  }
}

/** Colours stay attributes, so that programs that know no style sheets draw the light version. */
function withDarkPages(svg: string): string {
  const rules = Object.entries(DARK).map(
    ([light, dark]) => `[fill="${light}"]{fill:${dark}}[stroke="${light}"]{stroke:${dark}}`
  )
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join('')}}</style>`
  const end = svg.indexOf('>') + 1
  return `${svg.slice(0, end)}\n${style}${svg.slice(end)}\n`
}
