/**
 * The declaration of vectors is one event: lost in a gap, it leaves vectors that nobody can search.
 * What was derived from it still knows it.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { VectorsDeclared } from '../log/event.ts'
import type { Survey } from '../log/salvage.ts'
import { completeVectors } from '../options.ts'
import { declaredByTables } from '../projections/tables/generation.ts'
import { isMisplaced, isMissing } from '../storage/files.ts'
import { VECTORS_DIRECTORY } from './format.ts'

export interface FoundDeclaration {
  from: 'tables' | 'vectors' | 'lost'
  /** Absent where it is lost for good. */
  event?: VectorsDeclared
}

/** `undefined` where the log has its declaration, or never had one. */
export async function findLostDeclaration(
  directory: string,
  storeId: Buffer,
  { frames, lost }: Survey
): Promise<FoundDeclaration | undefined> {
  if (lost.length === 0 || frames.some(({ declares }) => declares)) return undefined
  const byTables = await declaredByTables(directory, storeId)
  if (byTables !== undefined) return { from: 'tables', event: byTables }
  const byVectors = await declaredByVectors(join(directory, VECTORS_DIRECTORY), storeId)
  if (byVectors !== undefined) return { from: 'vectors', event: byVectors }
  return frames.some(({ embeds }) => embeds) ? { from: 'lost' } : undefined
}

/** MANIFEST says what was declared but the model; what only steers building has its default. */
async function declaredByVectors(
  directory: string,
  storeId: Buffer
): Promise<VectorsDeclared | undefined> {
  const [json = '', sum] = (await readIfThere(join(directory, 'MANIFEST'))).split('\n')
  if (sum === undefined || sum !== crc32(json).toString(16).padStart(8, '0')) return undefined
  // The checksum proves that this program wrote it, and every version of it wrote these fields.
  const manifest = JSON.parse(json) as Named
  const { space, dimensions, metric, quantization, connectivity } = manifest
  if (manifest.storeId !== storeId.toString('hex')) return undefined
  const known = completeVectors({ dimensions, metric, quantization, connectivity })
  return { type: 'vectors-declared', space, ...known }
}

type Named = Pick<VectorsDeclared, 'space' | 'dimensions' | 'metric' | 'quantization'> &
  Pick<VectorsDeclared, 'connectivity'> & { storeId: string }

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error) || isMisplaced(error)) return ''
    throw error
  }
}
