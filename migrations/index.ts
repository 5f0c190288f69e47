/** Every step that the format of the log ever took, in order. One is added for each new format. */
import type { MigrationStep } from '#sutra/store/migration-step.js'
import { timeInFrames } from './2-time-in-frames.ts'

export const STEPS: readonly MigrationStep[] = [timeInFrames]
