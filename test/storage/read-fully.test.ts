/** A read may give less than is there. What follows is either there as well, or says why not. */
import type { FileHandle } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readFully } from '#sutra/storage/files.js'

const CONTENT = Buffer.from('what lies in the file, from its beginning to its end')

test('is read to the end of the memory, or of the file, however little comes at once', async () => {
  const into = Buffer.alloc(20)
  expect(await readFully(fileOf(3), into, 5)).toBe(20)
  expect(into.equals(CONTENT.subarray(5, 25))).toBe(true)

  const longer = Buffer.alloc(100)
  expect(await readFully(fileOf(7), longer, 10)).toBe(CONTENT.length - 10)
  expect(longer.subarray(0, CONTENT.length - 10).equals(CONTENT.subarray(10))).toBe(true)
})

test('says what is wrong with a sector behind what could be read', async () => {
  const damaged = fileOf(8, 30)
  expect(await readFully(damaged, Buffer.alloc(30), 0)).toBe(30)
  await expect(readFully(damaged, Buffer.alloc(31), 0)).rejects.toThrow('EIO')
})

/** A file that gives a few bytes at once, up to a place from which on none can be read. */
function fileOf(atOnce: number, badFrom = Number.POSITIVE_INFINITY): FileHandle {
  const read = async (into: Buffer, offset: number, length: number, position: number) => {
    if (position >= badFrom) throw new Error('EIO: i/o error, read')
    const end = Math.min(position + Math.min(length, atOnce), badFrom)
    const bytesRead = CONTENT.copy(into, offset, position, end)
    return Promise.resolve({ bytesRead, buffer: into })
  }
  return { read } as unknown as FileHandle
}
