/** Opens the rows of the projections that a program declares, or makes empty ones. */
import { StoreError } from '../errors.ts'
import { OTHER_HISTORY } from '../log/anchor.ts'
import type { LevelLog } from '../log/level-log.ts'
import { optionInvalid, type ResolvedOptions } from '../options.ts'
import { checkDefinition, type Definition } from '../projections/custom/define.ts'
import { Generation, type GenerationSetup } from '../projections/custom/generation.ts'
import { ProjectionFiles } from '../projections/custom/generation-files.ts'
import {
  createGeneration,
  type FoundRows,
  findRows
} from '../projections/custom/open-generation.ts'
import { Patience } from '../projections/custom/patience.ts'
import type { NewTelemetryEvent } from '../telemetry/types.ts'
import type { StoreFormat } from './format.ts'
import type { Cleanup } from './open-tables.ts'

/** What is there of one projection, or was made. */
export interface OpenedProjection {
  definition: Definition
  setup: GenerationSetup
  /** `undefined` in a read-only store that has no rows of this version or of an older one. */
  answering: Generation | undefined
  /** Rows of a newer version, beside those of an older one whose definition is known. */
  building: Generation | undefined
  /** Whether CURRENT names the one that answers: it has caught up once. */
  isPublished: boolean
}

interface Setting {
  directory: string
  format: StoreFormat
  options: ResolvedOptions
  log: LevelLog
  findings: NewTelemetryEvent[]
}

/** @throws StoreError `OPTION_INVALID`. Nothing is read or made before all of them are checked. */
export function checkProjections({ projections }: ResolvedOptions): Definition[] {
  const definitions = projections.map((one, i) => checkDefinition(one, `projections[${i}]`))
  const names = definitions.map(({ name }) => name)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw optionInvalid('projections', twice, 'each name once')
  return definitions
}

/** @throws StoreError `OPTION_CONFLICT`, `LOG_BEHIND_CHECKPOINT`. */
export async function openProjections(
  setting: Setting,
  definitions: readonly Definition[],
  cleanups: Cleanup[]
): Promise<OpenedProjection[]> {
  const opened: OpenedProjection[] = []
  for (const definition of definitions) {
    const one = await openProjection(setting, definition)
    opened.push(one)
    cleanups.push(async () => {
      await one.answering?.close()
      await one.building?.close()
    })
  }
  return opened
}

async function openProjection(setting: Setting, definition: Definition): Promise<OpenedProjection> {
  const { directory, format, options, log } = setting
  const setup: GenerationSetup = {
    log,
    files: new ProjectionFiles(directory, definition.name, options),
    storeId: format.storeId.toString('hex'),
    definition,
    patience: new Patience(),
    batchEventsMax: Math.min(options.pipeline.batchEventsMax, BATCH_EVENTS_MAX)
  }
  const live = await findLive(setting, setup)
  const maker = live === undefined ? undefined : makerOf(definition, live)
  const made = { definition, setup }
  if (live !== undefined && maker === definition) {
    const answering = new Generation(setup, live)
    try {
      // A rebuild that died on the way is not gone on with: nobody waits for it any more.
      if (!options.readOnly) await setup.files.removeOthers([live.number])
    } catch (error) {
      await answering.close()
      throw error
    }
    return { ...made, answering, building: undefined, isPublished: true }
  }
  const old =
    live === undefined || maker === undefined
      ? undefined
      : new Generation({ ...setup, definition: maker }, live)
  try {
    if (old === undefined) await live?.level.close()
    if (options.readOnly) {
      return { ...made, answering: old, building: undefined, isPublished: old !== undefined }
    }
    if (live !== undefined) tellRebuild(setting, definition, versionReason(live, definition))
    const next = await resumeOrCreate(setting, setup, live?.number)
    // Without the older definition its rows cannot follow the log. They are left until the new
    // ones have caught up, for the older program, which may come back.
    await setup.files.removeOthers([live?.number, next.number])
    return old === undefined
      ? { ...made, answering: next, building: undefined, isPublished: false }
      : { ...made, answering: old, building: next, isPublished: true }
  } catch (error) {
    await old?.close()
    throw error
  }
}

/** Beyond it a stretch of work is cut anyway: see `STRETCH_MS`. */
const BATCH_EVENTS_MAX = 20_000

/** What CURRENT names, unless it is damaged: that is told, and forgotten. */
async function findLive(
  setting: Setting,
  { files, storeId, definition }: GenerationSetup
): Promise<FoundRows | undefined> {
  const current = await files.current()
  if (current === undefined) return undefined
  const found = await findRows(files, current)
  const problem = await problemOf(setting, found, storeId)
  if ('level' in found && problem === undefined) {
    await checkBehind(setting, found, definition.name)
    await checkTypes(found, definition)
    return found
  }
  if ('level' in found) await found.level.close()
  const reason = problem ?? ''
  setting.findings.push({
    type: 'damage-found',
    time: Date.now(),
    part: `projection ${definition.name}`,
    reason
  })
  if (setting.options.readOnly) return undefined
  tellRebuild(setting, definition, reason)
  // First what names it: rows that are gone would be damage again at the next open.
  await files.unpublish()
  await files.remove(current)
  return undefined
}

async function problemOf(
  { log }: Setting,
  found: Awaited<ReturnType<typeof findRows>>,
  storeId: string
): Promise<string | undefined> {
  if (!('level' in found)) return found.problem
  if (found.madeBy.storeId !== storeId) return 'its rows belong to another store'
  try {
    return (await log.anchors.hold(found.anchor)) ? undefined : OTHER_HISTORY
  } catch (error) {
    await found.level.close()
    throw error
  }
}

/** The definition, or an older one that it names, of this version. */
function makerOf(definition: Definition, { madeBy }: FoundRows): Definition | undefined {
  let maker: Definition | undefined = definition
  while (maker !== undefined && maker.version !== madeBy.version) maker = maker.previous
  return maker
}

/** Goes on with a build that an earlier process began, if it was of this very definition. */
async function resumeOrCreate(
  setting: Setting,
  setup: GenerationSetup,
  live: number | undefined
): Promise<Generation> {
  const { files, definition, storeId } = setup
  for (const number of await files.generations()) {
    if (number === live) continue
    const found = await findRows(files, number)
    if (!('level' in found)) continue
    const isOurs = (await problemOf(setting, found, storeId)) === undefined
    const isWanted = isOurs && isMadeBy(found, definition)
    if (isWanted && found.checkpoint <= setting.log.head) return new Generation(setup, found)
    await found.level.close()
  }
  return createGeneration(setup)
}

function isMadeBy({ madeBy }: FoundRows, definition: Definition): boolean {
  return madeBy.version === definition.version && hasTypes(madeBy.types, definition)
}

/** A list of types that was changed would leave rows that no rebuild gives. */
async function checkTypes(found: FoundRows, definition: Definition): Promise<void> {
  const { types, version } = found.madeBy
  const maker = makerOf(definition, found)
  if (maker === undefined || hasTypes(types, maker)) return
  await found.level.close()
  const option = `projections.${definition.name}.types`
  const received = maker.types === undefined ? undefined : [...maker.types]
  const message = `Version ${version} of projection '${definition.name}' was made of other types of events: give it another version`
  throw new StoreError('OPTION_CONFLICT', message, { option, declared: types, received })
}

function hasTypes(types: readonly string[] | undefined, definition: Definition): boolean {
  const declared = definition.types
  if (types === undefined || declared === undefined) return types === declared
  return types.length === declared.size && types.every((type) => declared.has(type))
}

/** What the rows hold was durable once: a log that ends before it has lost something. */
async function checkBehind({ log }: Setting, found: FoundRows, projection: string): Promise<void> {
  const { checkpoint } = found
  const { head } = log
  if (checkpoint <= head) return
  await found.level.close()
  const message = `Projection '${projection}' is at ${checkpoint}, ahead of the log, which ends at ${head}`
  throw new StoreError('LOG_BEHIND_CHECKPOINT', message, { projection, checkpoint, head })
}

function versionReason({ madeBy }: FoundRows, { version }: Definition): string {
  return `version ${version} takes the place of ${madeBy.version}`
}

function tellRebuild({ findings }: Setting, { name }: Definition, reason: string): void {
  findings.push({ type: 'rebuild-started', time: Date.now(), projection: name, reason })
}
