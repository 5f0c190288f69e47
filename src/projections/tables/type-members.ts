/** Which concepts each type has, and how many, as a batch changes them. */
import type { Level, LevelBatch } from '../../storage/level.ts'
import type { Span } from '../../storage/message-reader.ts'
import type { ConceptState } from '../state.ts'
import { typePrefix } from './keys.ts'
import { PostingEditor } from './posting-editor.ts'
import { TypeCounts } from './type-counts.ts'

/** A type, the same as UTF-8, and what stands before its postings. */
interface KnownType {
  name: string
  bytes: Buffer
  prefix: Buffer
}

export class TypeMembers {
  readonly #counts: TypeCounts
  readonly #postings: PostingEditor
  /** That came last: mostly the next one is the same. */
  #last: KnownType | undefined

  constructor(level: Level) {
    this.#counts = new TypeCounts(level)
    this.#postings = new PostingEditor(level)
  }

  /** Adds a concept that was learned just now, whose type lies there in the body of a frame. */
  add(body: Buffer, { at, end }: Span, ordinal: number, revision: number): void {
    const last = this.#last
    const isLast = last !== undefined && isSame(last.bytes, body, at, end)
    const { name, prefix } = isLast ? last : this.#known(body.toString('utf8', at, end))
    this.#postings.put(prefix, ordinal, revision)
    this.#counts.add(name, 1)
  }

  /** Follows a concept from one version to the next; `undefined` before its time and behind it. */
  move(ordinal: number, before: ConceptState | undefined, after: ConceptState | undefined): void {
    const [from, to] = [before?.type, after?.type]
    const isSameType = from === to
    if (from !== undefined && !isSameType) {
      this.#postings.remove(this.#known(from).prefix, ordinal)
      this.#counts.add(from, -1)
    }
    if (to === undefined || (isSameType && before?.revision === after?.revision)) return
    this.#postings.put(this.#known(to).prefix, ordinal, after?.revision ?? 0)
    if (!isSameType) this.#counts.add(to, 1)
  }

  /** Puts every change into the batch. @throws StoreError `TABLES_DAMAGED` */
  flush(batch: LevelBatch): void {
    this.#counts.flush(batch)
    this.#postings.flush(batch)
  }

  /** After the batch was written. */
  clear(): void {
    this.#counts.clear()
    this.#postings.clear()
  }

  #known(name: string): KnownType {
    if (this.#last?.name === name) return this.#last
    this.#last = { name, bytes: Buffer.from(name), prefix: typePrefix(name) }
    return this.#last
  }
}

/** A loop: types are short, and a call that leaves JavaScript costs more. */
function isSame(bytes: Buffer, other: Buffer, at: number, end: number): boolean {
  if (bytes.length !== end - at) return false
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== other[at + i]) return false
  return true
}
