import type { Concept, Path, Store, Where } from 'sutra-storage'
import { milliseconds, number, type Screen, shorten, WIDTH } from './screen.ts'
import { timed } from './timed.ts'

const NAMES_WIDTH = 110
const RECALL_SAMPLES = 50
const RECALL_K = 10

/** Finds a concept by its metadata, as someone would who does not know WordNet's offsets. */
export async function findWord(
  store: Store,
  lemma: string,
  lexicographer: string
): Promise<Concept> {
  const where: Where = { and: [{ lemmas: { contains: lemma } }, { lexicographer }] }
  for await (const concept of store.concepts({ where })) {
    if (lemmasOf(concept)[0] === lemma) return concept
  }
  throw new Error(`WordNet has no '${lemma}' in ${lexicographer}`)
}

export async function showNeighbours(
  screen: Screen,
  store: Store,
  concept: Concept
): Promise<void> {
  screen.heading(`What "${name(concept)}" is associated with`)
  screen.text(shorten(concept.content, 2 * WIDTH - 8))
  const started = performance.now()
  const associations = await store.neighbors(concept.id, { limit: 1000, include: ['concept'] })
  const elapsed = performance.now() - started

  const byType = new Map<string, string[]>()
  for (const { type, concept: other } of associations) {
    if (other === undefined) continue
    byType.set(type, [...(byType.get(type) ?? []), name(other)])
  }
  for (const [type, names] of byType) screen.fact(type, someOf(names))
  screen.fact(
    'read in',
    `${milliseconds(elapsed)} (${associations.length} associations with their concepts)`
  )
  screen.check('neighbours were found', associations.length > 0)
}

export async function showPath(
  screen: Screen,
  store: Store,
  source: Concept,
  target: Concept
): Promise<void> {
  screen.heading(`The shortest way from "${name(source)}" to "${name(target)}"`)
  const started = performance.now()
  const path = await store.findPath(source.id, target.id, { maxDepth: 10 })
  const elapsed = performance.now() - started
  if (path !== undefined) await printPath(screen, store, path)
  screen.fact('found in', milliseconds(elapsed))
  const ends = [path?.concepts[0], path?.concepts.at(-1)]
  screen.check('the way starts and ends there', ends[0] === source.id && ends[1] === target.id)
}

async function printPath(screen: Screen, store: Store, path: Path): Promise<void> {
  const concepts = await store.getMany(path.concepts)
  concepts.forEach((concept, i) => {
    const relation = path.associations[i - 1]?.type
    const arrow = relation === undefined ? '' : `--${relation}--> `
    const text = `${arrow}${concept === undefined ? '?' : concept.content}`
    screen.line(shorten(`  ${'  '.repeat(i)}${text}`, WIDTH))
  })
}

interface Question {
  sentence: string
  where?: Where
  only?: string
}

const QUESTIONS: readonly Question[] = [
  { sentence: 'a person who makes shoes' },
  { sentence: 'heavy rain with thunder and lightning' },
  { sentence: 'to sleep through the winter' },
  { sentence: 'a very small dog', where: { lexicographer: 'noun.animal' }, only: 'animals' },
  { sentence: 'to cook in hot oil', where: { '@type': 'verb' }, only: 'verbs' }
]

export async function showSearch(screen: Screen, store: Store): Promise<void> {
  screen.heading('Searching by meaning: sentences that stand in no gloss')
  let answered = 0
  for (const { sentence, where, only } of QUESTIONS) {
    const started = performance.now()
    const options = where === undefined ? {} : { where }
    const matches = await store.search(sentence, { k: 3, include: ['concept'], ...options })
    const elapsed = milliseconds(performance.now() - started)
    const asked = `"${sentence}"${only === undefined ? '' : `, ${only} only`}`
    screen.line(`  ${asked.padEnd(WIDTH - 2 - elapsed.length)}${elapsed}`)
    for (const { similarity = 0, concept } of matches) {
      screen.line(`    ${similarity.toFixed(2)}  ${shorten(concept?.content ?? '?', WIDTH - 10)}`)
    }
    if (matches.length === 3) answered++
  }
  screen.check(
    `${answered} of ${QUESTIONS.length} sentences answered`,
    answered === QUESTIONS.length
  )
}

/** Compares what the graph finds with what looking at every vector finds. */
export async function showRecall(
  screen: Screen,
  store: Store,
  keys: readonly string[]
): Promise<void> {
  const every = Math.ceil(keys.length / RECALL_SAMPLES)
  const samples = keys.filter((_, i) => i % every === 0)
  let [found, fast, slow] = [0, 0, 0]
  for (const key of samples) {
    const concept = await store.get({ key })
    const query = glossOf(concept)
    const near = await timed(() => store.search(query, { k: RECALL_K }))
    const nearest = await timed(() => store.search(query, { k: RECALL_K, exact: true }))
    const ids = new Set(nearest.value.map(({ id }) => id))
    found += near.value.filter(({ id }) => ids.has(id)).length
    fast += near.ms / samples.length
    slow += nearest.ms / samples.length
  }
  const percent = number((100 * found) / (samples.length * RECALL_K))
  screen.fact(
    'recall',
    `${percent} % of the ${RECALL_K} nearest, in ${milliseconds(fast)} instead of ` +
      `${milliseconds(slow)} for an exact search (mean of ${samples.length} glosses)`
  )
}

function someOf(names: readonly string[]): string {
  let shown = 0
  let width = 0
  for (const one of names) {
    width += one.length + 2
    if (width > NAMES_WIDTH) break
    shown++
  }
  const more = names.length - shown
  return names.slice(0, shown).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function lemmasOf(concept: Concept): string[] {
  return written(concept).lemmas ?? []
}

function glossOf(concept: Concept | undefined): string {
  return (concept && written(concept).gloss) ?? ''
}

/** What the demo itself wrote. */
function written({ metadata }: Concept): { lemmas?: string[]; gloss?: string } {
  return metadata
}

function name(concept: Concept): string {
  return lemmasOf(concept)[0] ?? concept.content
}
