/** The index alone: what the vectors of any other cost at least. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildIndex, EFS, MappedIndex } from './usearch-file.mjs'

export async function load(data, directory, mark) {
  const save = buildIndex(data, join(directory, 'vectors.usearch'))
  mark('vectors')
  return async () => {
    save()
    await writeFile(join(directory, 'keys.json'), JSON.stringify(data.keys))
  }
}

export async function open(directory) {
  const index = new MappedIndex(join(directory, 'vectors.usearch'))
  const keys = JSON.parse(await readFile(join(directory, 'keys.json'), 'utf8'))
  return {
    knn: (vector, k) => index.search(vector, k).map((row) => keys[row]),
    efs: EFS,
    useEf: (ef) => index.useEf(ef),
    close: async () => undefined
  }
}
