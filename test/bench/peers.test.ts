import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { serialize } from 'node:v8'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OURS, type Peer } from '../../bench/peers/catalogue.ts'
import { type Made, readOrMake } from '../../bench/peers/dataset.ts'
import { type PeerResult, race } from '../../bench/peers/race.ts'
import { remarks, table } from '../../bench/peers/report.ts'

/** The fewest that have concepts five hops apart. */
const SYNSETS = 2000
const RECALL = 0.99

let folder: string
let made: Made
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sutra-peers-'))
  made = await readOrMake(join(folder, 'data'), SYNSETS)
})
afterAll(async () => rm(folder, { recursive: true, force: true }))

test('the store answers every question of the comparison as the reference does', async () => {
  const { tasks, reopen, trouble } = await raced(OURS)

  expect(tasks).toEqual({
    get: expect.objectContaining({ asked: 1000, wrong: 0 }),
    hop: expect.objectContaining({ asked: 1000, wrong: 0 }),
    path: expect.objectContaining({ asked: 100, wrong: 0 }),
    knn: expect.objectContaining({ asked: 200, wrong: 0 })
  })
  expect(reopen).toMatchObject({ task: 'knn', wrong: 0 })
  expect(trouble).toEqual([])
  const { knn = {} } = tasks
  expect('recall' in knn ? knn.recall : 0).toBeGreaterThanOrEqual(RECALL)
}, 300_000)

test('the dataset is read back as it was made', async () => {
  const again = await readOrMake(join(folder, 'data'), SYNSETS)

  expect(again.data.keys).toHaveLength(SYNSETS)
  expect(serialize(again).equals(serialize(made))).toBe(true)
})

describe('a peer', () => {
  test('that is not installed is skipped, with the reason', async () => {
    const peer = await fake('absent', '', ['no-such-package-at-all'])

    const result = await raced(peer)

    expect(result.skipped).toContain('no-such-package-at-all is not installed')
    expect(table([result])).toContain('skipped')
  })

  test('that answers something else is flagged with what it said', async () => {
    const result = await raced(
      await fake(
        'wrong',
        `get: (key) => ({ type: 'noun', content: key }),
         path: (source, target) => [source, target],
         knn: () => []`
      )
    )

    expect(result.tasks.get).toMatchObject({ asked: 1000, wrong: 1000 })
    expect(result.tasks.path).toMatchObject({
      wrong: 100,
      example: expect.stringContaining('hop')
    })
    expect(result.tasks.knn).toMatchObject({ wrong: 200, recall: 0 })
    expect(remarks([result]).join('\n')).toContain('1000 answers are wrong')
    expect(table([result])).toContain('WRONG')
  })

  test('that cannot do a task gets a dash for it and no other', async () => {
    const result = await raced(await fake('limited', 'get: () => undefined'))

    expect(result.tasks).toMatchObject({
      hop: { cannot: true },
      path: { cannot: true },
      knn: { cannot: true },
      get: { asked: 1000 }
    })
    expect(result.reopen).toMatchObject({ task: 'get' })
  })

  test('that throws, ends or never answers keeps its error and its other answers', async () => {
    const result = await raced(
      await fake(
        'broken',
        `get: () => { throw new Error('no get today') },
         hop: () => process.exit(7),
         path: () => { while (true); },
         knn: () => ['a']`
      ),
      8_000
    )

    expect(result.tasks).toMatchObject({
      get: { error: expect.stringContaining('no get today') },
      hop: { error: expect.stringContaining('ended with 7') },
      path: { error: expect.stringContaining('no answer within') },
      knn: { asked: 200 }
    })
  }, 120_000)

  test('that fails to load is not asked', async () => {
    const peer = await fake('unloadable', '', [], "throw new Error('the disk is elsewhere')")

    const result = await raced(peer)

    expect(result.load).toEqual({ error: expect.stringContaining('the disk is elsewhere') })
    expect(result.tasks).toEqual({})
    expect(table([result])).toContain('error')
  })
})

/** @param taskMs Plenty, for all but the one that never answers. */
async function raced(peer: Peer, taskMs = 120_000): Promise<PeerResult> {
  const [result] = await race([peer], made, {
    folder: await mkdtemp(join(folder, 'race-')),
    rounds: 1,
    recall: RECALL,
    budgetMs: 120_000,
    loadMs: 120_000,
    taskMs
  })
  if (result === undefined) throw new Error('There is no result')
  return result
}

/** A driver whose session has some methods. */
async function fake(
  name: string,
  methods: string,
  packages: string[] = [],
  load = ''
): Promise<Peer> {
  const path = join(folder, `${name}.mjs`)
  const close = 'close: async () => undefined'
  const session = `({ ${[methods, close].filter((each) => each !== '').join(', ')} })`
  await writeFile(
    path,
    `export async function load(data, directory, mark) { ${load}; return async () => undefined }
     export async function open() { return ${session} }`
  )
  const driver = pathToFileURL(path).href
  return { name, title: name, packages, driver, durability: 'none', note: 'made for a test' }
}
