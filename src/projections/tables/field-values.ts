import type { IndexType } from '../../options.ts'
import { metadataReader } from '../metadata-path.ts'
import type { ConceptState } from '../state.ts'
import {
  countPrefix,
  encodeValue,
  fieldPrefix,
  type IndexedValue,
  type PostingKind
} from './index-keys.ts'

/** One value that a concept is found by. */
export interface FieldValue {
  readonly kind: PostingKind
  readonly encoded: Buffer
}

type DecodedMetadata = Readonly<Record<string, unknown>>

/** What of a concept an index of one field stores. */
export class FieldValues {
  readonly #type: IndexType
  readonly #read: (metadata: DecodedMetadata) => unknown
  readonly #prefixes: Readonly<Record<PostingKind, Buffer>>
  readonly countPrefixes: Readonly<Record<PostingKind, Buffer>>

  constructor(field: string, type: IndexType) {
    this.#type = type
    this.#read = metadataReader(field)
    this.#prefixes = {
      scalar: fieldPrefix(field, type, 'scalar'),
      element: fieldPrefix(field, type, 'element')
    }
    this.countPrefixes = {
      scalar: countPrefix(field, type, 'scalar'),
      element: countPrefix(field, type, 'element')
    }
  }

  /** By their bytes: elements that are equal, or are cut alike, count once. */
  of(metadata: DecodedMetadata | undefined): Map<string, FieldValue> {
    const values = new Map<string, FieldValue>()
    const value = metadata === undefined ? undefined : this.#read(metadata)
    if (!Array.isArray(value)) {
      this.#add(values, 'scalar', value)
      return values
    }
    for (const element of value) this.#add(values, 'element', element)
    return values
  }

  keyPrefix({ kind, encoded }: FieldValue): Buffer {
    return Buffer.concat([this.#prefixes[kind], encoded])
  }

  #add(values: Map<string, FieldValue>, kind: PostingKind, value: unknown): void {
    if (!isOf(value, this.#type)) return
    const encoded = encodeValue(value)
    values.set(`${kind} ${encoded.toString('latin1')}`, { kind, encoded })
  }
}

/** Whether two versions of a concept are the same to every index. */
export function isSameToIndexes(
  before: ConceptState | undefined,
  after: ConceptState | undefined
): boolean {
  return before?.metadata === after?.metadata && before?.revision === after?.revision
}

function isOf(value: unknown, type: IndexType): value is IndexedValue {
  return typeof value === type
}
