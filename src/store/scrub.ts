/**
 * Reads the files of the store slowly in the background and compares their checksums, so that
 * damage is found while a backup still has what is lost, and not when it is asked for.
 */
import { basename, join } from 'node:path'
import { logFileDamaged } from '../log/damaged-files.ts'
import { LOG_DIRECTORY } from '../log/level-log.ts'
import { generationPath, tablesDamaged } from '../projections/tables/generation.ts'
import { checkTableFile, type DamagedFile, tableFiles } from '../storage/database-files.ts'
import type { ScrubStats } from '../telemetry/types.ts'
import type { Engine } from './engine.ts'
import { healTold } from './healing.ts'

/** A store that is open for a moment needs no scrub. */
const FIRST_AFTER_MS = 10_000
/** From the end of one round to the next. */
const ROUND_EVERY_MS = 60 * 60 * 1000

export class Scrub {
  readonly #engine: Engine
  readonly #bytesPerMs: number
  readonly #stats: ScrubStats = { rounds: 0, files: 0, bytes: 0, finishedAt: 0, problems: [] }
  #timer: NodeJS.Timeout | undefined
  #wake: (() => void) | undefined
  #running: Promise<void> | undefined
  #isStopped = false

  constructor(engine: Engine, bytesPerSec: number) {
    this.#engine = engine
    this.#bytesPerMs = bytesPerSec / 1000
  }

  get stats(): ScrubStats {
    return { ...this.#stats, problems: [...this.#stats.problems] }
  }

  start(): void {
    if (this.#bytesPerMs > 0) this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#wake?.()
    await this.#running
  }

  async #run(): Promise<void> {
    await this.#rest(FIRST_AFTER_MS)
    while (!this.#isStopped) {
      try {
        await this.#round()
      } catch (error) {
        // A file that cannot be read is a finding like any other; the next round looks again.
        this.#found('files', error instanceof Error ? error.message : String(error))
      }
      await this.#rest(ROUND_EVERY_MS)
    }
  }

  async #round(): Promise<void> {
    const { directory, format, log } = this.#engine.parts
    for (const damage of await this.#scan(join(directory, LOG_DIRECTORY))) {
      const { details } = await logFileDamaged(damage, format.storeId, log.head)
      const { from, to, reason } = details
      this.#found('log', reason, { from, to })
    }
    // Taken anew: a rebuild may have brought another generation meanwhile.
    const { tables, vectors } = this.#engine.parts
    const path = generationPath(directory, tables.generation)
    for (const { file, offset, reason } of await this.#scan(path)) {
      if (this.#engine.parts.tables !== tables) break
      const where = `${basename(file)}, byte ${offset}: ${reason}`
      this.#found('tables', where)
      healTold(this.#engine, tablesDamaged(basename(file), where))
    }
    await this.#roundOfProjections()
    if (this.#isStopped) return
    if (vectors !== undefined) {
      const { bytes, problems } = await vectors.check()
      this.#stats.bytes += bytes
      for (const reason of problems) this.#found('vectors', reason)
    }
    this.#stats.rounds += 1
    this.#stats.finishedAt = Date.now()
  }

  async #roundOfProjections(): Promise<void> {
    for (const slot of this.#engine.projections.slots) {
      const { answering } = slot
      if (answering === undefined) continue
      for (const { file, offset, reason } of await this.#scan(answering.path)) {
        if (slot.answering !== answering) break
        const where = `${basename(file)}, byte ${offset}: ${reason}`
        this.#found(`projection ${slot.name}`, where)
        slot.heal(where, { isTold: true })
      }
    }
  }

  async #scan(directory: string): Promise<DamagedFile[]> {
    const found: DamagedFile[] = []
    for (const { path } of await tableFiles(directory)) {
      if (this.#isStopped) return found
      const checked = await checkTableFile(path)
      if (checked === undefined) continue
      if (checked.problem !== undefined) found.push(checked.problem)
      this.#stats.files += 1
      this.#stats.bytes += checked.bytes
      await this.#rest(checked.bytes / this.#bytesPerMs)
    }
    return found
  }

  #found(part: string, reason: string, range: { from?: number; to?: number } = {}): void {
    this.#stats.problems.push({ part, reason, ...range })
    const { hub } = this.#engine.parts
    if (hub.active) hub.emit({ type: 'damage-found', time: Date.now(), part, reason, ...range })
  }

  async #rest(ms: number): Promise<void> {
    if (this.#isStopped) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#timer = setTimeout(resolve, ms)
      this.#timer.unref()
    })
  }
}
