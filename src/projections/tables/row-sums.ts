/**
 * What tables hold, in a number for each large kind of row. It does not depend on the order of rows,
 * so that whoever writes them keeps it as they come and go, and nobody has to read them again.
 */
import { PREFIX } from './keys.ts'

/** Kinds of rows of which there is at least one for each concept or page. */
export const SUMMED = ['concept', 'id', 'incoming', 'outgoing'] as const

export type RowSums = Readonly<Record<(typeof SUMMED)[number], RowSum>>

/** The same, as another thread is told. */
export type Sums = Readonly<Record<(typeof SUMMED)[number], Pick<RowSum, 'rows' | 'low' | 'high'>>>

/**
 * Rows stand in it by their checksums, of key and value, and by the lengths of their values. One row
 * that differs is overlooked with a chance of one to 2³². Mixed before they are added, as checksums
 * are linear: those of two rows whose values changed places would add up to the same.
 */
export class RowSum {
  rows = 0
  low = 0
  high = 0

  add(checksum: number, bytes: number): void {
    const mixed = mix(checksum ^ Math.imul(bytes, 0x9e3779b1))
    this.rows += 1
    this.low = (this.low + mixed) | 0
    this.high = (this.high + mix(mixed ^ bytes)) | 0
  }

  /** Takes out a row that was added. */
  remove(checksum: number, bytes: number): void {
    const mixed = mix(checksum ^ Math.imul(bytes, 0x9e3779b1))
    this.rows -= 1
    this.low = (this.low - mixed) | 0
    this.high = (this.high - mix(mixed ^ bytes)) | 0
  }

  /** From here on nobody knows: it equals no other. */
  lose(): void {
    this.rows = Number.NaN
  }
}

export function newSums(): RowSums {
  return {
    concept: new RowSum(),
    id: new RowSum(),
    incoming: new RowSum(),
    outgoing: new RowSum()
  }
}

/** As they are now, whatever is added later. */
export function copySums(sums: Sums): Sums {
  const copy = newSums()
  for (const kind of SUMMED) Object.assign(copy[kind], sums[kind])
  return copy
}

export function loseSums(sums: RowSums): void {
  for (const kind of SUMMED) sums[kind].lose()
}

/** Prefixes of the kinds of which two tables hold the same. */
export function equalKinds(some: Sums, others: Sums): number[] {
  const equal = SUMMED.filter((kind) => {
    const [a, b] = [some[kind], others[kind]]
    return a.rows === b.rows && a.low === b.low && a.high === b.high
  })
  return equal.map((kind) => PREFIX[kind])
}

/** The finalizer of MurmurHash3, by Austin Appleby: each bit of the input reaches all of the output. */
function mix(number: number): number {
  let mixed = Math.imul(number ^ (number >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
