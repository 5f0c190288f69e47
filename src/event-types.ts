/** Events as the public API gives them out. */
import type { IdInput } from './ids.ts'

export interface ReadOptions {
  signal?: AbortSignal
}

/** Every type of event that this version writes. A log may hold others, of a newer one. */
export const EVENT_TYPES = [
  'concept-learned',
  'concept-reinforced',
  'concept-revised',
  'concept-forgotten',
  'association-created',
  'association-reinforced',
  'association-revised',
  'association-removed',
  'vectors-declared',
  'commit-noted',
  'event-quarantined',
  'event-released'
] as const

export type EventType = (typeof EVENT_TYPES)[number]

export interface StoredEvent {
  position: number
  /** Milliseconds since 1970; never decreases along the log. */
  time: number
  type: EventType | (string & {})
  /** Version of the event's shape. */
  version: number
  data: Record<string, unknown>
  commit: { first: number; last: number }
  subject?: string
  causation?: string
  correlation?: string
  headers?: Record<string, string>
}

export interface EventsOptions extends ReadOptions {
  /** First position wanted; default 1. 0, the head of an empty store, is the beginning as well. */
  from?: number
  /** Last position wanted. */
  to?: number
  /** Types of events wanted, at least one; default all. */
  types?: readonly string[]
  concept?: IdInput
  /** Goes on with what is committed later. Default `false` for `events`, `true` for `events$`. */
  live?: boolean
}
