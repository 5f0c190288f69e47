/**
 * The table of options in README.md, made from the rules that `open` checks by.
 *
 *   npm run docs     writes it between its markers; test/readme.test.ts compares
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { CHOICE_RULES, NUMBER_RULES } from '#sutra/options.js'

export const BEGIN = '<!-- options: made by `npm run docs`, do not edit -->'
export const END = '<!-- /options -->'

type Rules = typeof NUMBER_RULES & typeof CHOICE_RULES

/** What each option is for. One that has no sentence here is a type error. */
const PURPOSE: Readonly<Record<keyof Rules, string>> = {
  durability: 'when a commit is acknowledged, unless the commit says otherwise',
  durabilityIntervalMs: 'with `interval`: how soon an acknowledged commit is on disk',
  diskReserveBytes:
    'free bytes below which writes are refused; at most a sixteenth of the disk; 0: never',
  scrubBytesPerSec: 'how fast the files are checked in the background; 0: not at all',
  'vectors.dimensions': 'numbers in every embedding; fixed once declared',
  'vectors.metric': 'how embeddings are compared; fixed once declared',
  'vectors.quantization': 'numbers of the graph alone; fixed once declared',
  'vectors.connectivity': 'neighbours of a node of the graph; fixed once declared',
  'vectors.expansionAdd': 'care taken when a vector is added; fixed once declared',
  'vectors.expansionSearch': 'care taken when searching; may differ at every open',
  'vectors.cacheBytes': 'memory for exact vectors that are in files too; may differ at every open',
  'cache.bytes': 'memory for ids, for rows that were read and for blocks of the tables',
  'telemetry.metricsMs': 'from one `metrics` event to the next, while somebody watches; 0: none',
  'telemetry.slowMs': 'then a `slow-operation` is told of, bulk work at ten times that; 0: never',
  'telemetry.windowMs': 'how far back the recent latencies of `stats()` reach',
  'telemetry.store.keepMs':
    'how long kept telemetry stays: an open store reads nothing older, and at most an eighth more is on disk; what was there when it closed stays until the next open',
  'telemetry.store.maxBytes': 'kept telemetry on disk; beyond it the oldest is removed',
  'telemetry.store.summaryMs': 'commits, reads and batches are kept as sums of so long a time',
  'limits.contentBytes': 'of `content`, and of `data`',
  'limits.metadataBytes': 'of metadata, encoded; of the headers of a commit',
  'limits.keyBytes': 'of a key, a type, an idempotency key, a subject',
  'limits.commitCommands': 'in one commit',
  'limits.commitBytes': 'in one commit, estimated before it is encoded',
  'limits.pathDepth': 'the greatest `maxDepth` of a path search',
  'limits.pathExplored': 'reached by one path search',
  'limits.searchK': 'the greatest `k` of a search',
  'pipeline.intervalMs.min': 'between two batches when much is waiting',
  'pipeline.intervalMs.base': 'between two batches at first',
  'pipeline.intervalMs.max': 'between two batches when nothing is urgent',
  'pipeline.queueEventsMax':
    'acknowledged, but not in the tables yet; then writers wait. A commit of more than so many comes alone, once there are none',
  'pipeline.queueBytesMax': 'the same, by their encoded size',
  'pipeline.batchEventsMax': 'projected in one atomic batch, about',
  'pipeline.emaAlpha': 'weight of the newest sample in moving averages',
  'pipeline.warnAt': 'part of the queue at which a warning is given'
}

const NO_DEFAULT: readonly string[] = ['vectors.dimensions']

export function optionsTable(): string {
  const rows = Object.entries(PURPOSE).map(([name, purpose]) => {
    const [value, allowed] = isNumber(name) ? numberCells(name) : choiceCells(name)
    return `| \`${name}\` | ${value} | ${allowed} | ${purpose} |`
  })
  return ['| option | default | allowed | what it is |', '| --- | --- | --- | --- |', ...rows].join(
    '\n'
  )
}

function isNumber(name: string): name is keyof typeof NUMBER_RULES {
  return name in NUMBER_RULES
}

/** Some limits are small. */
const DIGITS = { maximumFractionDigits: 6 }

function numberCells(name: keyof typeof NUMBER_RULES): [string, string] {
  const { value, min, max, unit } = NUMBER_RULES[name]
  const shown = NO_DEFAULT.includes(name) ? 'none' : amount(value, unit)
  const from = unit === 'bytes' ? amount(min, unit) : min.toLocaleString('en-US', DIGITS)
  return [shown, `${from} to ${amount(max, unit)}`]
}

function choiceCells(name: string): [string, string] {
  // Whatever is no number is a choice: `PURPOSE` has no other names.
  const { value, choices } = CHOICE_RULES[name as keyof typeof CHOICE_RULES]
  return [`\`${value}\``, choices.map((choice) => `\`${choice}\``).join(', ')]
}

function amount(value: number, unit: string): string {
  if (unit === 'fraction') return String(value)
  if (unit !== 'bytes') return `${value.toLocaleString('en-US')} ${unit}`
  if (value % 2 ** 30 === 0) return `${value / 2 ** 30} GiB`
  if (value % 2 ** 20 === 0) return `${value / 2 ** 20} MiB`
  if (value % 2 ** 10 === 0) return `${value / 2 ** 10} KiB`
  return `${value} ${value === 1 ? 'byte' : 'bytes'}`
}

/** The README with the table that the rules give today. */
export function withOptionsTable(readme: string): string {
  const [before, rest] = readme.split(`${BEGIN}\n`)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error('README.md lacks the markers')
  return `${before}${BEGIN}\n\n${optionsTable()}\n\n${END}${after}`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync('README.md', withOptionsTable(readFileSync('README.md', 'utf8')))
}
