/**
 * Hashes of everything that is stored, for comparing stores.
 *
 * `stateHash`: SHA-256 over the rows in the order of ordinals, each with its vector and its
 * outgoing associations, with versions, times and positions. A rebuild gives the same.
 * `contentHash`: without ordinals, versions, times and positions, so that an export and its import
 * agree. Rows come in another order there, so each is hashed by itself and the hashes are added up
 * as numbers of 256 bits, which no order changes (Bellare and Micciancio 1997, AdHash).
 */
import { createHash, hash } from 'node:crypto'
import { canonicalMetadata, decodeMetadata } from '../checks/metadata.ts'
import type { Pinned } from '../projections/pinned.ts'
import type { AssociationState, ConceptState } from '../projections/state.ts'
import type { Side } from '../projections/tables/keys.ts'
import { pack } from '../storage/codec.ts'
import { ReadPace } from './pace.ts'
import { scanConcepts } from './scan.ts'
import { vectorMissing } from './stored-vectors.ts'

type VectorsOf = (revisions: readonly number[]) => Promise<(Float32Array | undefined)[]>

/** @param sides `in` as well for checking that both ends of an association tell the same. */
export async function stateHashAt(
  pinned: Pinned,
  vectorsOf: VectorsOf,
  signal: AbortSignal | undefined,
  sides: readonly Side[] = ['out']
): Promise<string> {
  const digest = createHash('sha256')
  await walk(pinned, vectorsOf, signal, {
    sides,
    concept: (state, vector) => {
      digest.update(pack([state.ordinal]))
      digest.update(encodeConceptRow(state))
      if (vector !== undefined) digest.update(vector)
    },
    association: (state) => digest.update(encodeStateRow(state))
  })
  return digest.digest('hex')
}

export async function contentHashAt(
  pinned: Pinned,
  vectorsOf: VectorsOf,
  signal: AbortSignal | undefined
): Promise<string> {
  const sum = new Uint32Array(8)
  await walk(pinned, vectorsOf, signal, {
    sides: ['out'],
    concept: (state, vector) => addTo(sum, encodeContentRow(state, vector)),
    association: (state) => addTo(sum, encodeLinkRow(state))
  })
  return hash('sha256', Buffer.from(sum.buffer), 'hex')
}

interface Visitor {
  sides: readonly Side[]
  concept(state: ConceptState, vector: Uint8Array | undefined): void
  association(state: AssociationState): void
}

async function walk(
  pinned: Pinned,
  vectorsOf: VectorsOf,
  signal: AbortSignal | undefined,
  visitor: Visitor
): Promise<void> {
  const pace = new ReadPace(signal, 'hash')
  for await (const states of scanConcepts(pinned)) {
    const embedded = states.filter(({ revision }) => revision > 0)
    const vectors = await vectorsOf(embedded.map(({ revision }) => revision))
    const byOrdinal = new Map(embedded.map(({ ordinal }, i) => [ordinal, vectors[i]]))
    for (const state of states) {
      const vector = byOrdinal.get(state.ordinal)
      if (vector === undefined && state.revision > 0) throw vectorMissing(state)
      visitor.concept(state, bytesOf(vector))
      const self = { ordinal: state.ordinal, id: state.id, key: state.key }
      for (const side of visitor.sides) {
        for (const association of pinned.associations(self, side)) {
          visitor.association(association)
          if (pace.step()) await pace.rest()
        }
      }
      if (pace.step()) await pace.rest()
    }
  }
}

function bytesOf(vector: Float32Array | undefined): Uint8Array | undefined {
  if (vector === undefined) return undefined
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
}

function encodeStateRow(state: AssociationState): Buffer {
  const { source, target, version, createdAt, updatedAt, position } = state
  return pack([
    source.ordinal,
    target.ordinal,
    state.name,
    state.key ?? null,
    state.strength,
    state.confidence,
    state.metadata ?? null,
    [version, createdAt, updatedAt, position]
  ])
}

function encodeContentRow(state: ConceptState, vector: Uint8Array | undefined): Buffer {
  return pack([
    state.id,
    state.key ?? null,
    state.type ?? null,
    state.content,
    state.data ?? null,
    state.strength,
    state.confidence,
    canonicalMetadata(decodeMetadata(state.metadata)),
    vector ?? null,
    state.stub
  ])
}

function encodeLinkRow(state: AssociationState): Buffer {
  return pack([
    state.source.id,
    state.target.id,
    state.name,
    state.key ?? null,
    state.strength,
    state.confidence,
    canonicalMetadata(decodeMetadata(state.metadata))
  ])
}

/** Adds a row's hash to the sum, with carry, modulo 2^256. */
function addTo(sum: Uint32Array, row: Buffer): void {
  const digest = hash('sha256', row, 'buffer')
  let carry = 0
  for (let word = 0; word < sum.length; word++) {
    const total = (sum[word] ?? 0) + digest.readUInt32LE(word * 4) + carry
    sum[word] = total
    carry = total > 0xffffffff ? 1 : 0
  }
}

/** Backups name a hash: this layout stays, whatever the rows of the tables look like. */
function encodeConceptRow(state: ConceptState): Buffer {
  return pack([
    Buffer.from(state.id, 'hex'),
    state.key ?? null,
    state.type ?? null,
    state.content,
    state.data ?? null,
    state.strength,
    state.confidence,
    state.metadata ?? null,
    state.revision,
    state.vectorPosition,
    state.version,
    state.createdAt,
    state.updatedAt,
    state.position,
    state.stub
  ])
}
