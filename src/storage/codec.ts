// biome-ignore-all assist/source/organizeImports: the order is the point, see plain-msgpackr.ts.
import { previous, VARIABLE } from './plain-msgpackr.ts'
import { Packr } from 'msgpackr'

// The variable belongs to the program that imports us: leave it as it was found.
if (previous === undefined) delete process.env[VARIABLE]
else process.env[VARIABLE] = previous

// No records and no shared structures: a value must be readable from its own bytes alone.
const packr = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })
const exact = new Packr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' })

/** Encodes plain data (null, booleans, numbers, strings, bytes, arrays, objects) as MessagePack. */
export function pack(value: unknown): Buffer {
  return packr.pack(value)
}

/**
 * Decodes MessagePack. The caller bounds the size before and checks the shape after:
 * a legal 16 MB of empty maps costs over a gigabyte.
 *
 * @throws Error on bytes that are not MessagePack.
 */
export function unpack(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}

/** The same, but integers of 64 bits are bigints, as those were that `pack` writes so. */
export function unpackExactly(bytes: Uint8Array): unknown {
  return exact.unpack(bytes)
}

/** Whether a value is an object as `{}` makes them, which formats give back as it was. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || isForeignRoot(prototype)
}

/** An object of another realm (vm, test runner) is plain too: its prototype is that realm's root. */
function isForeignRoot(prototype: unknown): boolean {
  return (
    typeof prototype === 'object' &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'isPrototypeOf')
  )
}
