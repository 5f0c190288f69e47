import { type Command, ConceptId, type Store } from 'sutra-storage'
import { expect } from 'vitest'
import { DIMENSIONS, vectorOf } from '../support/sample.ts'
import type { RefusedCall } from './case.ts'

const k1 = { key: 'k1' }
const k2 = { key: 'k2' }
const nowhere = { key: 'nowhere' }
const next = { source: { key: 'k3' }, target: { key: 'k4' }, type: 'next' }
const nowhereId = ConceptId.fromKey('nowhere')
const MiB = 1024 * 1024

/** Commands of JavaScript programs, which no compiler has seen. */
const raw = (command: object) => async (store: Store) => store.commit([command as Command])
const learn = (fields: object) =>
  raw({ do: 'learn', id: { key: 'new' }, content: 'New', ...fields })
const embedding = (change: (vector: Float32Array) => void) => {
  const vector = vectorOf(1)
  change(vector)
  return learn({ embedding: vector })
}
const metadata = (value: unknown) => learn({ metadata: { a: { b: [value] } } })
const invalid = (field: string, command = 0) => ({
  command,
  field,
  expected: expect.any(String)
})
const metadataAt = (path: string) => ({ command: 0, path, reason: expect.any(String) })

export const COMMANDS: RefusedCall[] = [
  {
    code: 'COMMAND_INVALID',
    when: 'content is empty',
    act: learn({ content: '' }),
    details: invalid('content')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'content is not well-formed',
    act: learn({ content: 'a\ud800' }),
    details: invalid('content')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'a command is unknown',
    act: raw({ do: 'unlearn', id: k1 }),
    details: { ...invalid('do'), received: 'unlearn' }
  },
  {
    code: 'COMMAND_INVALID',
    when: 'a field is unknown',
    act: learn({ contents: 'x' }),
    details: invalid('contents')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'an association has a field of a concept',
    act: raw({ do: 'associate', ...next, content: 'x' }),
    details: invalid('content')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'an id has a field too many',
    act: raw({ do: 'forget', id: { key: 'k1', id: 'x' } }),
    details: { command: 0 }
  },
  {
    code: 'COMMAND_INVALID',
    when: 'strength is above 1',
    act: learn({ strength: 1.01 }),
    details: { ...invalid('strength'), received: 1.01 }
  },
  {
    code: 'COMMAND_INVALID',
    when: 'strength is below 0',
    act: learn({ strength: -0.01 }),
    details: invalid('strength')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'confidence is NaN',
    act: learn({ confidence: Number.NaN }),
    details: invalid('confidence')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'the confidence of an association is infinite',
    act: raw({ do: 'associate', ...next, confidence: Number.POSITIVE_INFINITY }),
    details: invalid('confidence')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'a change is infinite',
    act: raw({ do: 'reinforce', target: k1, strength: { by: Number.NEGATIVE_INFINITY } }),
    details: invalid('strength.by')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'nothing is reinforced',
    act: async (store) => store.reinforce(k1, {}),
    details: invalid('strength')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'nothing is revised',
    act: async (store) => store.revise(k1, {}),
    details: invalid('patch')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'a type is empty',
    act: learn({ type: '' }),
    details: invalid('type')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'a type holds NUL',
    act: learn({ type: 'a\0b' }),
    details: invalid('type')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'ifExists is unknown',
    act: learn({ ifExists: 'ignore' }),
    details: invalid('ifExists')
  },
  {
    code: 'COMMAND_INVALID',
    when: 'a commit is empty',
    act: async (store) => store.commit([]),
    details: { field: 'commands' }
  },
  {
    code: 'COMMAND_INVALID',
    when: 'the last command of a commit is bad',
    act: async (store) => store.commit([...news(5), { do: 'learn', content: '' }]),
    details: invalid('content', 5)
  },
  {
    code: 'COMMAND_INVALID',
    when: 'an expected version is negative',
    act: async (store) => store.forget(k1, { expect: [{ head: -1 }] }),
    details: { field: 'expect.head', received: -1 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'content is too large',
    act: learn({ content: 'x'.repeat(10 * MiB + 1) }),
    details: { command: 0, limit: 'contentBytes', value: 10 * MiB + 1, max: 10 * MiB }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'content is too large as UTF-8 alone',
    act: learn({ content: 'ä'.repeat(5 * MiB + 1) }),
    details: { limit: 'contentBytes', value: 10 * MiB + 2, max: 10 * MiB }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'data is too large',
    act: learn({ data: new Uint8Array(10 * MiB + 1) }),
    details: { limit: 'contentBytes' }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'metadata is too large',
    act: learn({ metadata: { text: 'x'.repeat(65_537) } }),
    details: { command: 0, limit: 'metadataBytes', max: 65_536 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'metadata grows too large by a merge',
    act: mergeTwice,
    details: { command: 1, limit: 'metadataBytes', max: 65_536 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'a key is too long',
    act: learn({ id: { key: 'k'.repeat(513) } }),
    details: { limit: 'keyBytes', value: 513, max: 512 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'an idempotency key is too long',
    act: async (store) => store.forget(k1, { idempotencyKey: 'k'.repeat(513) }),
    details: { limit: 'keyBytes', value: 513 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'headers are too large',
    act: async (store) => store.forget(k1, { headers: { a: 'x'.repeat(65_537) } }),
    details: { limit: 'metadataBytes' }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'a commit has too many commands',
    act: async (store) => store.commit(news(1001)),
    details: { limit: 'commitCommands', value: 1001, max: 1000 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'a commit has more than 64 MiB',
    act: async (store) => store.commit(large(7)),
    details: { limit: 'commitBytes', max: 64 * MiB }
  },
  {
    code: 'ID_INVALID',
    when: 'an id is too short',
    act: learn({ id: 'abc' }),
    details: { received: 'abc' }
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
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'a target does not exist',
    act: raw({ do: 'associate', source: k1, target: nowhere, type: 'x' }),
    details: { command: 0, id: nowhereId, key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'a source does not exist',
    act: raw({ do: 'associate', source: nowhere, target: k1, type: 'x' }),
    details: { id: nowhereId }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'an end was forgotten',
    act: raw({ do: 'associate', source: { key: 'k6' }, target: k1, type: 'x' }),
    details: { key: 'k6' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'an end is forgotten in the same commit',
    act: async (store) =>
      store.commit([
        { do: 'forget', id: k2 },
        { do: 'associate', source: k1, target: k2, type: 'x' }
      ]),
    details: { command: 1, key: 'k2' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'what is forgotten does not exist',
    act: async (store) => store.forget(nowhere),
    details: { key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'what is revised does not exist',
    act: async (store) => store.revise(nowhere, { content: 'x' }),
    details: { key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'what is reinforced does not exist',
    act: async (store) => store.reinforce(nowhere, { strength: 1 }),
    details: { key: 'nowhere' }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'a path begins nowhere',
    act: async (store) => store.findPath(nowhere, k1),
    details: { id: nowhereId }
  },
  {
    code: 'CONCEPT_EXISTS',
    when: 'a concept is to be new',
    act: learn({ id: k1, ifExists: 'fail' }),
    details: { command: 0, id: ConceptId.fromKey('k1'), version: 2 }
  },
  {
    code: 'ASSOCIATION_NOT_FOUND',
    when: 'what is dissociated does not exist',
    act: async (store) => store.dissociate({ ...next, key: 'x' }),
    details: { command: 0, type: 'next', key: 'x', source: ConceptId.fromKey('k3') }
  },
  {
    code: 'ASSOCIATION_NOT_FOUND',
    when: 'an end of it does not exist',
    act: async (store) => store.reinforce({ ...next, target: nowhere }, { strength: 1 }),
    details: { target: nowhereId }
  },
  {
    code: 'ASSOCIATION_NOT_FOUND',
    when: 'what is revised does not exist',
    act: async (store) => store.revise({ ...next, type: 'other' }, { metadata: {} }),
    details: { type: 'other' }
  },
  {
    code: 'ASSOCIATION_EXISTS',
    when: 'an association is to be new',
    act: raw({ do: 'associate', ...next, ifExists: 'fail' }),
    details: { command: 0, type: 'next', version: 1 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'the head is another',
    act: async (store) => store.forget(k1, { expect: [{ head: 3 }] }),
    details: { subject: 'head', expected: 3 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'the version of a concept is another',
    act: async (store) => store.forget(k1, { expect: [{ concept: k1, version: 1 }] }),
    details: { expected: 1, actual: 2 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'a concept exists',
    act: async (store) => store.forget(k1, { expect: [{ concept: k2, version: 0 }] }),
    details: { expected: 0, actual: 2 }
  },
  {
    code: 'EXPECTATION_FAILED',
    when: 'the version of an association is another',
    act: async (store) => store.dissociate(next, { expect: [{ association: next, version: 2 }] }),
    details: { expected: 2, actual: 1 }
  },
  {
    code: 'IDEMPOTENCY_CONFLICT',
    when: 'a key was used for other commands',
    act: async (store) => store.forget(k1, { idempotencyKey: 'a3' }),
    details: { idempotencyKey: 'a3' }
  },
  {
    code: 'OPTION_INVALID',
    when: 'an option of a commit is unknown',
    act: async (store) => store.forget(k1, { durable: true } as object),
    details: { option: 'durable' }
  },
  {
    code: 'OPTION_INVALID',
    when: 'a durability is unknown',
    act: async (store) => store.forget(k1, { durability: 'sync' as 'os' }),
    details: { option: 'durability', received: 'sync' }
  },
  {
    code: 'ABORTED',
    when: 'the signal of a commit has fired',
    act: async (store) => store.forget(k1, { signal: AbortSignal.abort() }),
    details: { operation: 'commit' }
  }
]

function news(count: number): Command[] {
  return Array.from({ length: count }, (_, n) => ({ do: 'learn', content: `New ${n}` }))
}

function large(count: number): Command[] {
  const content = 'x'.repeat(10 * MiB - 1)
  return Array.from({ length: count }, (_, n) => ({ do: 'learn', content: `${content}${n}` }))
}

async function mergeTwice(store: Store): Promise<unknown> {
  const half = 'x'.repeat(40_000)
  return store.commit([
    { do: 'revise', target: k1, metadata: { a: half } },
    { do: 'revise', target: k1, metadata: { b: half } }
  ])
}

function nested(depth: number): object {
  let value: object = {}
  for (let level = 1; level < depth; level++) value = { value }
  return value
}

async function read(events: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of events);
}
