/** Decoders of the tables' rows, reached as reading reaches them: through a snapshot. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ConceptId, isStoreError } from 'sutra-storage'
import { readWriterState } from '#sutra/projections/tables/generation.js'
import {
  behind,
  countPrefix,
  encodeValue,
  fieldPrefix,
  postingKey
} from '#sutra/projections/tables/index-keys.js'
import { encodeIndexStates } from '#sutra/projections/tables/index-states.js'
import { deadKey, META, PREFIX, pageKey } from '#sutra/projections/tables/keys.js'
import { childEntry, encodePage, newEntry, PageReader } from '#sutra/projections/tables/page.js'
import { PostingCollector } from '#sutra/projections/tables/posting-collector.js'
import {
  countIn,
  encodeEntries,
  encodePartCounts,
  hasEntries
} from '#sutra/projections/tables/postings.js'
import { encodeDead, openRow, sealRow } from '#sutra/projections/tables/rows.js'
import { TablesSnapshot } from '#sutra/projections/tables/snapshot.js'
import { countBetween } from '#sutra/projections/tables/value-counts.js'
import type { Level, LevelRange } from '#sutra/storage/level.js'
import { type Row, rowsOf, tablesOf } from '../support/raw.ts'
import { makeSample } from '../support/sample.ts'
import type { Decoder } from './decoders.ts'

/** More reads than any page of the samples can lead to: pages that lead in a circle never end. */
const READS_MAX = 20_000

type Read = (snapshot: TablesSnapshot, level: Level) => unknown

/** Ordinals that the sample has not given. */
const [ROOT, TREE] = [1_000_001, 1_000_002]
const other = ConceptId.fromKey('k2')

/** An index, and a value of it that many concepts have. */
const FIELD = fieldPrefix('n', 'number', 'scalar')
const MANY = Buffer.concat([FIELD, encodeValue(8)])

/** Stands for the last row of its prefix: records before it are chained to each other. */
const NEWEST = Buffer.alloc(0)

const READS: readonly [name: string, prefix: number, key: Buffer | undefined, read: Read][] = [
  ['concept', PREFIX.concept, undefined, (snapshot) => snapshot.concept(1)],
  ['id', PREFIX.id, undefined, (snapshot) => snapshot.idRow(other)],
  ['idempotency key', PREFIX.idempotency, undefined, (snapshot) => snapshot.commitOf('a2')],
  ['counts', PREFIX.meta, META.counts, (snapshot) => snapshot.counts()],
  ['checkpoint', PREFIX.meta, META.checkpoint, async (_, level) => readWriterState(level)],
  ['declaration', PREFIX.meta, META.vectors, (snapshot) => snapshot.vectors()],
  ['newest continuity record', PREFIX.record, NEWEST, async (_, level) => readWriterState(level)],
  ['dead concept', PREFIX.dead, undefined, async (snapshot) => snapshot.dead()],
  ['count of a type', PREFIX.typeCount, undefined, async (snapshot) => snapshot.typeCounts()],
  ['indexes', PREFIX.meta, META.indexes, (snapshot) => snapshot.indexes()],
  ['entries of a value', PREFIX.posting, undefined, valuesIn],
  ['parts of a value', PREFIX.posting, postingKey(MANY, 0, 0), valuesIn],
  ['counts of values', PREFIX.valueCount, undefined, countsIn],
  ['page of a root', PREFIX.outgoing, pageKey('out', ROOT, 0), pagesOf(ROOT)],
  ['inner page', PREFIX.outgoing, pageKey('out', TREE, 0), pagesOf(TREE)],
  ['leaf', PREFIX.outgoing, pageKey('out', TREE, 1), pagesOf(TREE)]
]

export async function rowDecoders(scratch: string): Promise<Decoder[]> {
  const directory = join(scratch, 'sample')
  await mkdir(join(scratch, 'tables'), { recursive: true })
  await makeSample(directory)
  const found = await rowsOf(await tablesOf(directory))
  // The sample is swept before it closes: none of its rows is about a dead concept.
  const dead = rowOf(deadKey(3), encodeDead({ id: other, position: 5 }))
  const rows = [...found, ...pageRows(found), ...indexRows(), dead]
  const newest = rows.filter(([one]) => one[0] === PREFIX.record).at(-1)?.[0]
  const isTyped = (error: unknown): boolean => isStoreError(error, 'TABLES_DAMAGED')
  const key = META.counts
  const counts = rows.filter(([one]) => one.equals(key)).map(([, value]) => value)
  return [
    { name: 'row', samples: counts, share: 30, decode: (bytes) => openRow(key, bytes), isTyped },
    ...READS.map(([name, prefix, given, read]) => ({
      name: `row that was sealed anew: ${name}`,
      samples: samplesOf(rows, prefix, given === NEWEST ? newest : given),
      share: 25,
      decode: (bytes: Buffer) => {
        const at = given === NEWEST ? newest : given
        const swap = { prefix, key: at, value: (found: Buffer) => sealRow(found, bytes) }
        const level = levelWith(rows, swap)
        return read(new TablesSnapshot(level, { onClosed() {}, onDamaged() {} }), level)
      },
      isTyped
    }))
  ]
}

function samplesOf(rows: readonly Row[], prefix: number, key: Buffer | undefined): Buffer[] {
  const found = rows.filter(([one]) => one[0] === prefix && (key === undefined || key.equals(one)))
  return found.map(([at, value]) => Buffer.from(openRow(at, value)))
}

/** Every value of the index, in their order, and one that is looked up. */
async function valuesIn(snapshot: TablesSnapshot): Promise<void> {
  const collector = new PostingCollector()
  for await (const rows of snapshot.postings({ gte: FIELD, lt: behind(FIELD) })) {
    for (const [key, payload] of rows) collector.take(key, payload)
  }
  await collector.ordinals(async () => {})
  const payload = snapshot.posting(postingKey(MANY, 0, 0))
  if (payload !== undefined && !hasEntries(payload)) countIn(payload)
}

function countsIn(snapshot: TablesSnapshot): number {
  const read = (key: Buffer): Buffer | undefined => snapshot.valueCount(key)
  return countBetween(read, countPrefix('n', 'number', 'scalar'), encodeValue(-1), undefined)
}

/** Rows of an index that the sample has not: it declares none. */
function indexRows(): Row[] {
  const state = [{ field: 'n', type: 'number' as const, next: 9, until: 12, dropping: false }]
  const few = { lows: Uint16Array.of(1, 4, 9), revisions: Uint32Array.of(0, 1, 70_000) }
  const counts = Uint16Array.from({ length: 16 }, (_, part) => part * 300)
  const cells = Buffer.from([0xc0, 3, 0, 0, 0])
  return [
    rowOf(META.indexes, encodeIndexStates(state)),
    rowOf(postingKey(Buffer.concat([FIELD, encodeValue(7)]), 0, 0), encodeEntries(few)),
    rowOf(postingKey(MANY, 0, 0), encodePartCounts(counts)),
    rowOf(countPrefix('n', 'number', 'scalar'), cells)
  ]
}

function pagesOf(ordinal: number): Read {
  return (snapshot) => {
    const self = { ordinal, id: ConceptId.fromKey('early1'), key: 'early1' }
    const found = snapshot.association(self, other, 'next', '')
    return [found, snapshot.degree(ordinal, 'out'), [...snapshot.associations(self, 'out')]]
  }
}

/** A tree of one page, and one of an inner page and two leaves: no concept of the sample has it. */
function pageRows(rows: readonly Row[]): Row[] {
  const found = rows.find(([key]) => key[0] === PREFIX.outgoing && key.readUInt32BE(5) === 0)
  if (found === undefined) throw new Error('The sample has no association')
  const { entries } = new PageReader(openRow(...found), true).toPage()
  const [first] = entries
  if (first === undefined) throw new Error('The page is empty')
  const second = newEntry({ name: 'next', otherId: ConceptId.fromKey('z'), key: 'z' }, 0)
  const inner = [childEntry(first, 1), childEntry(second, 2)]
  const root = { degree: 2, loops: 0, nextPage: 3 }
  const leaf = { leaf: true, root: undefined, entries, bytes: 0 }
  return [
    rowOf(pageKey('out', ROOT, 0), encodePage({ ...leaf, root })),
    rowOf(pageKey('out', TREE, 0), encodePage({ leaf: false, root, entries: inner, bytes: 0 })),
    rowOf(pageKey('out', TREE, 1), encodePage(leaf)),
    rowOf(pageKey('out', TREE, 2), encodePage(leaf))
  ]
}

function rowOf(key: Buffer, payload: Buffer): Row {
  return [key, sealRow(key, payload)]
}

interface Swap {
  prefix: number
  key: Buffer | undefined
  value(key: Buffer): Buffer
}

/** The sample's rows, but for those that the input takes the place of. */
function levelWith(rows: readonly Row[], swap: Swap): Level {
  let reads = 0
  const valueAt = (key: Buffer, value: Buffer | undefined): Buffer | undefined => {
    reads += 1
    if (reads > READS_MAX) throw new Error(`More than ${READS_MAX} reads: it may never end`)
    const isSwapped = swap.key === undefined ? key[0] === swap.prefix : swap.key.equals(key)
    return isSwapped ? swap.value(key) : value
  }
  const level = {
    snapshot: () => ({ close: async () => {} }),
    getSync: (key: Buffer) => valueAt(key, rows.find(([one]) => one.equals(key))?.[1]),
    async *blocks({ gte, lt }: LevelRange) {
      const within = rows.filter(
        ([key]) =>
          (gte === undefined || Buffer.compare(key, gte) >= 0) &&
          (lt === undefined || Buffer.compare(key, lt) < 0)
      )
      yield within.map(([key, value]) => [key, valueAt(key, value)])
    }
  }
  // The few methods that reading needs: a whole LevelDB would take a file for each input.
  return level as unknown as Level
}
