/**
 * Two copies of one store go on with different facts. What one of them derived is whole, names the
 * right store and a position that the other log has, and answers for another history all the same.
 */
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import {
  type Command,
  defineProjection,
  migrate,
  open,
  repair,
  restore,
  type Store,
  type StoreOptions
} from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { META as ROWS_META } from '#sutra/projections/custom/generation-rows.js'
import { META } from '#sutra/projections/tables/keys.js'
import {
  changeRow,
  copyStore,
  deleteRows,
  flipped,
  logOf,
  rowsOf,
  tablesOf
} from '../support/raw.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'
import { damagesOf } from '../vectors/graph-sample.ts'

const contents = defineProjection({
  name: 'contents',
  version: 1,
  types: ['concept-learned'],
  apply(event, rows) {
    if (event.type === 'concept-learned') rows.put([event.position], event.data.content ?? '')
  },
  queries: {
    async all(rows) {
      const found: unknown[] = []
      for await (const [, value] of rows.range({ prefix: [] })) found.push(value)
      return found
    }
  }
})
const OPTIONS: StoreOptions = { vectors: { dimensions: 4 }, projections: [contents] }
const QUERY = [0, 0, 1, 2]

interface Copies {
  /** Has gone on with twelve facts of its own. */
  ours: string
  /** With ten others. */
  theirs: string
  /** Neither: as both were. */
  common: string
}

let made: Promise<Copies> | undefined

/** Made once. */
async function copies(): Promise<Copies> {
  made ??= makeCopies()
  return made
}

async function makeCopies(): Promise<Copies> {
  const common = await lastingPath('common')
  const store = await open(common, OPTIONS)
  await learn(store, 'common', 20)
  await store.close()
  const [ours, theirs] = [await copyStore(common, 'ours'), await copyStore(common, 'theirs')]
  for (const [directory, name, count] of [
    [ours, 'ours', 12],
    [theirs, 'theirs', 10]
  ] as const) {
    const copy = await open(directory, OPTIONS)
    await learn(copy, name, count)
    await copy.checkVectors({ sample: 4, efs: [4] })
    await copy.checkpoint()
    await copy.projection(contents).all()
    await copy.close()
  }
  return { common, ours, theirs }
}

/** One frame each. */
async function learn(store: Store, name: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const embedding = name === 'theirs' ? [0, 0, 1, i] : [1, i, 0, 0]
    await store.learn({ id: { key: `${name}${i}` }, content: `${name} ${i}`, embedding })
  }
}

/** A copy of ours, in which some parts are those of another. */
async function mixed(from: string, parts: readonly string[]): Promise<string> {
  const { ours } = await copies()
  const directory = await temporaryPath()
  await cp(ours, directory, { recursive: true, filter: (path) => !path.includes('OWNER') })
  for (const part of parts) {
    await rm(join(directory, part), { recursive: true })
    await cp(join(from, part), join(directory, part), { recursive: true })
  }
  return directory
}

async function answersOf(store: Store): Promise<unknown> {
  const search = await store.search(QUERY, { k: 3, exact: true })
  return {
    ours: (await store.get({ key: 'ours3' }))?.content,
    theirs: await store.has({ key: 'theirs3' }),
    vector: await store.vector({ key: 'ours3' }),
    found: search.map(({ key }) => key),
    rows: await store.projection(contents).all(),
    state: await store.stateHash()
  }
}

async function expected(): Promise<unknown> {
  await using store = await open(await mixed('', []), OPTIONS)
  return await answersOf(store)
}

const parts = ['tables', 'vectors', 'projections']

describe('what a copy with another history derived', () => {
  test.each([...parts.map((part) => [part]), parts].map((names) => [names.join(' and '), names]))(
    'is made anew from the log, and told of: %s',
    async (_, names) => {
      const swapped = names as string[]
      const { theirs } = await copies()
      const directory = await mixed(theirs, swapped)

      const store = await open(directory, OPTIONS)
      const told = damagesOf(store)

      expect('recall' in store.stats().vectors).toBe(!swapped.includes('vectors'))
      expect(await answersOf(store)).toEqual(await expected())
      const of = (part: string) => (part === 'projections' ? 'projection contents' : part)
      const reason = expect.stringContaining('another history')
      expect(told).toEqual(
        swapped.map((part) => expect.objectContaining({ part: of(part), reason }))
      )
      expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
      await store.close()
      await using again = await open(directory, OPTIONS)
      const toldAgain = damagesOf(again)
      expect(await answersOf(again)).toEqual(await expected())
      expect(toldAgain).toEqual([])
    }
  )

  test('is not served by a read-only store', async () => {
    const { theirs } = await copies()
    const readOnly = { ...OPTIONS, readOnly: true }
    const directory = await mixed(theirs, ['vectors', 'projections'])
    const before = await readFile(join(directory, 'vectors', 'MANIFEST'))

    await using store = await open(directory, readOnly)

    expect(await store.vector({ key: 'ours3' })).toEqual(Float32Array.of(1, 3, 0, 0))
    await expect(store.projection(contents).all()).rejects.toMatchObject({
      code: 'PROJECTION_BUILDING'
    })
    expect(await readFile(join(directory, 'vectors', 'MANIFEST'))).toEqual(before)
    await expect(open(await mixed(theirs, ['tables']), readOnly)).rejects.toMatchObject({
      code: 'TABLES_DAMAGED'
    })
  })
})

describe('what is derived of this history is gone on with', () => {
  test('where it is older than the log', async () => {
    const { common } = await copies()
    await using store = await open(await mixed(common, parts), OPTIONS)

    expect(damagesOf(store)).toEqual([])
    expect(await answersOf(store)).toEqual(await expected())
  })

  test('where an older program did not say of which history it is', async () => {
    const directory = await mixed('', [])
    await deleteRows(await tablesOf(directory), [META.anchor])
    const rows = join(directory, 'projections', 'contents')
    await deleteRows(join(rows, await readFile(join(rows, 'CURRENT'), 'utf8')), [ROWS_META.anchor])
    await editManifest(directory, (manifest) => {
      delete manifest['anchor']
    })

    await using store = await open(directory, OPTIONS)

    expect(damagesOf(store)).toEqual([])
    expect(await answersOf(store)).toEqual(await expected())
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
  })

  test('where an older program went on behind a place that a newer one named', async () => {
    const { theirs } = await copies()
    const directory = await mixed('', [])
    // What an older program leaves as it is stands at another position than the checkpoint.
    const [anchor] = (await rowsOf(await tablesOf(theirs))).filter(([key]) =>
      key.equals(META.anchor)
    )
    await changeRow(await tablesOf(directory), META.anchor, anchor?.[1] as Buffer)
    await editManifest(directory, (manifest) => {
      manifest['anchor'] = { position: 7, checksum: 1 }
    })

    await using store = await open(directory, OPTIONS)

    expect(damagesOf(store)).toEqual([])
    expect(await answersOf(store)).toEqual(await expected())
  })

  test('where a projection stopped within a frame', async () => {
    const directory = await temporaryPath()
    const stops = defineProjection({
      ...contents,
      apply(event, rows) {
        if (event.position === 4) throw new Error('not this one')
        return contents.apply(event, rows)
      }
    })
    const commands = Array.from(
      { length: 9 },
      (_, i): Command => ({ do: 'learn', content: `${i}` })
    )
    const first = await open(directory, { projections: [stops] })
    await first.commit(commands)
    await expect(first.caughtUp()).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
    expect(first.projections.list()).toMatchObject([{ position: 3 }])
    await first.close()

    await using store = await open(directory, { projections: [contents] })

    expect(damagesOf(store)).toEqual([])
    expect(await store.projection(contents).all()).toHaveLength(9)
  })
})

/** Each leaves a store whose derived state was made once since. */
const remade: [string, () => Promise<string>][] = [
  [
    'repaired',
    async () => {
      const directory = await mixed('', [])
      const rows = await rowsOf(logOf(directory))
      for (const at of [5, rows.length - 1]) {
        const [key, value] = rows[at] as [Buffer, Buffer]
        await changeRow(logOf(directory), key, flipped(value, value.length - 1))
      }
      expect(await repair(directory)).toMatchObject({ changed: true, eventsLost: 2 })
      return directory
    }
  ],
  [
    'moved to another format',
    async () => {
      const directory = await temporaryPath()
      await cp('test/fixtures/format-1/store', directory, { recursive: true })
      await (await open(directory)).close()
      await migrate(directory, { backup: false })
      return directory
    }
  ],
  [
    'restored',
    async () => {
      const [backup, directory] = [await temporaryPath('backup'), await temporaryPath()]
      await using store = await open(await mixed('', []), OPTIONS)
      await store.backup(backup)
      expect(await restore(backup, directory)).toMatchObject({ vectors: true })
      return directory
    }
  ]
]

test.each(remade)('what is derived of a log that was %s is its own', async (_, make) => {
  const directory = await make()

  for (let opens = 0; opens < 2; opens++) {
    await using store = await open(directory, { projections: [contents] })
    expect(damagesOf(store)).toEqual([])
    await store.caughtUp()
  }
  await using store = await open(directory, { projections: [contents] })
  expect(damagesOf(store)).toEqual([])
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
})

test('verify finds a vector that is sound by itself but is not the one of the log', async () => {
  const directory = await mixed('', [])
  const path = join(directory, 'vectors')
  await editManifest(directory, async (manifest) => {
    const [segment] = manifest['segments'] as Segment[]
    if (segment === undefined) throw new Error('There is no segment')
    const vectors = await readFile(join(path, `${segment.name}.f32`))
    vectors.writeFloatLE(77, 5 * 16)
    await writeFile(join(path, `${segment.name}.f32`), vectors)
    const ids = await readFile(join(path, `${segment.name}.ids`))
    ids.writeUInt32LE(crc32(vectors.subarray(5 * 16, 6 * 16)), 5 * 12 + 8)
    await writeFile(join(path, `${segment.name}.ids`), ids)
    segment.vectors.blocks = [crc32(vectors.subarray(0, segment.vectors.bytes))]
    segment.ids.blocks = [crc32(ids.subarray(0, segment.ids.bytes))]
  })
  await using store = await open(directory, OPTIONS)

  const { ok, problems } = await store.verify()

  expect(ok).toBe(false)
  const reason = 'the vector of revision 6 is not the one in the log'
  expect(problems).toEqual([{ part: 'vectors', reason }])
  await store.rebuild({ projections: ['vectors'] })
  expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
})

test('verify finds a vector that a concept has and that is in no row', async () => {
  const directory = await mixed('', [])
  const path = join(directory, 'vectors')
  await editManifest(directory, async (manifest) => {
    const [segment] = manifest['segments'] as Segment[]
    if (segment === undefined) throw new Error('There is no segment')
    // The row of another revision than any that was given: nobody has it now.
    const ids = await readFile(join(path, `${segment.name}.ids`))
    ids.writeUInt32LE(1000, (segment.rows - 1) * 12 + 4)
    await writeFile(join(path, `${segment.name}.ids`), ids)
    segment.ids.blocks = [crc32(ids.subarray(0, segment.ids.bytes))]
    segment.last = 1000
  })
  await using store = await open(directory, OPTIONS)

  const { problems } = await store.verify()

  const reason = 'the vector of revision 32, which a concept has, is missing'
  expect(problems).toEqual([{ part: 'vectors', reason }])
})

interface Segment {
  name: string
  rows: number
  last: number
  vectors: { bytes: number; blocks: number[] }
  ids: { bytes: number; blocks: number[] }
}

async function editManifest(
  directory: string,
  edit: (manifest: Record<string, unknown>) => void | Promise<void>
): Promise<void> {
  const path = join(directory, 'vectors', 'MANIFEST')
  const [json = ''] = (await readFile(path, 'utf8')).split('\n')
  const manifest = JSON.parse(json) as Record<string, unknown>
  await edit(manifest)
  const edited = JSON.stringify(manifest)
  await writeFile(path, `${edited}\n${crc32(edited).toString(16).padStart(8, '0')}\n`)
}
