/** What this package exports. A name that comes or goes is a decision, not an accident. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const NAMES = [
  'ConceptId',
  'EVENT_TYPES',
  'InvariantError',
  'StoreError',
  'TELEMETRY_KINDS',
  'attach',
  'defineProjection',
  'isStoreError',
  'migrate',
  'open',
  'readTelemetry',
  'repair',
  'restore',
  'verifyBackup'
]

describe('the package', () => {
  test('exports these names and no other', async () => {
    expect(Object.keys(await import('sutra-storage')).sort()).toEqual(NAMES)
  })

  test('can be required, and works then', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sutra-require-'))
    const program = `
      const { open } = require('sutra-storage')
      open(process.argv[1], { vectors: { dimensions: 2 } }).then(async (store) => {
        await store.learn({ content: 'by require', embedding: [1, 0] })
        const [match] = await store.search([1, 0], { include: ['concept'] })
        console.log(match.concept.content)
        await store.close()
      })
    `

    const answer = await promisify(execFile)(process.execPath, ['-e', program, directory])
    await rm(directory, { recursive: true })

    expect(answer).toEqual({ stdout: 'by require\n', stderr: '' })
  })

  test('hides its files', () => {
    const { resolve } = createRequire(import.meta.url)

    expect(() => resolve('sutra-storage/dist/store.js')).toThrow(
      expect.objectContaining({ code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
    )
  })

  test('names a command that exists, with its interpreter in the first line', () => {
    const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: { sutra: string } }

    expect(readFileSync(bin.sutra, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  test('makes ids in these ways', async () => {
    const { ConceptId } = await import('sutra-storage')

    expect(Object.keys(ConceptId).sort()).toEqual(['fromContent', 'fromHex', 'fromKey', 'random'])
  })

  test('hashes ids as it always will', async () => {
    const { ConceptId } = await import('sutra-storage')

    // Frozen with format 1: every store and every export names concepts so.
    expect(ConceptId.fromKey('wn:00001740-n')).toBe('b98cd05d866619b14a1c5a89682ed011')
    expect(ConceptId.fromContent('Ada Lovelace')).toBe('7904a704291176cfd0f56f54bdd2ebaa')
    expect(ConceptId.fromKey('Ünïcödé ✓')).toBe('e6648bd77e5d0cf4a5d602047320f552')
  })
})
