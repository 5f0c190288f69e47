/**
 * Every key of the tables' LevelDB, on one page. Keys sort byte-wise; integers are big endian.
 *
 * | prefix | rest of the key                          | value                        | owner          |
 * | ------ | ---------------------------------------- | ---------------------------- | -------------- |
 * | `c`    | ordinal u32                              | concept                      | rows.ts        |
 * | `f`    | field, kind, value, group u16, part u8   | ordinals with that value     | postings.ts    |
 * | `g`    | field, kind, first bytes of values       | how many, by the next byte   | value-counts.ts|
 * | `i`    | id, 16 bytes                             | ordinal, version of its death| rows.ts        |
 * | `k`    | idempotency key, UTF-8                   | position of its commit       | rows.ts        |
 * | `m`    | name, ASCII                              | anchor, checkpoint, counts, gap, indexes, layout, store, vectors | rows.ts |
 * | `n`    | ordinal u32, page u32                    | associations that come in    | page.ts        |
 * | `o`    | ordinal u32, page u32                    | associations that go out     | page.ts        |
 * | `r`    | batch number, 6 bytes                    | continuity record            | rows.ts        |
 * | `t`    | type, UTF-8                              | concepts of that type        | rows.ts        |
 * | `x`    | ordinal u32                              | dead, its pages not yet erased | rows.ts      |
 * | `z`    | type, UTF-8, 0x00, group u16, part u8    | ordinals of that type        | postings.ts    |
 *
 * Prefixes are part of the format of the tables: never reuse one, not even a retired one. Types
 * hold no 0x00 byte: append/ refuses it, so that `z` keys cannot be read in two ways. How fields
 * and values stand in the keys of `f` and `g` is told in index-keys.ts.
 */
export const PREFIX = {
  concept: 0x63,
  posting: 0x66,
  valueCount: 0x67,
  id: 0x69,
  idempotency: 0x6b,
  meta: 0x6d,
  incoming: 0x6e,
  outgoing: 0x6f,
  record: 0x72,
  typeCount: 0x74,
  dead: 0x78,
  typeMember: 0x7a
} as const

export type Side = 'out' | 'in'

type MetaName =
  | 'anchor'
  | 'checkpoint'
  | 'counts'
  | 'gap'
  | 'indexes'
  | 'layout'
  | 'store'
  | 'vectors'

export const META: Readonly<Record<MetaName, Buffer>> = {
  anchor: metaKey('anchor'),
  checkpoint: metaKey('checkpoint'),
  counts: metaKey('counts'),
  gap: metaKey('gap'),
  indexes: metaKey('indexes'),
  layout: metaKey('layout'),
  store: metaKey('store'),
  vectors: metaKey('vectors')
}

const U32 = 4

export const PAGE_KEY_BYTES: number = 1 + U32 + U32

export function conceptKey(ordinal: number): Buffer {
  return ordinalKey(PREFIX.concept, ordinal)
}

/** Where an id begins in its key. */
export const ID_AT = 1

export function idKey(id: string): Buffer {
  const key = Buffer.allocUnsafe(17)
  key[0] = PREFIX.id
  key.write(id, ID_AT, 16, 'hex')
  return key
}

export function idempotencyKey(key: string): Buffer {
  return textKey(PREFIX.idempotency, key)
}

export function pageKey(side: Side, ordinal: number, page: number): Buffer {
  const key = Buffer.allocUnsafe(PAGE_KEY_BYTES)
  writePageKey(key, side, ordinal, page)
  return key
}

/** The same into memory that is there already. */
export function writePageKey(key: Buffer, side: Side, ordinal: number, page: number): void {
  key[0] = side === 'out' ? PREFIX.outgoing : PREFIX.incoming
  key.writeUInt32BE(ordinal, 1)
  key.writeUInt32BE(page, 1 + U32)
}

export function recordKey(batch: number): Buffer {
  const key = Buffer.allocUnsafe(7)
  key[0] = PREFIX.record
  key.writeUIntBE(batch, 1, 6)
  return key
}

export function typeCountKey(type: string): Buffer {
  return textKey(PREFIX.typeCount, type)
}

export function deadKey(ordinal: number): Buffer {
  return ordinalKey(PREFIX.dead, ordinal)
}

/** In front of group and part. */
export function typePrefix(type: string): Buffer {
  const length = Buffer.byteLength(type)
  const prefix = Buffer.alloc(1 + length + 1)
  prefix[0] = PREFIX.typeMember
  prefix.write(type, 1, 'utf8')
  return prefix
}

/** The first key behind every key that begins with this prefix byte. */
export function endOf(prefix: number): Buffer {
  return Buffer.from([prefix + 1])
}

/** The ordinal at the end of a key of `c` or `x`. */
export function ordinalOf(key: Buffer): number {
  return key.readUInt32BE(key.length - U32)
}

function ordinalKey(prefix: number, ordinal: number): Buffer {
  const key = Buffer.allocUnsafe(1 + U32)
  key[0] = prefix
  key.writeUInt32BE(ordinal, 1)
  return key
}

function textKey(prefix: number, text: string): Buffer {
  const key = Buffer.allocUnsafe(1 + Buffer.byteLength(text))
  key[0] = prefix
  key.write(text, 1, 'utf8')
  return key
}

function metaKey(name: string): Buffer {
  return textKey(PREFIX.meta, name)
}
