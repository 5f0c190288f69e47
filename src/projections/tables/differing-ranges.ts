/** Finds where two generations differ, in two threads: that is most of what comparing them takes. */
import { type DigestSlice, differingIn, type RangeDigest, type RowSource } from './range-digest.ts'

/** Keys behind one, up to and including another, or all that are left. */
export interface KeyRange {
  readonly gt: Buffer
  readonly lte?: Buffer
}

/** Rows of a slice: it takes some tens of milliseconds, so whoever stops need not wait for long. */
const SLICE_ROWS = 16_384

/** Compares a slice in another thread. Resolves `undefined` where there is none, or no more. */
export type SliceHelper = (slice: DigestSlice) => Promise<readonly number[] | undefined>

/**
 * Where other tables have other rows, neighbours joined. This thread takes slices from the front, the
 * helper from the back, until none is left.
 *
 * @param pace Called with the rows compared so far; throws to stop.
 */
export async function differingRanges(
  tables: RowSource,
  digests: readonly RangeDigest[],
  pace: (rows: number) => Promise<void>,
  { helper, sliceRows = SLICE_ROWS }: { helper?: SliceHelper | undefined; sliceRows?: number } = {}
): Promise<KeyRange[]> {
  const slices = slicesOf(digests, sliceRows)
  const differing: number[] = []
  const found = ({ from }: Numbered, some: readonly number[]): void => {
    for (const one of some) differing.push(from + one)
  }
  let rows = 0
  const compare = async (slice: Numbered): Promise<void> => {
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
  return joined(differing, digests)
}

/** With the number of its first range. */
interface Numbered extends DigestSlice {
  readonly from: number
}

function slicesOf(digests: readonly RangeDigest[], sliceRows: number): Numbered[] {
  const slices: Numbered[] = []
  let from = 0
  let rows = 0
  for (const [i, range] of digests.entries()) {
    rows += range.rows
    if (rows < sliceRows && i < digests.length - 1) continue
    slices.push(slice(from, i + 1))
    from = i + 1
    rows = 0
  }
  return slices.length === 0 ? [slice(0, 0)] : slices

  function slice(start: number, end: number): Numbered {
    return {
      from: start,
      after: digests[start - 1]?.upTo ?? '',
      ranges: digests.slice(start, end),
      isLast: end === digests.length
    }
  }
}

/** By keys, neighbours in one: each row is then read once more, and by fewer iterators. */
function joined(differing: readonly number[], digests: readonly RangeDigest[]): KeyRange[] {
  const all: KeyRange[] = []
  let before: number | undefined
  for (const i of differing.toSorted((a, b) => a - b)) {
    const upTo = digests[i]?.upTo
    const end = upTo === undefined ? {} : { lte: Buffer.from(upTo, 'latin1') }
    const last = all.at(-1)
    if (last !== undefined && before === i - 1) all[all.length - 1] = { gt: last.gt, ...end }
    else all.push({ gt: Buffer.from(digests[i - 1]?.upTo ?? '', 'latin1'), ...end })
    before = i
  }
  return all
}
