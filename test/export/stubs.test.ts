import { ConceptId } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { loadOptional } from '#sutra/optional-package.js'
import { openTemporaryStore } from '../support/open-store.ts'

const KEY = { key: 'a' }

describe('a stub in an import', () => {
  const stub = { kind: 'concept', key: 'a', stub: true } as const

  test('is made as it was exported, without being embedded', async () => {
    const embed = async (texts: string[]) => texts.map(() => new Float32Array([1, 2]))
    await using temporary = await openTemporaryStore({ vectors: { dimensions: 2 }, embed })
    const { store } = temporary

    await store.import([{ ...stub, strength: 0.5 }], { strict: true })

    expect(await store.get(KEY)).toMatchObject({
      ...{ key: 'a', content: '', stub: true, strength: 0.5, hasVector: false }
    })
  })

  test('changes nothing that was learned', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await store.learn({ id: KEY, content: 'A', type: 'word' })

    const report = await store.import([{ ...stub, type: 'other' }], { ifExists: 'replace' })

    expect(report).toMatchObject({ concepts: 1, rejectedCount: 0 })
    expect(await store.get(KEY)).toMatchObject({ content: 'A', type: 'word', version: 1 })
    expect((await store.get(KEY))?.stub).toBeUndefined()
  })

  test('gives way to what is learned', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await store.import([{ ...stub, metadata: { n: 1 } }], { strict: true })

    await store.learn({ id: KEY, content: 'A' })

    expect(await store.get(KEY)).toMatchObject({ content: 'A', metadata: {} })
    expect((await store.get(KEY))?.stub).toBeUndefined()
  })

  test('is refused where learned concepts are', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    await store.learn({ id: KEY, content: 'A' })

    const report = await store.import([stub], { ifExists: 'fail' })

    expect(report.rejected).toMatchObject([{ reason: expect.stringContaining('CONCEPT_EXISTS') }])
  })

  test.each([
    ['nothing that says whose it is', { kind: 'concept', stub: true }],
    ['a word for a flag', { ...stub, stub: 'yes' }],
    ['no stub, but empty', { kind: 'concept', id: ConceptId.fromKey('a'), content: '' }]
  ])('needs a name: rejected is %s', async (_, record) => {
    await using temporary = await openTemporaryStore()

    const report = await temporary.store.import([record as never])

    expect(report).toMatchObject({ concepts: 0, rejectedCount: 1 })
  })
})

describe('a package that is not installed', () => {
  test('is named, with how to install it', async () => {
    const missing = Object.assign(new Error('no'), { code: 'ERR_MODULE_NOT_FOUND' })
    const loading = loadOptional('hyparquet', 'import of Parquet', async () => {
      throw missing
    })

    await expect(loading).rejects.toMatchObject({
      ...{ code: 'UNSUPPORTED', cause: missing },
      details: {
        operation: 'import of Parquet',
        reason: 'it needs the package hyparquet: npm install hyparquet'
      }
    })
  })

  test('is not blamed for its own mistakes', async () => {
    const broken = new Error('broken')
    const loading = loadOptional('hyparquet', 'import of Parquet', async () => {
      throw broken
    })

    await expect(loading).rejects.toBe(broken)
  })
})
