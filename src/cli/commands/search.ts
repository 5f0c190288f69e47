import type { Command } from 'commander'
import type {
  Match,
  Related,
  ScoreWeights,
  SearchOptions,
  SearchQuery,
  Where
} from '../../index.ts'
import {
  collect,
  given,
  isDecimal,
  onStore,
  toId,
  toInteger,
  toNumber,
  toPath,
  toVector
} from '../arguments.ts'
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
  ef?: number
  recall?: number
  where?: string
  weight?: string[]
  hops?: number
  type?: string[]
}

export function addSearch(program: Command, session: Session): void {
  onStore(program.command('search'))
    .description('Find the concepts whose meaning is nearest')
    .argument('[text]', 'what to look for; needs --embed')
    .option('--like <id-or-key>', 'near this concept')
    .option('--vector <json>', 'near this vector: a JSON array, or a file that holds one', toPath)
    .option(
      '--embed <module>',
      'an ES module whose export `embed` turns texts into vectors',
      toPath
    )
    .option('-k, --limit <count>', 'how many', toInteger, 10)
    .option('--min-similarity <number>', 'only matches at least this similar', toNumber)
    .option('--where <json>', 'only concepts that pass this filter')
    .option('--exact', 'compare with every vector instead of asking the index')
    .option('--ef <count>', 'candidates that the index considers', toInteger)
    .option('--recall <share>', 'as many as reached this in `vectors check`', toNumber)
    .option(
      '--weight <part=number>',
      'rank by similarity, strength, confidence, recency; may be repeated',
      collect
    )
    .option('--hops <count>', 'show what the matches are associated with, so far away', toInteger)
    .option('--type <name>', 'with --hops: only by these associations; may be repeated', collect)
    .action(async (text: string | undefined, flags: Flags) => {
      const query = await toQuery(text, flags)
      const { dir, limit, embed: module, minSimilarity, exact } = flags
      const chosen = given({ minSimilarity, exact, ...toChosen(flags) })
      const embed = module && (await loadEmbed(module, { directory: dir }))
      const search = async (store: Parameters<Parameters<Session['read']>[1]>[0]) => {
        const matches = await store.search(query, {
          k: limit,
          ...chosen,
          include: ['concept'],
          signal: session.signal
        })
        if (flags.json) for (const match of matches) await session.printer.json(match)
        else if (matches.length === 0) await session.printer.line('No matches', 'dim')
        else await session.printer.table(matches.flatMap(rows))
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

type Chosen = Pick<SearchOptions, 'ef' | 'where' | 'score' | 'expand'>

function toChosen(flags: Flags): { [K in keyof Chosen]: Chosen[K] | undefined } {
  const { ef, recall, where, weight, hops, type: types } = flags
  if (ef !== undefined && recall !== undefined) {
    throw new UsageError('search takes one of: --ef, --recall')
  }
  if (types !== undefined && hops === undefined) throw new UsageError('--type goes with --hops')
  return {
    ef: recall === undefined ? ef : { recall },
    where: where === undefined ? undefined : toWhere(where),
    score: weight === undefined ? undefined : toWeights(weight),
    expand: hops === undefined ? undefined : { hops, ...given({ types }) }
  }
}

function toWhere(text: string): Where {
  try {
    // The store checks what it says.
    return JSON.parse(text) as Where
  } catch (cause) {
    throw new UsageError('--where is not valid JSON', { cause })
  }
}

function toWeights(texts: readonly string[]): ScoreWeights {
  const weights = texts.map((text) => {
    const [name = '', value = '', ...rest] = text.split('=')
    const number = isDecimal(value) ? Number(value) : Number.NaN
    if (name !== '' && value.trim() !== '' && rest.length === 0) return [name, number]
    throw new UsageError(`--weight must be a part and a number, as in strength=0.5: ${text}`)
  })
  // Names and numbers are for the store to check, as those of any caller.
  return Object.fromEntries(weights) as ScoreWeights
}

function rows(match: Match): Cell[][] {
  const { id, key, score, concept, related = [] } = match
  const own: Cell[] = [
    { text: formatShare(score), style: 'good', align: 'right' },
    { text: key ?? id, style: 'name' },
    { text: concept?.content ?? '' }
  ]
  return [own, ...related.map(relatedRow)]
}

function relatedRow({ id, key, strength, via, concept }: Related): Cell[] {
  const way = via.map(({ type }) => type).join(' › ')
  return [
    { text: formatShare(strength), style: 'dim', align: 'right' },
    { text: `  ${key ?? id}`, style: 'link' },
    { text: `${way}: ${concept?.content ?? ''}`, style: 'dim' }
  ]
}
