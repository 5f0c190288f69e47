import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isStoreError, StoreError, throwIfAborted } from '../errors.ts'
import { compareRows, hashRows } from '../projections/custom/compare.ts'
import { type Definition, isProjectionName } from '../projections/custom/define.ts'
import { PROJECTIONS_DIRECTORY, ProjectionFiles } from '../projections/custom/generation-files.ts'
import { LayeredRows } from '../projections/custom/layered-rows.ts'
import type { RowsPin } from '../projections/custom/pin.ts'
import { checkOptions, checkWhole, queryInvalid } from '../query/read-options.ts'
import { namesIn } from '../storage/files.ts'
import type {
  BoundQueries,
  CompareOptions,
  LongOptions,
  ProjectionComparison,
  ProjectionReadOptions,
  ProjectionStatus,
  QueriedProjection,
  ReadOptions
} from '../types.ts'
import type { Engine } from './engine.ts'
import type { OpenedProjection } from './open-projections.ts'
import { ProjectionSlot } from './projection-slot.ts'

/** Whoever reads rows at a position: the store at its head, a view at its own. */
export interface PinSource {
  /** Gives the rows to `work`; `undefined` where there are none. */
  pinned<T>(slot: ProjectionSlot, work: (pin: RowsPin | undefined) => Promise<T>): Promise<T>
}

const DIFFERENCES = 100

/** The projections that the program declared when it opened the store. */
export class CustomProjections {
  readonly #engine: Engine
  readonly #slots: ReadonlyMap<string, ProjectionSlot>

  constructor(engine: Engine, opened: readonly OpenedProjection[]) {
    this.#engine = engine
    this.#slots = new Map(
      opened.map((one) => [one.definition.name, new ProjectionSlot(engine, one)])
    )
  }

  get names(): string[] {
    return [...this.#slots.keys()]
  }

  get slots(): ProjectionSlot[] {
    return [...this.#slots.values()]
  }

  start(): void {
    for (const slot of this.#slots.values()) slot.start()
  }

  /** The pipeline has stopped a projection, perhaps one of these. */
  stopped(name: string, error: Error): void {
    for (const slot of this.#slots.values()) slot.stopped(name, error)
  }

  interrupt(): void {
    for (const slot of this.#slots.values()) slot.interrupt()
  }

  async finish(): Promise<void> {
    // At once: one that is slow takes no time from the others.
    await Promise.all(this.slots.map(async (slot) => slot.finish()))
  }

  async close(options: { flush: boolean }): Promise<void> {
    for (const slot of this.#slots.values()) await slot.close(options)
  }

  /** What a view holds on to from when it is made. */
  pinAll(position: number): ViewPins {
    return new ViewPins(this.slots.map((slot) => [slot, slot.pin(position)]))
  }

  /**
   * @param assertOpen Asked before each query.
   * @param source By default, each query answers at the head as of its call.
   * @throws StoreError `QUERY_INVALID` for a definition that was not declared.
   */
  bind<Q>(
    definition: QueriedProjection<Q>,
    options: ProjectionReadOptions,
    assertOpen: () => unknown,
    source: PinSource = { pinned: async (slot, work) => this.#atHead(slot, work) }
  ): BoundQueries<Q> {
    assertOpen()
    checkOptions(options, ['building'])
    const { building = 'wait' } = options
    if (building !== 'wait' && building !== 'fail') {
      throw queryInvalid('building', building, "'wait' or 'fail'")
    }
    const { slot, declared } = this.#declared(definition)
    const { operations } = this.#engine
    const bound = Object.keys(declared.queries).map((name) => [
      name,
      async (...args: readonly unknown[]): Promise<unknown> => {
        assertOpen()
        throwIfAborted(options.signal, 'query')
        const work = async (): Promise<unknown> =>
          source.pinned(slot, async (pin) => runQuery({ slot, pin, name, options }, args))
        if (!operations.watches('query')) return work()
        return operations.run({ group: 'query', operation: name, collection: slot.name }, work)
      }
    ])
    // One function for each query that the definition has: its types say what it takes and gives.
    return Object.freeze(Object.fromEntries(bound)) as BoundQueries<Q>
  }

  list(): ProjectionStatus[] {
    return this.slots.map((slot) => slot.status())
  }

  async hash(name: string, options: ReadOptions): Promise<{ position: number; hash: string }> {
    checkOptions(options, [])
    const plan = { operation: 'hash', signal: options.signal }
    return this.#atHead(this.#slot(name), async (pin) => {
      if (pin === undefined) throw this.#slot(name).notBuilt()
      const hash = await pin.read(async (layers) => hashRows(layers, plan), options.signal)
      return { position: pin.position, hash }
    })
  }

  async compare(name: string, options: CompareOptions): Promise<ProjectionComparison> {
    checkOptions(options, ['limit'])
    const limit = checkWhole('limit', options.limit, 0, 1_000_000) ?? DIFFERENCES
    const { signal } = options
    const slot = this.#slot(name)
    const position = this.#engine.parts.log.head
    const after = slot.pinBuild(position)
    const before = slot.pin(position)
    try {
      if (before === undefined) throw slot.notBuilt()
      const found = await before.read(
        async (old) =>
          after.read(
            async (next) => compareRows(old, next, limit, { operation: 'compare', signal }),
            signal
          ),
        signal
      )
      const versions = { before: before.generation.version, after: after.generation.version }
      return { position, ...versions, ...found }
    } finally {
      await before?.release()
      await after.release()
    }
  }

  async promote(name: string, options: ReadOptions): Promise<void> {
    checkOptions(options, [])
    await this.#slot(name).promote(options)
  }

  async cancel(name: string): Promise<void> {
    await this.#slot(name).cancel()
  }

  async rebuild(name: string, options: LongOptions): Promise<void> {
    await this.#slot(name).rebuild(options, 'asked for')
  }

  /** A crash on the way leaves a directory without CURRENT, which is an unfinished build. */
  async drop(name: string): Promise<void> {
    const { directory } = this.#engine.parts
    const parent = join(directory, PROJECTIONS_DIRECTORY)
    const stored = (await namesIn(parent)).filter(
      (one) => isProjectionName(one) && !this.#slots.has(one)
    )
    if (!stored.includes(name)) {
      throw queryInvalid('name', name, `a stored projection that is not declared: ${stored}`)
    }
    await new ProjectionFiles(directory, name).removeAll()
    // Where it was the last one, nothing is left of it; where others came meanwhile, they stay.
    if ((await namesIn(parent)).length === 0) await rm(parent, { recursive: true, force: true })
  }

  async #atHead<T>(
    slot: ProjectionSlot,
    work: (pin: RowsPin | undefined) => Promise<T>
  ): Promise<T> {
    for (;;) {
      const pin = slot.pin(this.#engine.parts.log.head)
      try {
        return await work(pin)
      } catch (error) {
        // Others rows took their place while it waited for them: those are asked.
        const isReplaced = pin !== undefined && slot.answering !== pin.generation
        if (!isReplaced || !isStoreError(error, 'PROJECTION_BUILDING')) throw error
      } finally {
        await pin?.release()
      }
    }
  }

  #slot(name: string): ProjectionSlot {
    const slot = this.#slots.get(name)
    if (slot !== undefined) return slot
    const declared = this.names.length === 0 ? 'none is declared' : this.names.join(', ')
    throw queryInvalid('projection', name, `one that was declared: ${declared}`)
  }

  #declared(definition: QueriedProjection<unknown>): {
    slot: ProjectionSlot
    declared: Definition
  } {
    if (typeof definition !== 'object' || definition === null) {
      throw new TypeError(`'definition' must be what defineProjection gave`)
    }
    const { name, version } = definition
    const slot = this.#slot(name)
    let declared: Definition | undefined = slot.definition
    while (declared !== undefined && declared.version !== version) declared = declared.previous
    if (declared === undefined) {
      const expected = `version ${slot.definition.version} of '${name}', or one that it names`
      throw queryInvalid('projection', `version ${version}`, expected)
    }
    return { slot, declared }
  }
}

/** The rows of one position, held from when a view is made until it is closed. */
export class ViewPins implements PinSource {
  readonly #pins: ReadonlyMap<ProjectionSlot, RowsPin | undefined>

  constructor(pins: readonly (readonly [ProjectionSlot, RowsPin | undefined])[]) {
    this.#pins = new Map(pins)
  }

  async pinned<T>(
    slot: ProjectionSlot,
    work: (pin: RowsPin | undefined) => Promise<T>
  ): Promise<T> {
    return work(this.#pins.get(slot))
  }

  async release(): Promise<void> {
    for (const pin of this.#pins.values()) await pin?.release()
  }
}

interface Asked {
  slot: ProjectionSlot
  pin: RowsPin | undefined
  name: string
  options: ProjectionReadOptions
}

async function runQuery(
  { slot, pin, name, options }: Asked,
  args: readonly unknown[]
): Promise<unknown> {
  // Rows of an older version answer by the queries that know them.
  const query = pin?.generation.definition.queries[name]
  if (pin === undefined) throw slot.notBuilt()
  if (query === undefined) throw notAnswered(slot, pin, name)
  if (options.building === 'fail' && !pin.isNear) throw slot.notBuilt()
  return pin.read(async (layers) => {
    const rows = new LayeredRows(layers)
    try {
      // A query that never ends must not keep its rows, and with them a store that closes.
      const answer: unknown = query(rows, ...args)
      if (!(answer instanceof Promise)) return answer
      return await slot.patience.outlast(answer, storeClosed)
    } finally {
      rows.end()
    }
  }, options.signal)
}

function storeClosed(): StoreError<'STORE_CLOSED'> {
  return new StoreError('STORE_CLOSED', 'The store is closed', { operation: 'query' })
}

/** A query that came with a newer version waits for its rows, one that went with it is gone. */
function notAnswered(slot: ProjectionSlot, pin: RowsPin, name: string): StoreError {
  const isComing = slot.definition.version > pin.generation.version
  if (isComing && slot.definition.queries[name] !== undefined) return slot.notBuilt()
  return queryInvalid('query', name, `one of version ${pin.generation.version} of '${slot.name}'`)
}
