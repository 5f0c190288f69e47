/** What a search was asked, as the vector to be near to. */

import { embedTexts } from '../checks/embed.ts'
import type { VectorShape } from '../checks/vector.ts'
import { show } from '../errors.ts'
import type { IdInput } from '../ids.ts'
import type { Embed, Limits } from '../options.ts'
import type { SearchQuery } from '../types.ts'
import { queryInvalid } from './read-options.ts'
import { checkQueryVector } from './search-options.ts'

/** A checked query: a vector, or a concept whose vector it is. */
export type Asked = { vector: Float32Array } | { like: IdInput }

export interface QueryContext {
  limits: Readonly<Limits>
  embed: Embed | undefined
  shape: VectorShape
  signal: AbortSignal | undefined
  /** Fires when the store closes. */
  closing: AbortSignal
}

/**
 * Asynchronous only for a text, which is embedded before a state is held: a model that takes its
 * time keeps neither tables open nor a store from closing.
 *
 * @throws TypeError, StoreError `QUERY_INVALID`, `VECTOR_INVALID`, `VECTOR_DIMENSION_MISMATCH`;
 *   rejects with `UNSUPPORTED`, `EMBED_FAILED`, `ABORTED`, `STORE_CLOSED`.
 */
export function checkQuery(query: SearchQuery, context: QueryContext): Asked | Promise<Asked> {
  const { shape, limits } = context
  if (typeof query === 'string') return embedQuery(query, context)
  if (query instanceof Float32Array || Array.isArray(query)) {
    return { vector: checkQueryVector(query, shape, limits) }
  }
  if (typeof query !== 'object' || query === null || ArrayBuffer.isView(query)) {
    throw new TypeError(`'query' must be a vector, a text or an object, received ${show(query)}`)
  }
  // Neither a text nor a list, as was seen above.
  const { vector, like, text, ...rest } = query as {
    vector?: unknown
    like?: IdInput
    text?: unknown
  }
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw queryInvalid(unknown, 'present', 'absent: no such query')
  if ([vector, like, text].filter((one) => one !== undefined).length !== 1) {
    throw queryInvalid('query', 'several or none', 'one of vector, like, text')
  }
  if (like !== undefined) return { like }
  if (vector !== undefined) return { vector: checkQueryVector(vector, shape, limits) }
  return embedQuery(text, context)
}

async function embedQuery(text: unknown, context: QueryContext): Promise<Asked> {
  const { shape, limits, embed, signal, closing } = context
  if (typeof text !== 'string') {
    throw new TypeError(`'text' must be a string, received ${show(text)}`)
  }
  const [embedded] = await embedTexts(embed, [text], { signal, closing })
  return { vector: checkQueryVector(embedded, shape, limits) }
}
