import { CancelFlag } from '#sutra/projections/vectors/pace.js'
import { ProgressSignal } from '#sutra/projections/vectors/progress.js'
import { WriterRoom } from '#sutra/projections/vectors/writer-room.js'

export interface FakeBuilder {
  pending: number
  isDamaged: boolean
  isDrained: boolean
  attempt: number
  error: Error | undefined
  /** Of the log, not of building. */
  readError: Error | undefined
  hasFailedSince(attempt: number): boolean
}

/** Room for 1024 vectors, and of a builder all that a room looks at. */
export function roomOf(pending: number): {
  room: WriterRoom
  builder: FakeBuilder
  progress: ProgressSignal
  cancel: CancelFlag
} {
  const builder: FakeBuilder = {
    pending,
    isDamaged: false,
    isDrained: false,
    attempt: 0,
    error: undefined,
    readError: undefined,
    hasFailedSince: (attempt) => builder.attempt > attempt
  }
  const progress = new ProgressSignal()
  const cancel = new CancelFlag()
  const setup = {
    dimensions: 16_384,
    builder,
    progress,
    cancel,
    unread: () => 0,
    readError: () => builder.readError,
    position: () => 0
  }
  return { room: new WriterRoom(setup), builder, progress, cancel }
}
