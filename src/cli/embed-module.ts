import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { StoreOptions } from '../index.ts'
import { UsageError } from './session.ts'

type Embed = NonNullable<StoreOptions['embed']>

/** What the factory of a module is told about the store that it embeds for. */
interface EmbedInfo {
  directory: string
}

/**
 * Loads the embedding function that `--embed` names: the export `embed` of an ES module, or its
 * default export. A module that must prepare exports `createEmbed` instead, which gets
 * {@link EmbedInfo} and returns the function or a promise of it.
 */
export async function loadEmbed(path: string, info: EmbedInfo): Promise<Embed> {
  const module: unknown = await import(pathToFileURL(resolve(path)).href).catch(
    (cause: unknown) => {
      throw new UsageError(`--embed ${path} cannot be loaded: ${String(cause)}`, { cause })
    }
  )
  // Every module is an object of its exports.
  const { embed, createEmbed, default: main } = module as Record<string, unknown>
  const found: unknown =
    typeof createEmbed === 'function' ? await createEmbed(info) : (embed ?? main)
  if (!isEmbed(found)) {
    throw new UsageError(
      `--embed ${path} has no function as its export 'embed', 'createEmbed' or default`
    )
  }
  return found
}

// What a function takes and returns can only be told by calling it; the store checks the vectors.
function isEmbed(value: unknown): value is Embed {
  return typeof value === 'function'
}
