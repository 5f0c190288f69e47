import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type LatencySummary, open, type Store } from 'sutra-storage'
import { number, type Screen } from './screen.ts'

const WRITERS = 64
const RUN_MS = 2000
const READ_MS = 500

interface Run {
  commits: number
  perSecond: number
  eventsSeen: number
  inOrder: boolean
  latency: LatencySummary
}

/** Watches a store's events while it is written to, and tells what each operation cost. */
export async function showWriters(
  screen: Screen,
  directory: string,
  wordnet: Store,
  keys: readonly string[]
): Promise<void> {
  screen.heading(`Watching the events of 1 writer, then of ${WRITERS} at once, each commit fsynced`)
  const alone = await run(join(directory, 'one-writer'), 1)
  const together = await run(join(directory, 'many-writers'), WRITERS)
  screen.fact('1 writer', `${number(alone.perSecond)} acknowledged commits/s`)
  screen.fact(
    `${WRITERS} writers`,
    `${number(together.perSecond)} commits/s, ` +
      `${number(together.perSecond / alone.perSecond, 1)} times as many: they share each fsync`
  )
  for (const { commits, eventsSeen, inOrder } of [alone, together]) {
    screen.check(
      `${number(commits)} commits acknowledged, ${number(eventsSeen)} events seen live, in order`,
      eventsSeen === commits && inOrder
    )
  }

  await readForAWhile(wordnet, keys)
  const { get, neighbors, path, search } = wordnet.stats().latency
  screen.line()
  screen.table([
    ['milliseconds', 'count', 'p50', 'p95', 'p99', 'p99.9'],
    row('commit, 1 writer', alone.latency),
    row(`commit, ${WRITERS} writers`, together.latency),
    row('get', get),
    row('neighbors', neighbors),
    row('path, up to 4 hops', path),
    row('search, text, k = 10', search)
  ])
}

async function run(directory: string, writers: number): Promise<Run> {
  const store = await open(directory)
  try {
    let eventsSeen = 0
    let inOrder = true
    let last = store.head
    const watching = store.events$({ from: store.head + 1 }).subscribe(({ position }) => {
      eventsSeen++
      inOrder &&= position === last + 1
      last = position
    })

    const started = performance.now()
    const counts = await Promise.all(
      Array.from({ length: writers }, (_, writer) => write(store, writer, started + RUN_MS))
    )
    const seconds = (performance.now() - started) / 1000
    const commits = counts.reduce((sum, count) => sum + count, 0)
    await seen(() => last >= store.head)
    watching.unsubscribe()
    const latency = store.stats().latency.commit
    return { commits, perSecond: commits / seconds, eventsSeen, inOrder, latency }
  } finally {
    await store.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function write(store: Store, writer: number, until: number): Promise<number> {
  let count = 0
  while (performance.now() < until) {
    const id = { key: `note:${writer}-${count}` }
    await store.learn({ id, content: `Note ${count} of writer ${writer}` }, { durability: 'fsync' })
    count++
  }
  return count
}

/** Live events follow the acknowledgement in a moment; a second is far more than that. */
async function seen(arrived: () => boolean): Promise<void> {
  const until = performance.now() + 1000
  while (!arrived() && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Gives the table something to stand on: reads of one kind after another, all over WordNet. */
async function readForAWhile(store: Store, keys: readonly string[]): Promise<void> {
  const key = (i: number): { key: string } => ({ key: keys[i % keys.length] ?? '' })
  const texts = ['an old song', 'the edge of a knife', 'to be late', 'made of glass', 'very cold']
  await repeat((i) => store.get(key(i)))
  await repeat((i) => store.neighbors(key(i), { limit: 100 }))
  await repeat((i) => store.findPath(key(i), key(i + 7), { maxDepth: 4 }))
  await repeat((i) => store.search(texts[i % texts.length] ?? ''))
}

async function repeat(operation: (i: number) => Promise<unknown>): Promise<void> {
  const until = performance.now() + READ_MS
  for (let i = 0; performance.now() < until; i++) await operation(i)
}

function row(name: string, latency: LatencySummary): string[] {
  const { count, p50Us, p95Us, p99Us, p999Us } = latency
  return [name, number(count), ...[p50Us, p95Us, p99Us, p999Us].map((us) => number(us / 1000, 3))]
}
