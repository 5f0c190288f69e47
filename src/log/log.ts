import type { Frame, LogCommit } from './frame.ts'

/** What was lost at the end of the log without ever having been promised. */
export interface TornTail {
  /** First position dropped. */
  from: number
  /** Frames dropped from there on. */
  frames: number
  reason: string
}

/**
 * The only original: an append-only sequence of frames. Everything else is derived from it.
 * One writer; any number of readers. One contract suite runs on every implementation.
 */
export interface EventLog {
  /** Position of the last event whose append has resolved; 0 when empty. */
  readonly head: number
  /** Position of the last event that survives a power cut. Never beyond `head`. */
  readonly durableHead: number
  /** Why nothing is written any more; `undefined` while the log is sound. */
  readonly poison: Error | undefined

  /**
   * Appends commits as one frame. Their `first` positions follow the head without a gap, and only
   * one append runs at a time. When it resolves, the frame is in the log; with `durable`, it and
   * everything before it survive a power cut.
   *
   * @throws StoreError `WRITE_FAILED` (outcome unknown; the log is poisoned), `STORE_POISONED`.
   */
  append(commits: readonly LogCommit[], options: { durable: boolean }): Promise<AppendedFrame>

  /**
   * Makes everything up to the present head survive a power cut.
   *
   * @throws StoreError `WRITE_FAILED`, `STORE_POISONED`.
   */
  sync(): Promise<void>

  /**
   * Acknowledged frames in order, from the one that holds `from` to the one that holds `to`, or to the
   * present head. Whoever wants few says so: what lies behind is not read ahead.
   */
  read(from: number, to?: number): AsyncIterable<Frame>

  /** Like `read`, but goes on with every frame appended later, until the signal fires. */
  tail(from: number, signal: AbortSignal): AsyncIterable<Frame>

  /** Brings the watermark to the disk as well. */
  checkpoint(): Promise<void>

  close(): Promise<void>
}

export interface AppendedFrame {
  first: number
  last: number
  bytes: number
  /** Of a frame of many events, where the log has it at hand. */
  written?: WrittenFrame
}

/** A frame as it was written: what is kept of it for a while need not be kept as objects. */
export interface WrittenFrame {
  value: Buffer
  first: number
  /** Where each event begins in the value. */
  starts: Uint32Array
  commits: readonly { first: number; time: number }[]
}
