/** Commands and options of commits that are malformed or too large. */
import type { Command, Store } from 'sutra-storage'
import { expect } from 'vitest'
import { learn, type RefusedCall, raw } from './case.ts'

const k1 = { key: 'k1' }
const next = { source: { key: 'k3' }, target: { key: 'k4' }, type: 'next' }
const MiB = 1024 * 1024

const invalid = (field: string, command = 0) => ({ command, field, expected: expect.any(String) })

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
