import type { Command } from 'commander'
import type { StoredEvent } from '../../index.ts'
import { collect, given, onStore, toId, toInteger } from '../arguments.ts'
import { type Cell, formatCount, formatTime, toJson } from '../output.ts'
import type { Session, StoreFlags } from '../session.ts'

interface Flags extends StoreFlags {
  follow?: true
  from?: number
  to?: number
  type?: string[]
  concept?: string
}

/** Rows laid out together: enough to align them, few enough to print soon. */
const ROWS = 256

export function addEvents(program: Command, session: Session): void {
  onStore(program.command('events'))
    .description('Print the events of the log')
    .option('--from <position>', 'first position', toInteger)
    .option('--to <position>', 'last position', toInteger)
    .option('--type <name>', 'only events of this type; may be given several times', collect)
    .option('--concept <id-or-key>', 'only events of this concept')
    .option('--follow', 'go on with what is committed later, until Ctrl-C')
    .action(async (flags: Flags) => {
      const { follow: live, from, to, type: types } = flags
      const concept = flags.concept === undefined ? undefined : toId(flags.concept)
      const options = given({ live, from, to, types, concept })
      await session.read(flags, async (store) => {
        const events = store.events({ ...options, signal: session.signal })
        if (flags.json) await printJson(events, session, live === true)
        else await printRows(events, session, live === true)
      })
    })
}

async function printJson(
  events: AsyncIterable<StoredEvent>,
  { printer }: Session,
  live: boolean
): Promise<void> {
  for await (const event of events) {
    await printer.json(event)
    if (live) await printer.flush()
  }
}

async function printRows(
  events: AsyncIterable<StoredEvent>,
  { printer }: Session,
  live: boolean
): Promise<void> {
  let rows: Cell[][] = []
  const print = async () => {
    await printer.table(rows)
    await printer.flush()
    rows = []
  }
  for await (const event of events) {
    rows.push(row(event))
    if (live || rows.length === ROWS) await print()
  }
  await print()
}

function row({ position, time, type, data }: StoredEvent): Cell[] {
  return [
    { text: formatCount(position), style: 'dim', align: 'right' },
    { text: formatTime(time), style: 'dim' },
    { text: type, style: 'link' },
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
