import type { Command } from 'commander'
import { type Concept, StoreError } from '../../index.ts'
import { onStore, toId } from '../arguments.ts'
import { formatShare, formatTime, toJson } from '../output.ts'
import type { Session, StoreFlags } from '../session.ts'

export function addGet(program: Command, session: Session): void {
  onStore(program.command('get'))
    .description('Show one concept')
    .argument('<id-or-key>', 'a key, or an id of 32 hex digits')
    .option('--vector', 'show its embedding, too')
    .action(async (idOrKey: string, flags: StoreFlags & { vector?: true }) => {
      const id = toId(idOrKey)
      await session.read(flags, async (store) => {
        const include = flags.vector ? (['vector'] as const) : []
        const concept = await store.get(id, { include, signal: session.signal })
        if (concept === undefined) throw notFound(idOrKey)
        if (flags.json) await session.printer.json(concept)
        else await session.printer.fields(describe(concept))
      })
    })
}

export function notFound(idOrKey: string): StoreError<'CONCEPT_NOT_FOUND'> {
  const id = toId(idOrKey)
  const details = typeof id === 'string' ? { id } : { id: '', key: id.key }
  return new StoreError('CONCEPT_NOT_FOUND', `There is no concept '${idOrKey}'`, details)
}

function describe(concept: Concept): [string, string][] {
  const entries: [string, string | undefined][] = [
    ['key', concept.key],
    ['id', concept.id],
    ['type', concept.type],
    ['content', concept.content],
    ['stub', concept.stub && 'made by an import for an association, not learned yet'],
    ['data', concept.data && `${concept.data.byteLength} bytes`],
    ...Object.entries(concept.metadata).map(([name, value]): [string, string] => [
      `.${name}`,
      inline(value)
    ]),
    ['strength', formatShare(concept.strength)],
    ['confidence', formatShare(concept.confidence)],
    ['vector', concept.vector ? concept.vector.join(' ') : concept.hasVector ? 'yes' : 'none'],
    ['version', `${concept.version}, at position ${concept.position}`],
    ['learned', formatTime(concept.createdAt)],
    ['changed', formatTime(concept.updatedAt)]
  ]
  return entries.filter((entry): entry is [string, string] => entry[1] !== undefined)
}

function inline(value: unknown): string {
  return typeof value === 'string' ? value : toJson(value)
}
