import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { temporaryPath } from '../support/temp.ts'

describe('a process that dies while it makes a store', () => {
  test('leaves a directory that the next open makes into an empty store', async () => {
    const whole = await temporaryPath('whole')
    await (await open(whole)).close()
    const parts = await filesBelow(whole)
    expect(parts).toContain('FORMAT')

    // FORMAT is written last, so that a death leaves some of the others, whole or empty.
    const others = parts.filter((part) => part !== 'FORMAT' && !part.startsWith('tables'))
    for (let count = 0; count <= others.length; count++) {
      for (const isCut of [false, true]) {
        const directory = await temporaryPath(`part-${count}-${isCut}`)
        await copyParts(whole, directory, others.slice(0, count))
        const last = others[count - 1]
        if (isCut && last !== undefined) await writeFile(join(directory, last), '')

        await using store = await open(directory)

        expect(store.head).toBe(0)
        await store.learn({ content: 'First' })
        expect((await store.counts()).concepts).toBe(1)
      }
    }
  })

  test('leaves nothing that keeps a half-written FORMAT from being replaced', async () => {
    const directory = await temporaryPath()
    await mkdir(directory)
    await writeFile(join(directory, 'FORMAT.0123456789ab.tmp'), '{"for')

    await using store = await open(directory)

    expect(store.head).toBe(0)
    expect(await readdir(directory)).not.toContain('FORMAT.0123456789ab.tmp')
  })

  test('is not a store yet for those that must not create one', async () => {
    const directory = await temporaryPath()
    await mkdir(join(directory, 'log'), { recursive: true })

    const details = { directory }
    for (const options of [{ createIfMissing: false }, { readOnly: true }]) {
      const opening = open(directory, options)
      await expect(opening).rejects.toMatchObject({ code: 'STORE_NOT_FOUND', details })
    }
    expect(await readdir(directory)).toEqual(['log'])
  })

  test('dies between FORMAT and its tables: they are made at the next open', async () => {
    const directory = await temporaryPath()
    await (await open(directory)).close()
    await rm(join(directory, 'tables'), { recursive: true })
    await rm(join(directory, 'vectors'), { recursive: true })

    await using store = await open(directory)

    await store.learn({ content: 'First' })
    await store.caughtUp()
    expect((await store.verify()).ok).toBe(true)
  })
})

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

async function copyParts(from: string, to: string, parts: readonly string[]): Promise<void> {
  await mkdir(to)
  for (const part of parts) await cp(join(from, part), join(to, part))
}
