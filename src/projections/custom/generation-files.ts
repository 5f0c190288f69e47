/**
 * The directories of custom projections: `projections/<name>/<generation>/`, and beside them CURRENT,
 * which names the generation that has caught up once and answers since then.
 *
 * A crash leaves CURRENT naming the old or the new one. Others are gone on with, if they were made
 * by the definition that is declared now, or removed by the next open.
 */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { findDamagedFile } from '../../storage/database-files.ts'
import { isMisplaced, isMissing, namesIn, replaceFile, syncDirectory } from '../../storage/files.ts'
import { Level, type LevelTuning } from '../../storage/level.ts'

const MiB = 1024 * 1024
export const PROJECTIONS_DIRECTORY = 'projections'
const CURRENT = 'CURRENT'
const NUMBER = /^[1-9]\d*$/
/** Checked before LevelDB maps it; the rest when the store is verified. */
const OPEN_CHECK_BYTES = 16 * MiB
/** A store may have many projections, each of them with databases of its own. */
const TUNING: LevelTuning = {
  cacheBytes: 4 * MiB,
  writeBufferBytes: 4 * MiB,
  maxFileBytes: 8 * MiB
}

export class ProjectionFiles {
  readonly directory: string
  readonly #readOnly: boolean

  constructor(store: string, name: string, { readOnly = false }: { readOnly?: boolean } = {}) {
    this.directory = join(store, PROJECTIONS_DIRECTORY, name)
    this.#readOnly = readOnly
  }

  pathOf(generation: number): string {
    return join(this.directory, String(generation))
  }

  /** The generation that CURRENT names; `undefined` without one, or if it cannot be read. */
  async current(): Promise<number | undefined> {
    try {
      const text = await readFile(join(this.directory, CURRENT), 'utf8')
      return NUMBER.test(text) ? Number(text) : undefined
    } catch (error) {
      if (isMissing(error) || isMisplaced(error)) return undefined
      throw error
    }
  }

  /** Newest first. */
  async generations(): Promise<number[]> {
    const names = await namesIn(this.directory)
    return names
      .filter((name) => NUMBER.test(name))
      .map(Number)
      .sort((a, b) => b - a)
  }

  /** An empty database under a number that was not used before. Nothing names it yet. */
  async create(): Promise<{ generation: number; level: Level }> {
    await mkdir(this.directory, { recursive: true })
    const generation = ((await this.generations())[0] ?? 0) + 1
    const level = await Level.create(this.pathOf(generation), TUNING)
    try {
      await syncDirectory(this.pathOf(generation))
    } catch (error) {
      await level.close()
      throw error
    }
    return { generation, level }
  }

  /** @throws Error if it is missing or damaged. */
  async open(generation: number): Promise<Level> {
    const path = this.pathOf(generation)
    // A damaged file may make LevelDB end the process as soon as it reads there.
    const damage = await findDamagedFile(path, OPEN_CHECK_BYTES)
    if (damage !== undefined) {
      const { file, offset, reason } = damage
      throw new Error(`${basename(file)}, byte ${offset}: ${reason}`)
    }
    return Level.open(path, TUNING, { readOnly: this.#readOnly })
  }

  /** From here on a crash leaves this generation the one that answers. */
  async publish(generation: number): Promise<void> {
    await replaceFile(join(this.directory, CURRENT), String(generation))
  }

  /** None answers any more: the next one does once it is published. */
  async unpublish(): Promise<void> {
    await rm(join(this.directory, CURRENT), { force: true })
  }

  async remove(generation: number): Promise<void> {
    await rm(this.pathOf(generation), { recursive: true, force: true })
  }

  /** Removes what no generation to be kept is, and what a crash left of a CURRENT. */
  async removeOthers(kept: readonly (number | undefined)[]): Promise<void> {
    const names = [CURRENT, ...kept.map(String)]
    for (const name of await namesIn(this.directory)) {
      if (names.includes(name)) continue
      await rm(join(this.directory, name), { recursive: true, force: true })
    }
  }

  /** First what names the others: rows without CURRENT are an unfinished build, never damage. */
  async removeAll(): Promise<void> {
    await this.unpublish()
    await rm(this.directory, { recursive: true, force: true })
  }
}
