import { writeFile } from 'node:fs/promises'
import type { ImportRecord, Store, Where } from 'sutra-storage'
import { expect } from 'vitest'
import { VECTORS, vectorOf } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import type { RefusedCall } from './case.ts'

const k1 = { key: 'k1' }
const k12 = { key: 'k12' }
const query = vectorOf(1)
const where = (filter: unknown) => async (store: Store) =>
  read(store.concepts({ where: filter as Where }))
const embed = {
  ...VECTORS,
  embed: async () => {
    throw new Error('The model is away')
  }
}

export const QUERIES: RefusedCall[] = [
  {
    code: 'QUERY_INVALID',
    when: 'k is 0',
    act: async (store) => store.search(query, { k: 0 }),
    details: { option: 'k', received: 0 }
  },
  {
    code: 'QUERY_INVALID',
    when: 'k is no whole number',
    act: async (store) => store.search(query, { k: 1.5 }),
    details: { option: 'k', received: 1.5 }
  },
  {
    code: 'QUERY_INVALID',
    when: 'the depth is 0',
    act: async (store) => store.findPath(k1, k12, { maxDepth: 0 }),
    details: { option: 'maxDepth', received: 0 }
  },
  {
    code: 'QUERY_INVALID',
    when: 'an option is unknown',
    act: async (store) => store.search(query, { limit: 3 } as object),
    details: { option: 'limit' }
  },
  {
    code: 'QUERY_INVALID',
    when: 'a direction is unknown',
    act: async (store) => store.neighbors(k1, { direction: 'up' as 'out' }),
    details: { option: 'direction', received: 'up' }
  },
  {
    code: 'QUERY_INVALID',
    when: 'a filter has an unknown operator',
    act: where({ n: { near: 3 } }),
    details: { option: expect.stringContaining('near') }
  },
  {
    code: 'QUERY_INVALID',
    when: 'a strength is above 1',
    act: async (store) => store.neighbors(k1, { minStrength: 2 }),
    details: { option: 'minStrength' }
  },
  {
    code: 'QUERY_INVALID',
    when: 'events begin at no position',
    act: async (store) => read(store.events({ from: 0.5 })),
    details: { option: 'from', received: 0.5 }
  },
  {
    code: 'QUERY_INVALID',
    when: 'an event option is unknown',
    act: async (store) => read(store.events({ since: 1 } as object)),
    details: { option: 'since' }
  },
  {
    code: 'QUERY_INVALID',
    when: 'a position is beyond the head',
    act: async (store) => store.caughtUp(1e9),
    details: { option: 'position', received: 1e9 }
  },
  {
    code: 'QUERY_INVALID',
    when: 'an unknown projection is to be rebuilt',
    act: async (store) => store.rebuild({ projections: ['views'] }),
    details: { option: 'projections', received: 'views' }
  },
  {
    code: 'QUERY_INVALID',
    when: 'a concept to be like has no vector',
    act: async (store) => store.search({ like: k1 }),
    details: { option: 'like' }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'k is too large',
    act: async (store) => store.search(query, { k: 1001 }),
    details: { limit: 'searchK', value: 1001, max: 1000 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'k would abort the graph engine',
    act: async (store) => store.search(query, { k: 1e10 }),
    details: { limit: 'searchK', value: 1e10 }
  },
  {
    code: 'LIMIT_EXCEEDED',
    when: 'the depth is too large',
    act: async (store) => store.findPath(k1, k12, { maxDepth: 21 }),
    details: { limit: 'pathDepth', value: 21, max: 20 }
  },
  {
    code: 'CURSOR_INVALID',
    when: 'a cursor is no cursor',
    act: async (store) => store.neighbors(k1, { after: 'x' }),
    details: { cursor: 'x' }
  },
  {
    code: 'CURSOR_INVALID',
    when: 'a cursor of concepts is none',
    act: async (store) => read(store.concepts({ after: 'nonsense' })),
    details: { cursor: 'nonsense' }
  },
  {
    code: 'PATH_TOO_LARGE',
    when: 'a path explores too much',
    act: async (store) => store.findPath({ key: 'k7' }, k12, { maxDepth: 20 }),
    options: { limits: { pathExplored: 2 } },
    details: { explored: 3, max: 2 }
  },
  {
    code: 'CONCEPT_NOT_FOUND',
    when: 'a concept to be like does not exist',
    act: async (store) => store.search({ like: { key: 'nowhere' } }),
    details: { id: expect.any(String) }
  },
  {
    code: 'ABORTED',
    when: 'the signal of a read has fired',
    act: async (store) => store.get(k1, { signal: AbortSignal.abort() }),
    details: { operation: 'get' }
  },
  {
    code: 'ABORTED',
    when: 'the signal of a rebuild has fired',
    act: async (store) => store.rebuild({ signal: AbortSignal.abort() }),
    details: { operation: expect.any(String) }
  },
  {
    code: 'ABORTED',
    when: 'the signal of a hash has fired',
    act: async (store) => store.verify({ signal: AbortSignal.abort() }),
    details: { operation: 'verify' }
  },
  {
    code: 'EMBED_FAILED',
    when: 'the embed function fails',
    act: async (store) => store.learn({ content: 'New' }),
    options: embed,
    details: { texts: 1, reason: expect.any(String) }
  },
  {
    code: 'EMBED_FAILED',
    when: 'the embed function gives too few vectors',
    act: async (store) => store.search('text'),
    options: { ...VECTORS, embed: async () => [] },
    details: { texts: 1 }
  },
  {
    code: 'VECTOR_DIMENSION_MISMATCH',
    when: 'the embed function gives short vectors',
    act: async (store) => store.learn({ content: 'New' }),
    options: { ...VECTORS, embed: async () => [new Float32Array(2)] },
    details: { received: 2 }
  },
  {
    code: 'UNSUPPORTED',
    when: 'text is searched without an embed function',
    act: async (store) => store.search('text'),
    details: { operation: 'embed' }
  },
  {
    code: 'OPTION_INVALID',
    when: 'a dry run is to be resumed',
    act: async (store) => store.import([], { resumeKey: 'x', dryRun: true }),
    details: { option: 'resumeKey' }
  },
  {
    code: 'OPTION_INVALID',
    when: 'an option of an import is unknown',
    act: async (store) => store.import([], { skip: 1 } as object),
    details: { option: 'skip' }
  },
  {
    code: 'IMPORT_SOURCE_INVALID',
    when: 'a source is missing',
    act: async (store) => store.import('/nowhere/at/all.jsonl'),
    details: { source: '/nowhere/at/all.jsonl' }
  },
  {
    code: 'IMPORT_LINE_INVALID',
    when: 'a line of a strict import is bad',
    act: importStrictly,
    details: { line: 1, reason: expect.any(String) }
  },
  {
    code: 'IMPORT_LINE_INVALID',
    when: 'a record of a strict import is bad',
    act: async (store) =>
      store.import([{ kind: 'concept', content: '' } as ImportRecord], { strict: true }),
    details: { line: 1 }
  }
]

async function importStrictly(store: Store): Promise<unknown> {
  const source = await temporaryPath('lines.jsonl')
  await writeFile(source, '{"kind":"concept","content":\n')
  return store.import(source, { strict: true })
}

async function read(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of rows);
}
