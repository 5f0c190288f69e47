/** Subscriptions that are killed: nothing is left out, in whatever instant the process dies. */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Durability, open, type Store } from 'sutra-storage'
import { expect, test } from 'vitest'
import { Child } from '../support/child.ts'
import { checkInvariants } from '../support/open-store.ts'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

const LIVES = Number(process.env['SUTRA_SUBSCRIPTION_KILLS'] ?? 6)
const RETRY = { times: 1, firstMs: 1, maxMs: 1 }

test.each(['fsync', 'os'] as const)(
  'kill -9, durability %s: at least once, in order, one note for a poison event',
  { timeout: LIVES * 30_000 },
  async (durability) => {
    const random = new Random()
    const [directory, home] = [await temporaryPath(), await temporaryPath('handlers')]
    await mkdir(home)
    try {
      for (let life = 0; life < LIVES / 2; life++) {
        await liveAndDie(directory, home, durability, random)
      }
      await judge(directory, home)
    } catch (cause) {
      throw new Error(`With SUTRA_TEST_SEED=${random.seed}`, { cause })
    } finally {
      await rm(home, { recursive: true, force: true })
    }
  }
)

async function liveAndDie(
  directory: string,
  home: string,
  durability: Durability,
  random: Random
): Promise<void> {
  const seed = String(random.below(1_000_000))
  const child = new Child('crash/subscriber.mjs', [directory, home, seed, durability])
  // Some die while they open or subscribe, most while everything works.
  if (random.below(4) === 0) await sleep(50 + random.below(400))
  else {
    await child.line('subscribed')
    await sleep(random.below(700))
  }
  const { stderr } = await child.kill()
  expect(stderr).toBe('')
}

async function judge(directory: string, home: string): Promise<void> {
  await using store = await open(directory)
  await checkInvariants(store)
  const events = await eventsOf(store)
  const expected = events.filter(({ type }) => type === 'concept-learned')
  const wanted = expected.map(({ position }) => position)
  const poison = wanted.filter((position) => position % 17 === 5)
  const done = wanted.filter((position) => position % 17 !== 5)

  // What the dead left undone is done now, without a further handler's failure.
  for (const name of ['plain', 'lazy']) {
    const told = await linesOf(join(home, name))
    const rest: number[] = []
    const end = store.head
    const options = { retry: RETRY, quarantineMax: 1000 }
    const subscription = await store.subscribe(name, options, ({ position }) => {
      if (position % 17 === 5) throw new Error('poison')
      rest.push(position)
    })
    await subscription.caughtUp(end)
    expect(inOrder([...told.map(({ position }) => position), ...rest], done)).toEqual([])
    const notes = (await eventsOf(store)).filter(({ data }) => data['subscription'] === name)
    const noted = notes.map(({ data }) => data['position'])
    expect(noted, 'each poison event is noted once').toEqual(poison)
    expect(subscription.stats().quarantined).toBe(poison.length)
    // With a checkpoint behind each event, a life ends within one at the most.
    const again = told.filter(({ position }, at) => position <= (told[at - 1]?.position ?? 0))
    if (name === 'plain') expect(again.length).toBeLessThanOrEqual(LIVES / 2)
    expect(again.filter(({ redelivered }) => !redelivered)).toEqual([])
    await subscription.close()
  }

  const ledger = JSON.parse(await readFile(join(home, 'ledger'), 'utf8')) as number[]
  expect(ledger, 'exactly once').toEqual(wanted.slice(0, ledger.length))
  expect(wanted.length).toBeGreaterThan(50)
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
}

/** Where deliveries leave something out: each must be at most one step behind what came before. */
function inOrder(delivered: readonly number[], done: readonly number[]): unknown[] {
  const step = new Map(done.map((position, at) => [position, at]))
  const wrong: unknown[] = []
  let furthest = -1
  for (const position of delivered) {
    const at = step.get(position)
    if (at === undefined || at > furthest + 1) wrong.push({ position, behind: done[furthest] })
    furthest = Math.max(furthest, at ?? 0)
  }
  if (furthest !== done.length - 1) wrong.push({ ends: done[furthest] })
  return wrong
}

async function linesOf(path: string): Promise<{ position: number; redelivered: boolean }[]> {
  const text = await readFile(path, 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [position, redelivered] = line.split(' ')
      return { position: Number(position), redelivered: redelivered === '1' }
    })
}

async function eventsOf(
  store: Store
): Promise<{ position: number; type: string; data: Record<string, unknown> }[]> {
  const events: { position: number; type: string; data: Record<string, unknown> }[] = []
  for await (const { position, type, data } of store.events()) events.push({ position, type, data })
  return events
}
