import type { Level, LevelBatch } from '../../storage/level.ts'
import { postingKey } from './index-keys.ts'
import {
  checkPosting,
  decodeEntries,
  decodePartCounts,
  type Edits,
  type Entries,
  encodeEntries,
  encodePartCounts,
  GONE,
  GROUP_BITS,
  hasEntries,
  joinEntries,
  merge,
  NO_ENTRIES,
  PARTS,
  partFor,
  ROW_ENTRIES_MAX,
  splitEntries
} from './postings.ts'
import { openRow, rowDamaged, sealRow } from './rows.ts'

interface EditedGroup extends Edits {
  readonly prefix: Buffer
  readonly group: number
}

/** Changes of postings, gathered without a read; rows are read once, when the batch is written. */
export class PostingEditor {
  readonly #level: Level
  readonly #groups = new Map<string, EditedGroup>()
  /** Changes that follow each other mostly are of one group. */
  #last: EditedGroup | undefined

  constructor(level: Level) {
    this.#level = level
  }

  /** Adds an entry, or gives it another revision. @param prefix Field, kind and value. */
  put(prefix: Buffer, ordinal: number, revision: number): void {
    const { lows, revisions } = this.#group(prefix, ordinal)
    lows.push(ordinal & 0xffff)
    revisions.push(revision)
  }

  remove(prefix: Buffer, ordinal: number): void {
    this.put(prefix, ordinal, GONE)
  }

  /** @throws StoreError `TABLES_DAMAGED`: an entry that should be there is not. */
  flush(batch: LevelBatch): void {
    for (const edited of this.#groups.values()) this.#flushGroup(edited, batch)
  }

  /** After the batch was written. */
  clear(): void {
    this.#groups.clear()
    this.#last = undefined
  }

  #group(prefix: Buffer, ordinal: number): EditedGroup {
    const group = ordinal >>> GROUP_BITS
    if (this.#last?.prefix === prefix && this.#last.group === group) return this.#last
    const name = prefix.toString('latin1') + String.fromCharCode(group)
    const found = this.#groups.get(name) ?? { prefix, group, lows: [], revisions: [] }
    this.#groups.set(name, found)
    this.#last = found
    return found
  }

  #flushGroup(edited: EditedGroup, batch: LevelBatch): void {
    const key = postingKey(edited.prefix, edited.group, 0)
    const payload = this.#read(key)
    if (payload !== undefined && !hasEntries(payload)) {
      this.#flushParts(edited, decodePartCounts(payload), batch)
      return
    }
    const before = payload === undefined ? NO_ENTRIES : decodeEntries(payload)
    const after = mergeAt(key, before, edited)
    if (after.lows.length <= ROW_ENTRIES_MAX) {
      putEntries(batch, key, after)
      return
    }
    const parts = splitEntries(after)
    for (const [at, part] of parts.entries()) {
      if (part.lows.length > 0) putEntries(batch, partKey(edited, at + 1), part)
    }
    putCounts(
      batch,
      key,
      Uint16Array.from(parts, ({ lows }) => lows.length)
    )
  }

  #flushParts(edited: EditedGroup, counts: Uint16Array, batch: LevelBatch): void {
    const changed = new Map<number, Entries>()
    for (const [part, edits] of byPart(edited)) {
      const key = partKey(edited, part)
      const after = mergeAt(key, this.#partEntries(key), edits)
      changed.set(part, after)
      counts[part - 1] = after.lows.length
    }
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (total > ROW_ENTRIES_MAX) {
      for (const [part, entries] of changed) putEntries(batch, partKey(edited, part), entries)
      putCounts(batch, partKey(edited, 0), counts)
      return
    }
    const parts: Entries[] = []
    for (let part = 1; part <= PARTS; part++) {
      const key = partKey(edited, part)
      parts.push(changed.get(part) ?? this.#partEntries(key))
      batch.del(key)
    }
    putEntries(batch, partKey(edited, 0), joinEntries(parts))
  }

  #partEntries(key: Buffer): Entries {
    const payload = this.#read(key)
    return payload === undefined ? NO_ENTRIES : decodeEntries(payload)
  }

  #read(key: Buffer): Buffer | undefined {
    const value = this.#level.getSync(key)
    return value === undefined ? undefined : checkPosting(key, openRow(key, value))
  }
}

function partKey({ prefix, group }: EditedGroup, part: number): Buffer {
  return postingKey(prefix, group, part)
}

function byPart({ lows, revisions }: Edits): Map<number, Edits> {
  const parts = new Map<number, Edits>()
  for (const [at, low] of lows.entries()) {
    const part = partFor(low)
    const edits = parts.get(part) ?? { lows: [], revisions: [] }
    edits.lows.push(low)
    edits.revisions.push(revisions[at] ?? GONE)
    parts.set(part, edits)
  }
  return parts
}

function mergeAt(key: Buffer, before: Entries, edits: Edits): Entries {
  const after = merge(before, edits)
  if (after === undefined) throw rowDamaged(key, 'an entry is missing')
  return after
}

function putEntries(batch: LevelBatch, key: Buffer, entries: Entries): void {
  if (entries.lows.length === 0) batch.del(key)
  else batch.put(key, sealRow(key, encodeEntries(entries)))
}

function putCounts(batch: LevelBatch, key: Buffer, counts: Uint16Array): void {
  batch.put(key, sealRow(key, encodePartCounts(counts)))
}
