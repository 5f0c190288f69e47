/**
 * The screen of `sutra stats --watch`, as a pure function of what was seen and of the terminal's size.
 * Always as many lines as the terminal has, none wider; everything keeps its place while its number
 * changes.
 */
import type { Layout } from '../output.ts'
import type { History } from './history.ts'
import { type Line, paintLine } from './pieces.ts'
import {
  alerts,
  gauges,
  health,
  operations,
  operationsIn,
  projections,
  projectionsIn,
  resources,
  title
} from './sections.ts'

/** What is said about the watching itself. */
export interface Watching {
  directory: string
  intervalMs: number
  /** Milliseconds since 1970. */
  now: number
  /** Why nothing new is seen; `undefined` while all is well. */
  trouble: string | undefined
}

export interface Size {
  columns: number
  rows: number
}

type Section =
  | 'title'
  | 'health'
  | 'gauges'
  | 'operations'
  | 'projections'
  | 'resources'
  | 'alerts'
  | `gap${1 | 2 | 3 | 4}`

/** From the top to the bottom. */
const ORDER: readonly Section[] = [
  'title',
  'health',
  'gap1',
  'gauges',
  'gap2',
  'operations',
  'gap3',
  'projections',
  'gap4',
  'resources'
]

/** Which section gets how many of the lines that are left, the most important first. */
const WISHES: readonly (readonly [Section, number])[] = [
  ['title', 1],
  ['health', 1],
  ['gauges', 4],
  ['alerts', 1],
  ['projections', 3],
  ['operations', 4],
  ['gauges', 2],
  ['resources', 5],
  ['health', 1],
  ['operations', 1],
  ['gauges', 1],
  // From here on more than the 24 lines of the smallest usual terminal.
  ['gap3', 1],
  ['gap2', 1],
  ['operations', 3],
  ['gap4', 1],
  ['gap1', 1],
  ['alerts', 2],
  ['projections', 6],
  ['operations', 20],
  ['alerts', 3]
]
/** Their first line names the columns: alone it says nothing. */
const WITH_HEADER: readonly Section[] = ['operations', 'projections']

export function render(
  history: History,
  watching: Watching,
  size: Size,
  colour: boolean
): string[] {
  const columns = Math.max(1, size.columns)
  const rows = Math.max(1, size.rows)
  const layout: Layout = { width: columns, colour }
  const parts = partsOf(history, watching, columns)
  const given = share(rows, {
    operations: operationsIn(history),
    projections: projectionsIn(history)
  })
  const lines = ORDER.flatMap(
    (section) => parts[section]?.(given[section]) ?? blank(given[section])
  )
  const bottom = parts.alerts(given.alerts)
  // What nobody has a use for is left free above the last line, which stays at the bottom.
  const free = blank(rows - lines.length - bottom.length)
  return [...lines, ...free, ...bottom].slice(0, rows).map((line) => paintLine(line, layout))
}

/** Makes a section of so many lines. */
type Part = (lines: number) => readonly Line[]
type Parts = Partial<Record<Section, Part>> & { alerts: Part }

function partsOf(history: History, watching: Watching, columns: number): Parts {
  return {
    title: () => [title(history, watching, columns)],
    health: (lines) => health(history, watching, columns, lines),
    gauges: (lines) => gauges(history, columns, lines),
    operations: (lines) => operations(history, columns, lines),
    projections: (lines) => projections(history, columns, lines),
    resources: (lines) => resources(history, lines),
    alerts: (lines) => alerts(history, watching, columns, lines)
  }
}

/**
 * Divides the lines. What is seen counts only by how many names it has, which hardly ever changes, so
 * that nothing moves while one watches.
 */
function share(rows: number, names: Partial<Record<Section, number>>): Record<Section, number> {
  const given: Record<Section, number> = {
    ...{ title: 0, health: 0, gauges: 0, operations: 0, projections: 0, resources: 0, alerts: 0 },
    ...{ gap1: 0, gap2: 0, gap3: 0, gap4: 0 }
  }
  let left = rows
  for (const [section, wish] of WISHES) {
    const named = names[section]
    const useful = named === undefined ? wish : Math.max(0, named + 1 - given[section])
    const taken = Math.min(wish, useful, left)
    const isHeaderAlone = WITH_HEADER.includes(section) && given[section] + taken === 1
    if (isHeaderAlone) continue
    given[section] += taken
    left -= taken
  }
  return given
}

function blank(lines: number): Line[] {
  return Array.from({ length: Math.max(0, lines) }, () => [])
}
