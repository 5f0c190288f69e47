/** What a writer sums up while it writes, against the rows that are there in the end. */
import { type Command, ConceptId, open } from 'sutra-storage'
import { expect, test } from 'vitest'
import { Tables } from '#sutra/projections/tables/client.js'
import { createGeneration } from '#sutra/projections/tables/generation.js'
import { PREFIX } from '#sutra/projections/tables/keys.js'
import { digestRanges } from '#sutra/projections/tables/range-digest.js'
import { equalKinds, newSums, type Sums } from '#sutra/projections/tables/row-sums.js'
import { readFormat } from '#sutra/store/format.js'
import { Random } from '../../support/random.ts'
import { temporaryPath } from '../../support/temp.ts'

const ALL = [PREFIX.concept, PREFIX.id, PREFIX.incoming, PREFIX.outgoing]
const CONCEPTS = 60

test('sums of what was written are those of the rows, whatever became of them', async () => {
  const random = new Random()
  for (const relearns of [false, true]) {
    for (const batchEventsMax of [7, 100_000]) {
      const { written, found } = await lives(random, { relearns, batchEventsMax })

      const known = relearns ? ALL.filter((prefix) => prefix !== PREFIX.id) : ALL
      expect(equalKinds(written, found), `seed ${random.seed}`).toEqual(known)
    }
  }
})

test('who did not write the first of the rows knows no sum', async () => {
  const { directory, tables } = await filled(new Random(), false)
  await tables.project(1000)
  await tables.stop({ flush: false })
  await tables.close()
  const again = await tablesOf(directory, tables.generation, 100)
  await again.project(2000)

  const { written, found } = await sumsOf(again)

  expect(equalKinds(written, found)).toEqual([])
})

test('one row that differs is in the sum, and two that changed places', () => {
  const sums = (...rows: [checksum: number, bytes: number][]): Sums => {
    const all = newSums()
    for (const [checksum, bytes] of rows) all.concept.add(checksum, bytes)
    return all
  }
  // As of values that changed places: checksums are linear.
  const [a, b, c] = [0x11111111, 0x2345abcd, 0x70000001]
  const both = sums([a, 10], [b, 10])

  expect(equalKinds(both, sums([b, 10], [a, 10]))).toContain(PREFIX.concept)
  expect(equalKinds(both, sums([a ^ c, 10], [b ^ c, 10]))).not.toContain(PREFIX.concept)
  expect(equalKinds(both, sums([a, 10]))).not.toContain(PREFIX.concept)
  expect(equalKinds(both, sums([a, 10], [b, 11]))).not.toContain(PREFIX.concept)
})

interface Sizes {
  relearns: boolean
  batchEventsMax: number
}

async function lives(
  random: Random,
  { relearns, batchEventsMax }: Sizes
): Promise<{ written: Sums; found: Sums }> {
  const { tables, head } = await filled(random, relearns, batchEventsMax)
  while (tables.position < head) await tables.project(head)
  return sumsOf(tables)
}

async function sumsOf(tables: Tables): Promise<{ written: Sums; found: Sums }> {
  // A sweep goes on by itself: nothing is written any more once nobody projects.
  let written = await tables.sums()
  let found: Sums | undefined
  for (let before: string | undefined; ; ) {
    const snapshot = tables.snapshot()
    found = (await digestRanges(snapshot, async () => {})).sums
    await snapshot.release()
    written = await tables.sums()
    const now = JSON.stringify([written, found])
    if (now === before) break
    before = now
  }
  await tables.stop({ flush: false })
  await tables.close()
  if (written === undefined) throw new Error('The session is open nowhere')
  return { written, found }
}

/** A store with a past, closed, and tables beside its own that have none yet. */
async function filled(
  random: Random,
  relearns: boolean,
  batchEventsMax = 100
): Promise<{ directory: string; tables: Tables; head: number }> {
  const directory = await temporaryPath('summed')
  const store = await open(directory, { durability: 'os' })
  const gone = new Set<string>()
  const there = new Set<string>()
  for (let n = 0; n < 120; n++) {
    const commands: Command[] = []
    for (let i = 0; i < 25; i++) {
      const command = anyCommand(random, { there, gone, relearns })
      if (command !== undefined) commands.push(command)
    }
    await store.commit(commands)
  }
  const { head } = store
  await store.close()
  const { storeId } = await readFormat(directory)
  const generation = await createGeneration(directory, storeId)
  return { directory, tables: await tablesOf(directory, generation, batchEventsMax), head }
}

async function tablesOf(
  directory: string,
  generation: number,
  batchEventsMax: number
): Promise<Tables> {
  const { storeId } = await readFormat(directory)
  const common = { directory, storeId: Buffer.from(storeId), cacheBytes: 2 ** 20, readOnly: false }
  const rest = { indexes: undefined, onTelemetry: () => {} }
  return Tables.open({ ...common, ...rest, generation, batchEventsMax })
}

interface Past {
  there: Set<string>
  gone: Set<string>
  relearns: boolean
}

function anyCommand(random: Random, { there, gone, relearns }: Past): Command | undefined {
  const name = `k${random.below(CONCEPTS * (relearns ? 1 : 20))}`
  const id = { key: name }
  if (!there.has(name)) {
    if (gone.has(name) && !relearns) return undefined
    there.add(name)
    const extra = random.below(2) === 0 ? { metadata: { n: random.below(100) } } : {}
    // Its key may come later: where its id leads is written once more then.
    const given = random.below(2) === 0 ? id : ConceptId.fromKey(name)
    return { do: 'learn', id: given, type: random.pick(['a', 'b']), content: name, ...extra }
  }
  const other = random.pick([...there])
  switch (random.below(10)) {
    case 0:
      there.delete(name)
      gone.add(name)
      return { do: 'forget', id }
    case 1:
      return { do: 'learn', id, content: `${name} once more` }
    case 2:
      return { do: 'reinforce', target: id, strength: 0.5 }
    case 3:
      return { do: 'revise', target: id, content: `${name} ${random.below(1000)}` }
    default: {
      const type = random.pick(['knows', 'is'])
      const key = random.below(4) === 0 ? { key: `${random.below(9)}` } : {}
      return { do: 'associate', source: id, target: { key: other }, type, ...key }
    }
  }
}
