/** Ids, metadata and vectors that are not what they must be. */
import { ConceptId } from 'sutra-storage'
import { expect } from 'vitest'
import { DIMENSIONS, vectorOf } from '../support/sample.ts'
import { learn, type RefusedCall } from './case.ts'

const metadata = (value: unknown) => learn({ metadata: { a: { b: [value] } } })
const metadataAt = (path: string) => ({ command: 0, path, reason: expect.any(String) })
const embedding = (change: (vector: Float32Array) => void) => {
  const vector = vectorOf(1)
  change(vector)
  return learn({ embedding: vector })
}

export const VALUES: RefusedCall[] = [
  {
    code: 'ID_INVALID',
    when: 'an id is too short',
    act: learn({ id: 'abc' }),
    details: { received: 'abc' }
  },
  {
    code: 'ID_INVALID',
    when: 'one id of a commit is none',
    act: async (store) => {
      const good = { do: 'learn', content: 'good' } as const
      await store.commit([good, good, { do: 'forget', id: 'k1' as ConceptId }])
    },
    details: { command: 2, received: 'k1' }
  },
  {
    code: 'ID_INVALID',
    when: 'an id has upper-case digits',
    act: learn({ id: 'A'.repeat(32) }),
    details: { received: 'A'.repeat(32) }
  },
  {
    code: 'ID_INVALID',
    when: 'fromHex gets anything else',
    act: () => ConceptId.fromHex('xyz'),
    details: { received: 'xyz' }
  },
  {
    code: 'ID_INVALID',
    when: 'what is read is no id',
    act: async (store) => store.get('k1' as ConceptId),
    details: { received: 'k1' }
  },
  {
    code: 'ID_INVALID',
    when: 'events are asked of no id',
    act: async (store) => read(store.events({ concept: 'k1' as ConceptId })),
    details: { received: 'k1' }
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds NaN',
    act: metadata(Number.NaN),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds infinity',
    act: metadata(Number.NEGATIVE_INFINITY),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds -0',
    act: metadata(-0),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds undefined',
    act: metadata(undefined),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds a big integer',
    act: metadata(1n),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds a function',
    act: metadata(() => 1),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds a date',
    act: metadata(new Date(0)),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds a map',
    act: metadata(new Map()),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds bytes',
    act: metadata(new Uint8Array(1)),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata holds a lone surrogate',
    act: metadata('\ud800'),
    details: metadataAt('a.b[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'a name is a lone surrogate',
    act: metadata({ '\udc00': 1 }),
    details: { command: 0 }
  },
  {
    code: 'METADATA_INVALID',
    when: 'a name is __proto__',
    act: metadata(JSON.parse('{"__proto__":1}')),
    details: metadataAt('a.b[0].__proto__')
  },
  {
    code: 'METADATA_INVALID',
    when: 'an array has a hole',
    act: learn({ metadata: { list: new Array(2) } }),
    details: metadataAt('list[0]')
  },
  {
    code: 'METADATA_INVALID',
    when: 'metadata is nested too deep',
    act: learn({ metadata: nested(65) }),
    details: { command: 0 }
  },
  {
    code: 'VECTOR_INVALID',
    when: 'a number is NaN',
    act: embedding((vector) => {
      vector[2] = Number.NaN
    }),
    details: { command: 0, index: 2, reason: expect.any(String) }
  },
  {
    code: 'VECTOR_INVALID',
    when: 'a number is infinite',
    act: embedding((vector) => {
      vector[0] = Number.POSITIVE_INFINITY
    }),
    details: { command: 0, index: 0 }
  },
  {
    code: 'VECTOR_INVALID',
    when: 'a number is infinite as f32 alone',
    act: learn({ embedding: [1e39, ...new Array(DIMENSIONS - 1).fill(1)] }),
    details: { command: 0, index: 0 }
  },
  {
    code: 'VECTOR_INVALID',
    when: 'the norm is zero',
    act: embedding((vector) => vector.fill(0)),
    details: { command: 0, reason: expect.stringContaining('zero') }
  },
  {
    code: 'VECTOR_INVALID',
    when: 'a query is NaN',
    act: async (store) => store.search(vectorOf(1).fill(Number.NaN)),
    details: { index: 0 }
  },
  {
    code: 'VECTOR_DIMENSION_MISMATCH',
    when: 'an embedding is too short',
    act: learn({ embedding: [1, 2] }),
    details: { command: 0, expected: DIMENSIONS, received: 2 }
  },
  {
    code: 'VECTOR_DIMENSION_MISMATCH',
    when: 'a query is too long',
    act: async (store) => store.search(new Float32Array(DIMENSIONS + 1).fill(1)),
    details: { expected: DIMENSIONS, received: DIMENSIONS + 1 }
  }
]

function nested(depth: number): object {
  let value: object = {}
  for (let level = 1; level < depth; level++) value = { value }
  return value
}

async function read(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}
