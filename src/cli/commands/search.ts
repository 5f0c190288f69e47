import type { Command } from 'commander'
import type { Match, SearchQuery } from '../../index.ts'
import { given, onStore, toId, toInteger, toNumber, toVector } from '../arguments.ts'
import { loadEmbed } from '../embed-module.ts'
import { type Cell, formatShare } from '../output.ts'
import { type Session, type StoreFlags, UsageError } from '../session.ts'

interface Flags extends StoreFlags {
  like?: string
  vector?: string
  embed?: string
  limit: number
  minSimilarity?: number
  exact?: true
}

export function addSearch(program: Command, session: Session): void {
  onStore(program.command('search'))
    .description('Find the concepts whose meaning is nearest')
    .argument('[text]', 'what to look for; needs --embed')
    .option('--like <id-or-key>', 'near this concept')
    .option('--vector <json>', 'near this vector: a JSON array, or a file that holds one')
    .option('--embed <module>', 'an ES module whose export `embed` turns texts into vectors')
    .option('-k, --limit <count>', 'how many', toInteger, 10)
    .option('--min-similarity <number>', 'only matches at least this similar', toNumber)
    .option('--exact', 'compare with every vector instead of asking the index')
    .action(async (text: string | undefined, flags: Flags) => {
      const query = await toQuery(text, flags)
      const { dir, limit, embed: module, minSimilarity, exact } = flags
      const embed = module && (await loadEmbed(module, { directory: dir }))
      const search = async (store: Parameters<Parameters<Session['read']>[1]>[0]) => {
        const matches = await store.search(query, {
          k: limit,
          ...given({ minSimilarity, exact }),
          include: ['concept'],
          signal: session.signal
        })
        if (flags.json) for (const match of matches) await session.printer.json(match)
        else if (matches.length === 0) await session.printer.line('No matches', 'dim')
        else await session.printer.table(matches.map(row))
      }
      await session.read(flags, search, embed ? { embed } : {})
    })
}

async function toQuery(text: string | undefined, flags: Flags): Promise<SearchQuery> {
  const { like, vector, embed } = flags
  const ways = [text, like, vector].filter((way) => way !== undefined)
  if (ways.length !== 1) throw new UsageError('search takes one of: a text, --like, --vector')
  if (like !== undefined) return { like: toId(like) }
  if (vector !== undefined) return { vector: await toVector(vector) }
  if (embed === undefined) {
    throw new UsageError(
      'a text cannot be searched without the function that embedded the store: name its module ' +
        'with --embed, or search with --like <key> or --vector <json>'
    )
  }
  return { text: text ?? '' }
}

function row({ id, key, score, similarity, concept }: Match): Cell[] {
  return [
    { text: formatShare(similarity ?? score), style: 'good', align: 'right' },
    { text: key ?? id, style: 'name' },
    { text: concept?.content ?? '' }
  ]
}
