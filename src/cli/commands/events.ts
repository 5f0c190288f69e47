import type { Command } from 'commander'
import { EVENT_TYPES, type EventsOptions, type StoredEvent } from '../../index.ts'
import { collect, given, onStore, toId, toInteger } from '../arguments.ts'
import { follow } from '../follow.ts'
import { checkKnown } from '../known.ts'
import { type Cell, formatCount, formatTime, type Style, toJson } from '../output.ts'
import type { Printer } from '../printer.ts'
import { type Session, type StoreFlags, UsageError } from '../session.ts'
import { look, type Source } from '../source.ts'
import { positionAt, toTime } from '../times.ts'
import { edges, type Line, left, paintLine, right } from '../watch/pieces.ts'

interface Flags extends StoreFlags {
  follow?: true
  from?: number
  to?: number
  since?: number
  until?: number
  last?: number
  type?: string[]
  types?: string[]
  concept?: string
  key?: string
  subject?: string
}

/** Rows laid out together: enough to align them, few enough to print soon. */
const ROWS = 256

export function addEvents(program: Command, session: Session): void {
  onStore(program.command('events'))
    .description('Print the events of the log')
    .option('--follow', 'go on with what is committed later, by any process, until Ctrl-C')
    .option('--from <position>', 'first position; 0 is the beginning, as 1 is', toInteger)
    .option('--to <position>', 'last position', toInteger)
    .option('--since <time>', 'only events from then on: 15m, 2h, 3d or a date', toPast)
    .option('--until <time>', 'only events until then', toPast)
    .option('--last <count>', 'begin so many positions before the end', toInteger)
    .option('--type <name>', 'only events of this type; may be given several times', collect)
    .option('--types <names>', 'the same for several, with commas between them', toNames)
    .option('--concept <id-or-key>', 'only events of this concept, associations included')
    .option('--key <key>', 'the same, for a key that looks like an id')
    .option('--subject <name>', 'only events of commits with this subject')
    .action(async (flags: Flags) => {
      check(flags)
      const print = printerOf(session.printer, flags, session.isTerminal)
      const take = async (event: StoredEvent): Promise<void> => {
        if (isWanted(event, flags)) await print.take(event)
      }
      if (flags.follow) {
        await follow(session, flags, async (source) => optionsOf(source, flags, session), take)
      } else {
        await look(session, flags, async (source) => {
          const options = await optionsOf(source, flags, session)
          for await (const event of source.events({ ...options, signal: session.signal })) {
            if (flags.until !== undefined && event.time > flags.until) break
            await take(event)
          }
        })
      }
      await print.end()
    })
}

/** @throws UsageError */
function check(flags: Flags): void {
  const { from, to, since, last, concept, key, follow: live, until } = flags
  const names = namesIn(flags)
  if (names?.length === 0) throw new UsageError('--types names no type of event')
  checkKnown('--type', names ?? [], EVENT_TYPES)
  if (to === 0) throw new UsageError('--to is a position, and positions begin at 1')
  if (from !== undefined && to !== undefined && from > to) {
    throw new UsageError('--from is behind --to')
  }
  const begins = [from, since, last].filter((one) => one !== undefined)
  if (begins.length > 1) throw new UsageError('Give one of --from, --since and --last')
  if (concept !== undefined && key !== undefined) {
    throw new UsageError('Give one of --concept and --key')
  }
  if (live && until !== undefined) throw new UsageError('--follow does not end at a time')
}

async function optionsOf(source: Source, flags: Flags, session: Session): Promise<EventsOptions> {
  const { to, concept, key } = flags
  const id = key !== undefined ? { key } : concept !== undefined ? toId(concept) : undefined
  return given({
    from: await firstPosition(source, flags, session),
    to,
    types: namesIn(flags),
    concept: id
  })
}

function namesIn({ type, types }: Flags): string[] | undefined {
  return type === undefined && types === undefined ? undefined : [...(type ?? []), ...(types ?? [])]
}

async function firstPosition(
  source: Source,
  { from, since, last }: Flags,
  { signal }: Session
): Promise<number | undefined> {
  if (since !== undefined) return positionAt(source, since, signal)
  if (last === undefined) return from
  const { position } = await source.stats({ signal })
  return Math.max(1, position - last + 1)
}

function isWanted({ subject, time }: StoredEvent, flags: Flags): boolean {
  if (flags.subject !== undefined && subject !== flags.subject) return false
  return flags.until === undefined || time <= flags.until
}

function toPast(text: string): number {
  return toTime(text)
}

function toNames(text: string, before: readonly string[] = []): string[] {
  const names = text.split(',').map((name) => name.trim())
  return [...before, ...names.filter((name) => name !== '')]
}

interface EventPrinter {
  take(event: StoredEvent): Promise<void>
  end(): Promise<void>
}

/** Who follows without looking is a program: it gets JSON. */
function printerOf(printer: Printer, flags: Flags, isTerminal: boolean): EventPrinter {
  if (flags.json || (flags.follow && !isTerminal))
    return jsonPrinter(printer, flags.follow === true)
  return flags.follow ? livePrinter(printer) : tablePrinter(printer)
}

function jsonPrinter(printer: Printer, live: boolean): EventPrinter {
  return {
    async take(event) {
      await printer.json(event)
      if (live) await printer.flush()
    },
    end: async () => printer.flush()
  }
}

function tablePrinter(printer: Printer): EventPrinter {
  let rows: Cell[][] = []
  const print = async (): Promise<void> => {
    await printer.table(rows)
    await printer.flush()
    rows = []
  }
  return {
    async take(event) {
      rows.push(row(event))
      if (rows.length === ROWS) await print()
    },
    end: print
  }
}

/** One line at a time, so its columns are those of any line. */
function livePrinter(printer: Printer): EventPrinter {
  return {
    async take(event) {
      await printer.line(liveRow(event, printer))
      await printer.flush()
    },
    end: async () => printer.flush()
  }
}

const POSITION_COLUMNS = 11
const TYPE_COLUMNS = 22
/** Below this many columns the date is left out. */
const DATED_COLUMNS = 100

function liveRow({ position, time, type, data, subject }: StoredEvent, { wide }: Printer): string {
  const full = formatTime(time)
  const shown = wide.width < DATED_COLUMNS ? full.slice(11) : full
  // Content may have millions of characters, of which a line has room for a few.
  const content = summarise(type, data).slice(0, wide.width)
  const line: Line = [
    right(formatCount(position), POSITION_COLUMNS, 'dim'),
    { text: `  ${shown}  `, style: 'dim' },
    left(type, TYPE_COLUMNS, styleOf(type)),
    { text: `  ${content}` }
  ]
  const who: Line = subject === undefined ? [] : [{ text: `  ${subject}`, style: 'dim' }]
  return paintLine(edges(line, who, wide.width), wide)
}

/** New things in one colour, what goes away in another. */
function styleOf(type: string): Style {
  if (/-(learned|created|declared)$/.test(type)) return 'good'
  if (/-(forgotten|removed|quarantined)$/.test(type)) return 'bad'
  return type.endsWith('-reinforced') ? 'name' : 'link'
}

function row({ position, time, type, data }: StoredEvent): Cell[] {
  return [
    { text: formatCount(position), style: 'dim', align: 'right' },
    { text: formatTime(time), style: 'dim' },
    { text: type, style: styleOf(type) },
    { text: summarise(type, data) }
  ]
}

/** What an event says in one line. The data of unknown types is shown as it is. */
function summarise(type: string, data: Record<string, unknown>): string {
  if (type.startsWith('association-')) {
    const source = data['sourceKey'] ?? data['source']
    const target = data['targetKey'] ?? data['target']
    return `${String(source)} → ${String(data['type'])} → ${String(target)}`
  }
  if (type.startsWith('concept-')) {
    const content = data['content']
    const name = String(data['key'] ?? data['id'])
    return typeof content === 'string' ? `${name}  ${content}` : name
  }
  return toJson(data)
}
