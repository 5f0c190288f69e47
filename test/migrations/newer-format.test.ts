/** A store that a later release wrote is refused by this one, and not a byte of it changes. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'sutra-storage'
import { afterEach, beforeEach, expect, test } from 'vitest'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sutra-newer-'))
  const store = await open(directory)
  await store.learn({ content: 'by a later release' })
  await store.close()
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

// A later release may name other fields: the number alone decides.
test.each([{ format: 3 }, { format: 3, store: 'named otherwise', storeId: 7, createdAt: null }])(
  'a format file of %j is refused and the store left as it is',
  async (newer) => {
    writeFileSync(join(directory, 'FORMAT'), JSON.stringify(newer))
    const before = fingerprint(directory)

    await expect(open(directory)).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
      details: { format: 3, supported: 2 }
    })
    await expect(open(directory, { readOnly: true })).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED'
    })

    expect(fingerprint(directory)).toEqual(before)
  }
)

function fingerprint(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((name) => statSync(join(root, name)).isFile())
    .map((name) => {
      const bytes = readFileSync(join(root, name))
      return `${name} ${createHash('sha256').update(bytes).digest('hex')}`
    })
}
