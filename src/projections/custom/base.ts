import { assert } from '../../assert.ts'
import { isStoreError, StoreError, throwIfAborted } from '../../errors.ts'
import type { EventLog } from '../../log/log.ts'
import type { Level, LevelSnapshot } from '../../storage/level.ts'
import { type Changes, type Payload, sorted } from './changes.ts'
import type { Definition } from './define.ts'
import { type FoldTarget, foldEvents } from './fold-events.ts'
import { LevelRows, type OnDamaged } from './generation-rows.ts'
import type { Layers } from './layered-rows.ts'
import type { Patience } from './patience.ts'
import type { RowId } from './row-keys.ts'

export interface BaseSetup {
  level: Level
  log: Pick<EventLog, 'read'>
  definition: Definition
  patience: Patience
  checkpoint: number
  onDamaged: OnDamaged
  onClosed(): void
}

interface Version {
  position: number
  payload: Payload
}

/**
 * The rows as they were at one checkpoint, and the events behind it folded over them in memory, as
 * far as somebody asked: a reader at any position from the checkpoint on sees the rows as of that
 * position. Rows have a version for each position that somebody reads at, and no others.
 */
export class RowsBase {
  readonly checkpoint: number
  readonly #setup: BaseSetup
  readonly #snapshot: LevelSnapshot
  readonly #source: LevelRows
  readonly #versions = new Map<RowId, Version[]>()
  /** What the event at hand has changed so far. */
  readonly #staged = new Map<RowId, Payload>()
  /** Positions that are read at, and by how many. */
  readonly #readers = new Map<number, number>()
  #holders = 1
  #position: number
  #folding: Promise<Error | undefined> | undefined

  constructor(setup: BaseSetup) {
    const { level, definition, checkpoint, onDamaged } = setup
    this.#setup = setup
    this.checkpoint = checkpoint
    this.#position = checkpoint
    this.#snapshot = level.snapshot()
    this.#source = new LevelRows(level, definition.name, onDamaged, this.#snapshot)
  }

  /** @param position That will be read at; absent for whoever only hands it on. */
  hold(position?: number): void {
    this.#holders += 1
    if (position === undefined) return
    this.#readers.set(position, (this.#readers.get(position) ?? 0) + 1)
  }

  /** Closes the snapshot when the last holder lets go. */
  async release(position?: number): Promise<void> {
    if (position !== undefined) {
      const readers = (this.#readers.get(position) ?? 1) - 1
      if (readers > 0) this.#readers.set(position, readers)
      else this.#readers.delete(position)
    }
    this.#holders -= 1
    if (this.#holders > 0) return
    await this.#snapshot.close()
    this.#setup.onClosed()
  }

  /**
   * The rows at a position that is held. Resolves once the events up to there are folded.
   *
   * @throws StoreError `PROJECTION_STOPPED` if `apply` fails on the way, `PROJECTION_DAMAGED`.
   */
  async rowsAt(position: number, signal?: AbortSignal): Promise<Layers> {
    while (this.#position < position) {
      throwIfAborted(signal, 'query')
      this.#folding ??= this.#foldTo(position).finally(() => {
        this.#folding = undefined
      })
      // Another reader may have asked for less, or for more and met a failure behind our position.
      const failure = await this.#folding
      if (failure !== undefined && this.#position < position) throw this.#stopped(failure)
    }
    const { definition } = this.#setup
    return { projection: definition.name, source: this.#source, changes: this.#changesAt(position) }
  }

  #stopped(cause: Error): Error {
    if (isStoreError(cause)) return cause
    const { name: projection } = this.#setup.definition
    const position = this.#position
    const message = `Projection '${projection}' stops at position ${position}: ${cause.message}`
    return new StoreError('PROJECTION_STOPPED', message, { projection, position }, { cause })
  }

  async #foldTo(position: number): Promise<Error | undefined> {
    const { log, definition, patience } = this.#setup
    const target: FoldTarget = {
      patience,
      layers: { projection: definition.name, source: this.#source, changes: this.#newest() },
      put: (id, payload) => this.#staged.set(id, payload),
      applied: (at) => this.#keep(at),
      failed: () => this.#staged.clear(),
      isEnough: () => false
    }
    const range = { from: this.#position + 1, to: position }
    const { reached, failure } = await foldEvents(log, definition, target, range)
    assert(failure !== undefined || reached === position, 'the log reaches what is read of it')
    // Events that `apply` is not given move it as well.
    this.#position = reached
    return failure
  }

  #keep(position: number): void {
    for (const [id, payload] of this.#staged) {
      const versions = this.#versions.get(id)
      const last = versions?.at(-1)
      if (versions === undefined || last === undefined) {
        this.#versions.set(id, [{ position, payload }])
      } else if (this.#isReadBetween(last.position, position)) {
        versions.push({ position, payload })
      } else {
        // Nobody can tell when in between it changed.
        last.position = position
        last.payload = payload
      }
    }
    this.#staged.clear()
    this.#position = position
  }

  /** New readers stand at the head, and so behind whatever is being folded. */
  #isReadBetween(from: number, to: number): boolean {
    for (const position of this.#readers.keys()) if (position >= from && position < to) return true
    return false
  }

  #newest(): Changes {
    const folded = this.#changesAt(Number.POSITIVE_INFINITY)
    return {
      get: (id) => (this.#staged.has(id) ? this.#staged.get(id) : folded.get(id)),
      between: (gte, lt) => {
        const staged = [...this.#staged].filter(([id]) => id >= gte && id < lt)
        const rest = folded.between(gte, lt).filter(([id]) => !this.#staged.has(id))
        return sorted([...rest, ...staged])
      }
    }
  }

  #changesAt(position: number): Changes {
    const at = (versions: readonly Version[] | undefined): Payload | undefined =>
      versions?.findLast((version) => version.position <= position)?.payload
    return {
      get: (id) => at(this.#versions.get(id)),
      between: (gte, lt) => {
        const found: [RowId, Payload][] = []
        for (const [id, versions] of this.#versions) {
          const payload = id >= gte && id < lt ? at(versions) : undefined
          if (payload !== undefined) found.push([id, payload])
        }
        return sorted(found)
      }
    }
  }
}
