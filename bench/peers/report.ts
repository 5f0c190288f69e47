/** What was measured, as a table for a terminal and as one for a README. */
import type { Task } from './check.ts'
import type { Answers, PeerResult } from './race.ts'

const NONE = '–'

const COLUMNS = [
  'peer',
  'load s',
  'get µs p50 / p99',
  'one hop µs',
  'path ms',
  'kNN ms @ recall',
  'first answer s',
  'disk MB',
  'RSS MB load / serve'
] as const

export function table(results: readonly PeerResult[]): string {
  const rows = [[...COLUMNS], ...results.map(cellsOf)]
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => [...(row[at] ?? '')].length)))
  return rows
    .map((row) => row.map((cell, at) => pad(cell, widths[at] ?? 0, at === 0)).join('  '))
    .join('\n')
}

export function markdown(results: readonly PeerResult[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = COLUMNS.map((_, at) => (at === 0 ? '---' : '---:'))
  const rows = results.map((result) => line(cellsOf(result).map(escaped)))
  return [line(COLUMNS), line(rule), ...rows, '', ...remarks(results).map((it) => `- ${it}`)].join(
    '\n'
  )
}

/** What a table cannot say: errors, wrong answers, how each was used. */
export function remarks(results: readonly PeerResult[]): string[] {
  return [...readiness(results), ...results.flatMap(remarksOn)]
}

/** How long the store takes until it can be searched, against the vectors' index alone. */
function readiness(results: readonly PeerResult[]): string[] {
  const [ours, usearch] = ['ours', 'usearch'].map((name) => {
    const load = results.find((result) => result.name === name)?.load
    return load === undefined || 'error' in load ? undefined : load.readySeconds
  })
  if (ours === undefined || usearch === undefined) return []
  const times = digits(ours / usearch)
  const seconds = `${digits(ours)} s and ${digits(usearch)} s`
  return [
    `Loaded and ready to search: ${times} times as long as usearch builds alone (${seconds}).`
  ]
}

function remarksOn(result: PeerResult): string[] {
  const { title, versions, durability, note, skipped, load, tasks, reopen, trouble } = result
  if (skipped !== undefined) return [`${title}: skipped, ${skipped}`]
  const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const lines = [`${title} (${used.join(', ')}): ${note}. On disk: ${durability}.`]
  const told = (what: string, outcome: object | undefined): void => {
    if (outcome === undefined) return
    if ('error' in outcome) lines.push(`${title}, ${what}, failed: ${outcome.error}`)
    if ('wrong' in outcome && outcome.wrong !== 0 && 'example' in outcome) {
      lines.push(`${title}, ${what}: ${outcome.wrong} answers are wrong: ${outcome.example}`)
    }
  }
  told('load', load)
  for (const [task, outcome] of Object.entries(tasks)) {
    told(task, outcome)
    if ('asked' in outcome && outcome.asked < outcome.of) {
      lines.push(`${title}, ${task}: the time was up after ${outcome.asked} of ${outcome.of}`)
    }
  }
  told('reopen', reopen)
  // Some engines draw pictures with their errors.
  return [...lines, ...trouble.map((text) => `${title}: ${text}`)].map((line) =>
    line.replace(/\s+/g, ' ')
  )
}

function cellsOf(result: PeerResult): string[] {
  const { title, skipped, load, reopen, servePeakBytes } = result
  const rest = COLUMNS.length - 1
  if (skipped !== undefined) return [title, ...Array<string>(rest).fill('skipped')]
  if (load === undefined || 'error' in load) return [title, ...Array<string>(rest).fill('error')]
  const hop = us(({ p50Us }) => digits(p50Us))
  const path = us(({ p50Us }) => digits(p50Us / 1000))
  const get = us(({ p50Us, p99Us }) => `${digits(p50Us)} / ${digits(p99Us)}`)
  const knn = us(
    ({ p50Us, recall, ef }) =>
      `${digits(p50Us / 1000)} @ ${(recall ?? 0).toFixed(3)}` +
      (ef === undefined ? '' : ` (ef ${ef})`)
  )
  return [
    title,
    digits(load.seconds),
    cell(result, 'get', get),
    cell(result, 'hop', hop),
    cell(result, 'path', path),
    cell(result, 'knn', knn),
    first(reopen),
    (load.diskBytes / 1e6).toFixed(0),
    `${mb(load.peakBytes)} / ${servePeakBytes === undefined ? NONE : mb(servePeakBytes)}`
  ]
}

type Show = (answers: Answers) => string

function us(show: Show): Show {
  return (answers) => `${show(answers)}${answers.wrong > 0 ? ' WRONG' : ''}`
}

function cell({ tasks }: PeerResult, task: Task, show: Show): string {
  const outcome = tasks[task]
  if (outcome === undefined || 'cannot' in outcome) return NONE
  return 'error' in outcome ? 'error' : show(outcome)
}

function first(reopen: PeerResult['reopen']): string {
  if (reopen === undefined) return NONE
  if ('error' in reopen) return 'error'
  const question = reopen.task === 'knn' ? '' : ' (get)'
  return `${reopen.seconds.toFixed(2)}${question}${reopen.wrong > 0 ? ' WRONG' : ''}`
}

function digits(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return value.toFixed(value >= 10 ? 1 : 2)
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}

function pad(text: string, width: number, isName: boolean): string {
  const spaces = ' '.repeat(Math.max(0, width - [...text].length))
  return isName ? text + spaces : spaces + text
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|')
}
