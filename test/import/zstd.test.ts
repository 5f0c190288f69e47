import { writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import xxhash from 'xxhash-wasm'
import { unpackZstd } from '#sutra/import/zstd.js'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

const TEXT: string = Array.from(
  { length: 120 },
  (_, i) => `{"kind":"concept","key":"k${i}","content":"number ${i} of many ${(i * i) % 97}"}\n`
).join('')

/** `TEXT`, packed by the zstd program at level 19, with a checksum. */
const PACKED: Buffer = Buffer.from(
  'KLUv/QRoTRIA5u9iGoBrlgM4SnAgNOM8xoQ81aSUSaaUVA4rxljBcQBTAFUAQ9d51kLhyjTtsnyRZGUcuWAwplZr' +
    'aTSp2Yz/vlUmW/A8TteNOc7ctsZioyqfqDzz/kKRz67W5DYADw6B0IBBAAIEAwkQAmGBwgAEDBgOCYcGBoWGAIdY' +
    'OCQcGigsHAIcGhQoEGBIQOCQcCjAcGDh4CA/lZT8JCTkkRH2cqGJiNxiaVUqQhRKzWQiExJSLnfIZJnxuOa+hcTi' +
    'lm2/rmk0zc4zORz+q9UTlbpNp9L33aXSItcl29bCskTrOoxG5cUiEYkhwyzWu1qVo6L8oqIREVGHhszTaSwkxDGZ' +
    'WCqtJBI/GkkFBbU1NTE0NNzMTOXzecnI2B7PqtOpORzXZhMSE0P1upxOH87nRP9vkctJ3y/q+53npfu+xSO11Vah' +
    'jTZuttlivn1rZZNNyps3vlu3lRu3bePEFtu4YhUzKUaxTmxio8ce8yUmsbJjjr2NNSZkjLFvscUqYhFzVdWoqGJq' +
    'aq+XpaTK5fpaLWGBZaghHLf3fwOhtwybARJAEBhVMEJwqnAi1JfNILPvaJzO6Rrb03tGMZStBBzH80jKeCYzi9E4' +
    'O+c1ak/nRZtlIoRCZkKkZslasOC9EdoIMLuIiOYOdef/gRBFLF5hj5lUlzhHR2L1qv4DJjDR6IYgf+qMpsQmvslU' +
    'aCFwHnYv619gAhOZbqg3QOySRmoDmXrJ3xGRiOQEUy7MJ8a1lEGtUFIkpKJCSEQNBonaruR77HusnAWg8qoQ8FcB' +
    '2yXuDQ==',
  'base64'
)

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd]

describe('unpacking zstd', () => {
  test('gives back what was packed, wherever the chunks of the file end', async () => {
    for (const size of [1, 2, 3, 7, 100, PACKED.length]) {
      expect((await unpack(PACKED, size)).toString(), `chunks of ${size}`).toBe(TEXT)
    }
  })

  test('takes several frames one behind the other, and skips those that hold no data', async () => {
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
    const raw = await rawFrame(Buffer.from('raw'), true)
    const unchecked = await rawFrame(Buffer.from('unchecked'), false)
    const all = Buffer.concat([skippable, PACKED, raw, skippable, unchecked])

    expect((await unpack(all, 5)).toString()).toBe(`${TEXT}rawunchecked`)
  })

  test('notices wherever the file ends too early', async () => {
    for (let end = 0; end < PACKED.length; end++) {
      await expect(unpack(PACKED.subarray(0, end), 50), `cut at ${end}`).rejects.toThrow()
    }
  })

  test('notices a flipped bit, wherever it is', async () => {
    for (let at = 0; at < PACKED.length; at++) {
      const damaged = Buffer.from(PACKED)
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8))
      const outcome = await unpack(damaged, 50).then(
        (bytes) => bytes.toString() === TEXT,
        () => true
      )
      // A flip may hit what means nothing, never what comes out.
      expect(outcome, `flipped at ${at}`).toBe(true)
    }
  })

  test('unpacks a block at a time, however much a few bytes stand for', async () => {
    const blocks = Array.from({ length: 10_000 }, () => [(128 * 1024 * 8) | 2, 0x41] as const)
    const bytes = Buffer.alloc(blocks.length * 4)
    for (const [i, [head, byte]] of blocks.entries()) {
      bytes.writeUIntLE(head | (i === blocks.length - 1 ? 1 : 0), i * 4, 3)
      bytes[i * 4 + 3] = byte
    }
    const bomb = Buffer.concat([Buffer.from([...MAGIC, 0, 0x38]), bytes])

    let length = 0
    for await (const block of unpackZstd(chunksOf(bomb, bomb.length))) {
      expect(block.length).toBe(128 * 1024)
      length += block.length
      if (length > 100 * 128 * 1024) break
    }

    expect(length).toBe(101 * 128 * 1024)
  })

  test.each([
    ['a window that would take too much memory', [...MAGIC, 0, 0xff, 1, 0, 0], 'window'],
    ['a dictionary', [...MAGIC, 1, 0x38, 7, 1, 0, 0], 'dictionary'],
    ['another format', [0x1f, 0x8b, 8, 0], 'not packed with zstd'],
    ['a length that is not so', [...MAGIC, 0x20, 9, 25, 0, 0, 1, 2, 3], 'of 9 bytes has 3']
  ])('refuses %s', async (_, bytes, reason) => {
    await expect(unpack(Buffer.from(bytes), 100)).rejects.toThrow(reason)
  })
})

describe('an import of a file that ends in .zst', () => {
  test('reads what is packed in it', async () => {
    await using temporary = await openTemporaryStore()
    const path = await temporaryPath('all.jsonl.zst')
    await writeFile(path, PACKED)

    const report = await temporary.store.import(path)

    expect(report).toMatchObject({ concepts: 120, rejectedCount: 0 })
    expect(await temporary.store.get({ key: 'k119' })).toMatchObject({
      content: 'number 119 of many 96'
    })
  })

  test('says so when the file is damaged', async () => {
    await using temporary = await openTemporaryStore()
    const path = await temporaryPath('all.jsonl.zst')
    await writeFile(path, PACKED.subarray(0, -1))

    await expect(temporary.store.import(path)).rejects.toMatchObject({
      code: 'IMPORT_SOURCE_INVALID',
      details: { source: path, reason: 'it ends in the middle of a frame' }
    })
  })
})

async function unpack(bytes: Buffer, size: number): Promise<Buffer> {
  const blocks: Buffer[] = []
  for await (const block of unpackZstd(chunksOf(bytes, size))) blocks.push(block)
  return Buffer.concat(blocks)
}

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** A frame of one block that is stored as it is. */
async function rawFrame(content: Buffer, hasChecksum: boolean): Promise<Buffer> {
  const { create64 } = await xxhash()
  const head = Buffer.alloc(3)
  head.writeUIntLE((content.length << 3) | 1, 0, 3)
  const tail = Buffer.alloc(hasChecksum ? 4 : 0)
  const checksum = create64().update(content).digest() & 0xffffffffn
  if (hasChecksum) tail.writeUInt32LE(Number(checksum))
  return Buffer.concat([Buffer.from([...MAGIC, hasChecksum ? 4 : 0, 0x38]), head, content, tail])
}
