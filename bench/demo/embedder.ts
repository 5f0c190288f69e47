import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Embed } from 'sutra-storage'
import ts from 'typescript'
import { createEmbedder, MODEL_FILE, parseModel, serializeModel } from './embed.ts'
import { milliseconds, number, type Screen } from './screen.ts'
import { trainModel } from './train.ts'
import { readSynsets, synsetText } from './wordnet.ts'

export const DIMENSIONS = 128

/** Learns the embedding from WordNet's own words and leaves it in the directory, ready for `sutra`. */
export async function makeEmbedder(
  screen: Screen,
  folder: string,
  directory: string
): Promise<Embed> {
  screen.heading('Learning an embedding from the glosses, without any download')
  const started = performance.now()
  await writeEmbedder(directory, await trainModel(texts(folder), DIMENSIONS))

  // The demo uses what it wrote, so that `sutra search` gives the same answers later.
  const model = parseModel(await readFile(join(directory, MODEL_FILE), 'utf8'))
  screen.fact('method', 'TF-IDF with random projection, once reflected: see bench/demo/embed.ts')
  screen.fact(
    'model',
    `${number(model.words.size)} words in ${DIMENSIONS} dimensions, ` +
      `learned in ${milliseconds(performance.now() - started)}`
  )
  return createEmbedder(model)
}

/** Writes the model, and beside it a module whose default export embeds texts with it. */
export async function writeEmbedder(
  directory: string,
  model: Parameters<typeof serializeModel>[0]
): Promise<void> {
  await writeFile(join(directory, MODEL_FILE), serializeModel(model))
  const source = await readFile(new URL('embed.ts', import.meta.url), 'utf8')
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 }
  const { outputText } = ts.transpileModule(source, { compilerOptions })
  await writeFile(join(directory, 'embed.mjs'), outputText)
}

async function* texts(folder: string): AsyncGenerator<string> {
  for await (const synset of readSynsets(folder)) yield synsetText(synset)
}
