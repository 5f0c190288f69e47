/** Finds where two generations differ, in two threads: that is most of what comparing them takes. */
import {
  type DigestSlice,
  differingIn,
  type RangeDigest,
  type ValueSource
} from './range-digest.ts'

export interface KeyRange {
  readonly gte: Buffer
  readonly lt?: Buffer
}

/** Rows of a slice: it takes some tens of milliseconds, so whoever stops need not wait for long. */
const SLICE_ROWS = 16_384

/** Compares a slice in another thread. Resolves `undefined` where there is none, or no more. */
export type SliceHelper = (slice: DigestSlice) => Promise<readonly number[] | undefined>

export interface DifferingOptions {
  helper?: SliceHelper | undefined
  /** Prefixes of rows that are known to be equal. */
  proven?: readonly number[]
  sliceRows?: number
}

/**
 * Where other tables have other rows, neighbours joined. This thread takes slices from the front, the
 * helper from the back, until none is left.
 *
 * @param digests Of one prefix each.
 * @param pace Called with the rows compared so far; throws to stop.
 */
export async function differingRanges(
  tables: ValueSource,
  digests: readonly RangeDigest[],
  pace: (rows: number) => Promise<void>,
  { helper, proven = [], sliceRows = SLICE_ROWS }: DifferingOptions = {}
): Promise<KeyRange[]> {
  const slices = slicesOf(digests, proven, sliceRows)
  const differing: KeyRange[] = []
  const found = (slice: DigestSlice, some: readonly number[]): void => {
    for (const one of some) differing.push(keysOf(slice, one))
  }
  let rows = 0
  const compare = async (slice: DigestSlice): Promise<void> => {
    const some = await differingIn(tables, slice, async (more) => {
      rows += more
      await pace(rows)
    })
    found(slice, some)
  }
  const fromFront = async (): Promise<void> => {
    for (let next = slices.shift(); next !== undefined; next = slices.shift()) await compare(next)
  }
  const fromBack = async (help: SliceHelper): Promise<void> => {
    for (let next = slices.pop(); next !== undefined; next = slices.pop()) {
      const some = await help(next)
      if (some === undefined) {
        // Whoever works from the front may have come to the end meanwhile.
        await compare(next)
        return
      }
      rows += next.ranges.reduce((sum, range) => sum + range.rows, 0)
      found(next, some)
    }
  }
  const orNobody = async (work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      // The other one ends with the slice that it has.
      slices.length = 0
      throw error
    }
  }
  const both = [fromFront(), ...(helper === undefined ? [] : [fromBack(helper)])]
  // Nobody reads any more when this settles.
  for (const one of await Promise.allSettled(both.map(orNobody))) {
    if (one.status === 'rejected') throw one.reason
  }
  return joined(differing)
}

/** Parts of the keys in which no row stands that is proven; each in slices of some rows. */
function slicesOf(
  digests: readonly RangeDigest[],
  proven: readonly number[],
  sliceRows: number
): DigestSlice[] {
  const slices: DigestSlice[] = []
  let from = ''
  for (const prefix of [...proven].sort((a, b) => a - b)) {
    const to = String.fromCharCode(prefix)
    addSlices(slices, { from, to, ranges: between(digests, from, to) }, sliceRows)
    from = String.fromCharCode(prefix + 1)
  }
  addSlices(slices, { from, ranges: between(digests, from) }, sliceRows)
  return slices
}

/** Strings of one byte a character sort as the bytes do. */
function between(digests: readonly RangeDigest[], from: string, to?: string): RangeDigest[] {
  return digests.filter(({ upTo }) => upTo >= from && (to === undefined || upTo < to))
}

function addSlices(slices: DigestSlice[], part: DigestSlice, sliceRows: number): void {
  let { from } = part
  let begin = 0
  let rows = 0
  for (const [i, range] of part.ranges.entries()) {
    rows += range.rows
    if (rows < sliceRows || i === part.ranges.length - 1) continue
    const to = behind(range)
    slices.push({ from, to, ranges: part.ranges.slice(begin, i + 1) })
    from = to
    begin = i + 1
    rows = 0
  }
  slices.push({ ...part, from, ranges: part.ranges.slice(begin) })
}

/** The first key that is no longer of a range. */
function behind({ upTo }: RangeDigest): string {
  return `${upTo}\0`
}

/** Keys of one range of a slice. */
function keysOf({ from, to, ranges }: DigestSlice, number: number): KeyRange {
  const [before, range] = [ranges[number - 1], ranges[number]]
  const end = range === undefined || number === ranges.length - 1 ? to : behind(range)
  const gte = Buffer.from(before === undefined ? from : behind(before), 'latin1')
  return end === undefined ? { gte } : { gte, lt: Buffer.from(end, 'latin1') }
}

/** By keys, neighbours in one: each row is then read once more, and by fewer iterators. */
function joined(ranges: readonly KeyRange[]): KeyRange[] {
  const all: KeyRange[] = []
  for (const range of ranges.toSorted((a, b) => a.gte.compare(b.gte))) {
    const last = all.at(-1)
    if (last?.lt?.equals(range.gte) === true) all[all.length - 1] = { ...range, gte: last.gte }
    else all.push(range)
  }
  return all
}
