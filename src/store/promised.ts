/**
 * How far the log once reached, as far as what was derived from it remembers: no checkpoint is beyond
 * what was durable. HEAD may be lost, or older after a power cut.
 */
import { join } from 'node:path'
import { PROJECTIONS_DIRECTORY, ProjectionFiles } from '../projections/custom/generation-files.ts'
import { promisedByRows } from '../projections/custom/open-generation.ts'
import { promisedByTables } from '../projections/tables/generation.ts'
import { promisedByManifest } from '../projections/vectors/manifest.ts'
import { isMisplaced, namesIn } from '../storage/files.ts'
import { VECTORS_DIRECTORY } from './format.ts'

/** 0 where nothing is left; what another store derived does not count. */
export async function promisedByDerived(directory: string, storeId: Buffer): Promise<number> {
  const tables = await promisedByTables(directory, storeId)
  const vectors = await promisedByManifest(join(directory, VECTORS_DIRECTORY), storeId)
  return Math.max(tables, vectors, await promisedByProjections(directory, storeId))
}

async function promisedByProjections(directory: string, storeId: Buffer): Promise<number> {
  let promised = 0
  for (const name of await projectionsIn(directory)) {
    const files = new ProjectionFiles(directory, name)
    const live = await files.current()
    if (live === undefined) continue
    const checkpoint = await promisedByRows(files.pathOf(live), storeId.toString('hex'))
    promised = Math.max(promised, checkpoint)
  }
  return promised
}

async function projectionsIn(directory: string): Promise<string[]> {
  try {
    return await namesIn(join(directory, PROJECTIONS_DIRECTORY))
  } catch (error) {
    if (!isMisplaced(error)) throw error
    return []
  }
}
