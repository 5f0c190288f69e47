/** Makes the rows of custom projections once more, aside, and compares them with those that answer. */
import { basename } from 'node:path'
import { isStoreError, throwIfAborted } from '../errors.ts'
import { compareRows, type Differences } from '../projections/custom/compare.ts'
import type { Generation, GenerationSetup } from '../projections/custom/generation.ts'
import { createGeneration } from '../projections/custom/open-generation.ts'
import { RowsPin } from '../projections/custom/pin.ts'
import { checkTableFile, tableFiles } from '../storage/database-files.ts'
import type { LongOptions, VerifyReport } from '../types.ts'
import type { Engine } from './engine.ts'
import type { ProjectionSlot } from './projection-slot.ts'

/** Of each projection that differs; `compare` and a rebuild tell the rest. */
const DIFFERENCES_TOLD = 5

/**
 * Finds damage, and an `apply` that does not follow from events and rows alone, or was changed
 * without another version.
 */
export async function verifyProjections(
  engine: Engine,
  options: LongOptions,
  report: VerifyReport
): Promise<void> {
  for (const slot of engine.projections.slots) {
    const part = `projection ${slot.name}`
    const found = (reason: string): unknown => report.problems.push({ part, reason })
    const stopped = slot.status().error
    if (stopped !== undefined) found(stopped)
    // The rows up to where it stopped are checked all the same.
    await slot.inTurn(async (setup) => verifyRows(engine, slot, { setup, options, report, found }))
  }
}

interface Plan {
  setup: GenerationSetup
  options: LongOptions
  report: VerifyReport
  found: (reason: string) => unknown
}

async function verifyRows(
  engine: Engine,
  { answering }: ProjectionSlot,
  { setup, options, report, found }: Plan
): Promise<void> {
  if (answering === undefined) return
  const isWhole = await verifyFiles(answering.path, { options, report, found })
  // A damaged file is not read through LevelDB any more: it may end the process.
  if (!isWhole) return
  const pin = new RowsPin(answering, answering.position)
  try {
    const { definition } = answering
    const aside = await createGeneration({ ...setup, definition })
    try {
      await projectAside(engine, aside, pin.position, options)
      const differences = await compareWith(pin, aside, options)
      for (const { key } of differences.differences) {
        found(`row ${JSON.stringify(key)} differs from what the log makes of it`)
      }
      const { added, removed, changed } = differences
      const count = added + removed + changed
      if (count > DIFFERENCES_TOLD) found(`${count} rows differ in all`)
    } finally {
      await aside.discard()
    }
  } catch (error) {
    if (!isStoreError(error, 'PROJECTION_DAMAGED')) throw error
    found(error.message)
  } finally {
    await pin.release()
  }
}

async function verifyFiles(
  directory: string,
  { options, report, found }: Omit<Plan, 'setup'>
): Promise<boolean> {
  let isWhole = true
  for (const { path, bytes } of await tableFiles(directory)) {
    throwIfAborted(options.signal, 'verify')
    const problem = (await checkTableFile(path))?.problem
    report.bytes += bytes
    if (problem === undefined) continue
    isWhole = false
    found(`${basename(problem.file)}, byte ${problem.offset}: ${problem.reason}`)
  }
  return isWhole
}

async function projectAside(
  engine: Engine,
  aside: Generation,
  to: number,
  { signal, onProgress }: LongOptions
): Promise<void> {
  const phase = aside.definition.name
  onProgress?.({ phase, done: 0, total: to })
  while (aside.position < to) {
    throwIfAborted(signal, 'verify')
    throwIfAborted(engine.closing.signal, 'verify')
    await aside.project(to)
    onProgress?.({ phase, done: aside.position, total: to })
  }
}

async function compareWith(
  pin: RowsPin,
  aside: Generation,
  { signal }: LongOptions
): Promise<Differences> {
  const other = new RowsPin(aside, pin.position)
  const plan = { operation: 'verify', signal }
  try {
    return await pin.read(async (rows) =>
      other.read(async (made) => compareRows(rows, made, DIFFERENCES_TOLD, plan))
    )
  } finally {
    await other.release()
  }
}
