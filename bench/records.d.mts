import type { AssociationRecord, ConceptRecord } from 'sutra-storage'

export interface DrawnAssociation {
  source: number
  target: number
  type: string
}

export function seededRandom(seed: number): () => number
export function keyOf(concept: number): string
export function contentOf(concept: number): string
export function conceptRecords(from: number, to: number): Generator<ConceptRecord>
export function associationRecords(
  concepts: number,
  each: number,
  seed: number
): Generator<AssociationRecord>
export function associationsOf(
  concepts: number,
  each: number,
  seed: number
): Generator<DrawnAssociation>
export function targetsOf(source: number, concepts: number, each: number, seed: number): number[]
export function bareKey(concept: number): Buffer
export function bareKeysOfAssociation(association: DrawnAssociation): [Buffer, Buffer]
