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

export function learned(ordinal: number, content: string): LogEvent {
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
