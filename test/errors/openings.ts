import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { open, type StoreOptions } from 'sutra-storage'
import { expect } from 'vitest'
import { changeRow, flipFile, flipped, logOf, rowsOf, tablesOf } from '../support/raw.ts'
import { DIMENSIONS } from '../support/sample.ts'
import type { RefusedOpening } from './case.ts'

const as = (options: unknown) => async () => options as StoreOptions
const vectors = (options: object) => as({ vectors: { dimensions: DIMENSIONS, ...options } })
const reason = expect.any(String)

export const OPENINGS: RefusedOpening[] = [
  {
    code: 'OPTION_INVALID',
    when: 'an option is unknown',
    arrange: as({ durablity: 'os' }),
    details: { option: 'durablity' }
  },
  {
    code: 'OPTION_INVALID',
    when: 'an option of the pipeline is unknown',
    arrange: as({ pipeline: { batch: 1 } }),
    details: { option: 'pipeline.batch' }
  },
  {
    code: 'OPTION_INVALID',
    when: 'a durability is unknown',
    arrange: as({ durability: 'none' }),
    details: { option: 'durability', received: 'none' }
  },
  {
    code: 'OPTION_INVALID',
    when: 'there are too many dimensions',
    arrange: vectors({ dimensions: 4097 }),
    details: { option: 'vectors.dimensions', received: 4097 }
  },
  {
    code: 'OPTION_INVALID',
    when: 'a limit is beyond what can be',
    arrange: as({ limits: { commitBytes: 65 * 1024 * 1024 } }),
    details: { option: 'limits.commitBytes' }
  },
  {
    code: 'IO_FAILED',
    when: 'a file cannot be read',
    arrange: async (directory) => {
      await rm(join(directory, 'FORMAT'))
      await mkdir(join(directory, 'FORMAT'))
      return {}
    },
    details: { operation: 'open', reason: expect.stringContaining('EISDIR') }
  },
  {
    code: 'OPTION_CONFLICT',
    when: 'the dimensions are others',
    arrange: vectors({ dimensions: 9 }),
    details: { option: 'vectors.dimensions', declared: DIMENSIONS, received: 9 }
  },
  {
    code: 'OPTION_CONFLICT',
    when: 'the metric is another',
    arrange: vectors({ metric: 'ip' }),
    details: { option: 'vectors.metric', declared: 'cosine', received: 'ip' }
  },
  {
    code: 'OPTION_CONFLICT',
    when: 'the quantization is another',
    arrange: vectors({ quantization: 'i8' }),
    details: { option: 'vectors.quantization' }
  },
  {
    code: 'MODEL_CONFLICT',
    when: 'the model is another',
    arrange: vectors({ model: 'other' }),
    details: { received: 'other' }
  },
  {
    code: 'STORE_NOT_FOUND',
    when: 'there is nothing, and nothing is to be made',
    arrange: async (directory) => {
      await rm(directory, { recursive: true })
      return { createIfMissing: false }
    },
    details: { directory: expect.any(String) }
  },
  {
    code: 'STORE_NOT_FOUND',
    when: 'there is nothing to read',
    arrange: async (directory) => {
      await rm(directory, { recursive: true })
      return { readOnly: true }
    },
    details: { directory: expect.any(String) }
  },
  {
    code: 'NOT_A_STORE',
    when: 'the directory holds something else',
    arrange: async (directory) => {
      await rm(directory, { recursive: true })
      await mkdir(directory)
      await writeFile(join(directory, 'thesis.txt'), 'Do not touch')
      return {}
    },
    details: { found: ['thesis.txt'] }
  },
  {
    code: 'NOT_A_STORE',
    when: 'it is a file',
    arrange: async (directory) => {
      await rm(directory, { recursive: true })
      await writeFile(directory, 'A file')
      return {}
    },
    details: { found: [] }
  },
  {
    code: 'STORE_DAMAGED',
    when: 'FORMAT is lost',
    arrange: async (directory) => {
      await rm(join(directory, 'FORMAT'))
      return {}
    },
    details: { file: 'FORMAT', reason }
  },
  {
    code: 'FORMAT_UNSUPPORTED',
    when: 'a newer program made it',
    arrange: async (directory) => {
      const path = join(directory, 'FORMAT')
      const format = JSON.parse(await readFile(path, 'utf8')) as object
      await writeFile(path, JSON.stringify({ ...format, format: 3 }))
      return {}
    },
    details: { format: 3, supported: 2 }
  },
  {
    code: 'MIGRATION_UNFINISHED',
    when: 'a migration was cut short',
    arrange: async (directory) => {
      const path = join(directory, 'FORMAT')
      const format = JSON.parse(await readFile(path, 'utf8')) as object
      const migration = { to: 2, phase: 'copy' }
      await writeFile(path, JSON.stringify({ ...format, format: 1, migration }))
      return {}
    },
    details: { from: 1, to: 2 }
  },
  {
    code: 'LOG_DAMAGED',
    when: 'the newest frame is damaged',
    arrange: async (directory) => {
      const [key, value] = (await rowsOf(logOf(directory))).at(-1) ?? []
      if (key === undefined || value === undefined) throw new Error('The log is empty')
      await changeRow(logOf(directory), key, flipped(value, 60))
      return {}
    },
    details: { from: expect.any(Number), to: expect.any(Number), reason }
  },
  {
    code: 'LOG_BEHIND_CHECKPOINT',
    when: 'the log is older than the tables',
    arrange: async (directory) => {
      const older = join(dirname(directory), 'older')
      await cp(directory, older, { recursive: true })
      const store = await open(directory)
      await store.learn({ content: 'Later' })
      await store.close()
      for (const part of ['log', 'HEAD']) {
        await rm(join(directory, part), { recursive: true })
        await cp(join(older, part), join(directory, part), { recursive: true })
      }
      return {}
    },
    details: { projection: 'tables', checkpoint: expect.any(Number), head: expect.any(Number) }
  },
  {
    code: 'TABLES_DAMAGED',
    when: 'a read-only store would have to build them again',
    arrange: async (directory) => {
      await flipFile(join(await tablesOf(directory), '..', 'CURRENT'), 0)
      return { readOnly: true }
    },
    details: { key: expect.any(String), reason }
  }
]
