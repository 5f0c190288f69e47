/** Commits for tests of the log: small, and told apart by the content of their concepts. */
import { ConceptId } from '#sutra/ids.js'
import type { LogEvent } from '#sutra/log/event.js'
import type { Frame, LogCommit } from '#sutra/log/frame.js'

export const TIME = 1_700_000_000_000

/** One event for each content. The ordinal is the position. */
export function commitOf(first: number, contents: readonly string[]): LogCommit {
  const events = contents.map((content, index) => learned(first + index, content))
  return { time: TIME + first, first, meta: undefined, events }
}

function learned(ordinal: number, content: string): LogEvent {
  return {
    type: 'concept-learned',
    ordinal,
    id: ConceptId.fromContent(content),
    version: 1,
    created: true,
    fields: { content }
  }
}

/** The contents of a frame's concepts, in order. */
export function contentsOf(frame: Frame): string[] {
  return frame.commits.flatMap((commit) =>
    commit.events.map((event) =>
      event.type === 'concept-learned' ? (event.fields.content ?? '') : event.type
    )
  )
}

export async function framesOf(frames: AsyncIterable<Frame>): Promise<Frame[]> {
  const found: Frame[] = []
  for await (const frame of frames) found.push(frame)
  return found
}

const id = ConceptId.fromContent('a')
const end = { ordinal: 1, id, key: undefined }
const other = { ordinal: 2, id: ConceptId.fromKey('b'), key: 'b' }
/** One event of every type, with every field somewhere. */
export const EVENTS: LogEvent[] = [
  learned(1, 'a'),
  {
    type: 'concept-learned',
    ordinal: 2,
    id: other.id,
    version: 1,
    created: true,
    fields: {
      key: 'b',
      type: 'letter',
      content: 'b',
      data: Buffer.from([1, 2]),
      strength: 0.5,
      confidence: 0.25,
      metadata: Buffer.from([0x80]),
      vector: { space: 'default', revision: 1, bytes: Buffer.alloc(8, 1) },
      stub: true
    }
  },
  {
    type: 'concept-reinforced',
    ordinal: 1,
    id,
    version: 2,
    created: false,
    fields: { strength: 0 }
  },
  {
    type: 'concept-revised',
    ordinal: 2,
    id: other.id,
    version: 2,
    created: false,
    fields: { type: null, data: null, metadata: null, vector: null }
  },
  {
    type: 'association-created',
    source: end,
    target: other,
    name: 'before',
    key: undefined,
    version: 1,
    created: true,
    fields: { strength: 0.1, confidence: 0.2, metadata: Buffer.from([0x80]) }
  },
  {
    type: 'association-reinforced',
    source: end,
    target: other,
    name: 'before',
    key: undefined,
    version: 2,
    created: false,
    fields: { confidence: 1 }
  },
  {
    type: 'association-revised',
    source: other,
    target: other,
    name: 'itself',
    key: 'parallel',
    version: 3,
    created: false,
    fields: { metadata: null }
  },
  {
    type: 'association-removed',
    source: end,
    target: other,
    name: 'before',
    key: undefined,
    version: 3
  },
  { type: 'concept-forgotten', ordinal: 1, id, version: 3, key: 'a key' },
  {
    type: 'vectors-declared',
    space: 'default',
    dimensions: 2,
    metric: 'ip',
    model: undefined,
    quantization: 'f16',
    connectivity: 16,
    expansionAdd: 128,
    expansionSearch: 64
  },
  { type: 'commit-noted' },
  {
    type: 'event-quarantined',
    subscription: 'mailer',
    position: 3,
    attempts: 11,
    error: 'Error: no such address'
  },
  { type: 'event-released', subscription: 'mailer', position: 3, outcome: 'discarded' }
]
