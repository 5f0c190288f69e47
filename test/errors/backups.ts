import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open, restore } from 'sutra-storage'
import { expect } from 'vitest'
import { flipFile } from '../support/raw.ts'
import { look, sampleStore } from '../support/sample.ts'
import { temporaryPath } from '../support/temp.ts'
import type { Story } from './case.ts'
import { expectError } from './stories.ts'

const reason = expect.any(String)

export const BACKUPS: Story[] = [
  {
    code: 'BACKUP_TARGET_REFUSED',
    when: 'the directory holds something else',
    details: { directory: expect.any(String), reason },
    tell: async (expected) => {
      const { directory, before } = await sampleStore()
      const target = await temporaryPath('backup')
      await mkdir(target)
      await writeFile(join(target, 'thesis.txt'), 'Do not lose me')
      await using store = await open(directory)
      await expectError(store.backup(target), expected)
      expect(await look(store)).toEqual(before)
    }
  },
  {
    code: 'BACKUP_NOT_FOUND',
    when: 'there is no backup to restore',
    details: { directory: expect.any(String) },
    tell: async (expected) => {
      const { directory } = await sampleStore()
      await expectError(restore(directory, await temporaryPath()), expected)
    }
  },
  {
    code: 'BACKUP_DAMAGED',
    when: 'a frame of the backup was altered',
    details: { file: '1.frames', reason: expect.stringContaining('checksum differs') },
    tell: async (expected) => {
      const target = await backedUp()
      await flipFile(join(target, 'data', '1.frames'), 100)
      await expectError(restore(target, await temporaryPath()), expected)
    }
  },
  {
    code: 'BACKUP_FAILED',
    when: 'the system does not let it be read',
    details: { directory: expect.any(String), reason: expect.stringContaining('EISDIR') },
    outcome: 'unknown',
    tell: async (expected) => {
      const target = await temporaryPath('backup')
      await mkdir(join(target, 'BACKUP'), { recursive: true })
      await expectError(restore(target, await temporaryPath()), expected)
    }
  }
]

async function backedUp(): Promise<string> {
  const { directory } = await sampleStore()
  const target = await temporaryPath('backup')
  await using store = await open(directory)
  await store.backup(target)
  return target
}
