import type { EncodedFrame, Frame, FrameFormat, FrameSeal } from '../log/frame.ts'

/** What a frame must know of the new log: what stands before it there, and whose it is. */
export type MigratedSeal = Pick<FrameSeal, 'previous' | 'storeId'>

/**
 * A step from one format of the log to the next: how a frame of the one is written in the other. It
 * is pure, keeps positions and events as they are, and is never edited once it is released.
 */
export interface MigrationStep {
  from: FrameFormat
  to: FrameFormat
  /** In a few words, for people. */
  what: string
  /**
   * @param value The bytes of the old frame.
   * @param lastTime The time of the last commit before it in the log.
   */
  rewrite(frame: Frame, value: Buffer, lastTime: number, seal: MigratedSeal): EncodedFrame
}

/**
 * The steps have a folder of their own, compiled after this one, and are read only when a store is
 * migrated: what a step once did must not change with the code around it.
 */
export async function migrationSteps(): Promise<readonly MigrationStep[]> {
  const url = new URL('../migrations/index.js', import.meta.url)
  // The build puts them there, and compiles them against this interface.
  const { STEPS } = (await import(url.href)) as { STEPS: readonly MigrationStep[] }
  return STEPS
}
