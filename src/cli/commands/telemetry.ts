import type { Command } from 'commander'
import {
  attach,
  isStoreError,
  readTelemetry,
  type StoredTelemetryOptions,
  TELEMETRY_KINDS,
  type TelemetryEvent
} from '../../index.ts'
import { collect, given, onStore, toInteger } from '../arguments.ts'
import { checkKnown } from '../known.ts'
import { type Cell, formatTime } from '../output.ts'
import { type Session, type StoreFlags, UsageError, warn } from '../session.ts'
import { attachTo } from '../source.ts'
import { describe, nameOf, styleOf } from '../telemetry-line.ts'
import { toTime } from '../times.ts'
import { left, paintLine } from '../watch/pieces.ts'

interface Flags extends StoreFlags {
  since?: number
  until?: number
  type?: string[]
  limit?: number
  last?: number
  follow?: true
}

const NAME_COLUMNS = 22
/** Below this many columns the date is left out. */
const DATED_COLUMNS = 100
/** Nobody reads more, and they are held in memory. */
const LAST_MAX = 100_000

export function addTelemetry(program: Command, session: Session): void {
  onStore(program.command('telemetry'))
    .description(
      'Print the telemetry that a store has kept, opened with { telemetry: { store: true } }'
    )
    .option('--since <time>', 'only events from then on: 30s, 15m, 2h, 7d or a date', toPast)
    .option('--until <time>', 'only events until then', toPast)
    .option(
      '--type <names>',
      'only these kinds, with commas between; alert is all of alert-…',
      collect
    )
    .option('--limit <count>', 'the first events at most', toInteger)
    .option('--last <count>', 'the last events at most', toInteger)
    .option('--follow', 'go on with what is kept later, until Ctrl-C; see { attach: true }')
    .action(async (flags: Flags) => run(session, flags))
}

async function run(session: Session, flags: Flags): Promise<void> {
  check(flags)
  const options = optionsOf(session, flags)
  const { last } = flags
  const kept: TelemetryEvent[] = []
  for await (const event of sourceOf(session, flags, options)) {
    if (last === undefined) await print(session, flags, event)
    else if (kept.push(event) > last) kept.shift()
  }
  for (const event of kept) await print(session, flags, event)
  await session.printer.flush()
}

/** @throws UsageError */
function check({ since, until, limit, last, follow }: Flags): void {
  if (limit === 0 || last === 0) throw new UsageError('--limit and --last begin at 1')
  if (limit !== undefined && last !== undefined)
    throw new UsageError('Give one of --limit and --last')
  if (last !== undefined && last > LAST_MAX) throw new UsageError(`--last goes up to ${LAST_MAX}`)
  if (follow && last !== undefined) throw new UsageError('--last is not for --follow: give --since')
  if (follow && until !== undefined) throw new UsageError('--follow does not end at a time')
  if (since !== undefined && until !== undefined && since > until) {
    throw new UsageError('--since is later than --until')
  }
}

function optionsOf(
  { signal }: Session,
  { since, until, type, limit, follow }: Flags
): StoredTelemetryOptions {
  const names = type?.flatMap((list) => list.split(',')).map((name) => name.trim())
  const types = names?.filter((name) => name !== '')
  if (types?.length === 0) throw new UsageError('--type names no kind of telemetry')
  checkKnown('--type', types ?? [], TELEMETRY_KINDS, (name) =>
    TELEMETRY_KINDS.some((kind) => kind === name || kind.startsWith(`${name}-`))
  )
  return {
    ...given({ since, until, types, limit, live: follow }),
    signal,
    onUnreadable: (segment, { message }) => warn(`${segment} is passed over: ${message}`)
  }
}

/** What was kept, from the files or from the process that keeps it now. */
async function* sourceOf(
  { signal }: Session,
  { dir, follow }: Flags,
  options: StoredTelemetryOptions
): AsyncGenerator<TelemetryEvent, void> {
  if (follow) {
    await using attached = await attach(dir, { signal })
    // Ctrl-C is how following ends.
    yield* untilAborted(attached.storedTelemetry(options), signal)
    return
  }
  let isFirst = true
  try {
    for await (const event of readTelemetry(dir, options)) {
      isFirst = false
      yield event
    }
  } catch (error) {
    // It says so before the first event, unless somebody else reads an older part just now.
    if (!isFirst || !isStoreError(error, 'STORE_LOCKED')) throw error
    await using attached = await attachTo(dir, error, signal)
    yield* attached.storedTelemetry(options)
  }
}

async function* untilAborted(
  events: AsyncIterable<TelemetryEvent>,
  signal: AbortSignal
): AsyncGenerator<TelemetryEvent, void> {
  try {
    yield* events
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function print({ printer }: Session, flags: Flags, event: TelemetryEvent): Promise<void> {
  if (flags.json) {
    await printer.json(event)
  } else {
    const { wide } = printer
    const time = formatTime(event.time)
    const cells: Cell[] = [
      { text: wide.width < DATED_COLUMNS ? time.slice(11) : time, style: 'dim' },
      { text: '  ' },
      left(nameOf(event), NAME_COLUMNS, styleOf(event)),
      { text: `  ${describe(event).slice(0, wide.width)}` }
    ]
    await printer.line(paintLine(cells, wide))
  }
  if (flags.follow) await printer.flush()
}

function toPast(text: string): number {
  return toTime(text)
}
