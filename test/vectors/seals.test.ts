import { appendFile, rm, truncate, writeFile } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { checkSealed, IndexDamage, readSeal } from '#sutra/projections/vectors/index-files.js'
import { Pace } from '#sutra/projections/vectors/pace.js'
import { Random } from '../support/random.ts'
import { flipFile } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

const BLOCK = 1024 * 1024
const SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 5000]
const random = new Random()

test.each(SIZES)('a seal of %i bytes is the checksum of each block', async (size) => {
  const { path, bytes } = await fileOf(size)

  const seal = await readSeal(path, new Pace())

  const blocks = []
  for (let at = 0; at < size; at += BLOCK) blocks.push(crc32(bytes.subarray(at, at + BLOCK)))
  expect(seal).toEqual({ bytes: size, blocks })
})

test.each(SIZES.flatMap((before) => SIZES.map((more) => [before, more] as const)))(
  'a file of %i bytes that grew by %i is sealed as if it were read whole',
  async (before, more) => {
    const { path } = await fileOf(before)
    const known = await readSeal(path, new Pace())
    await appendFile(
      path,
      random
        .bytes(16)
        .toString('hex')
        .repeat(Math.ceil(more / 32))
    )
    const bytes = before + more

    const grown = await readSeal(path, new Pace(), { bytes, known })

    expect(grown).toEqual(await readSeal(path, new Pace(), { bytes }))
    await expect(checkSealed(path, grown, new Pace())).resolves.toBeUndefined()
    // The older seal still covers the first bytes: what came behind them is none of its business.
    await expect(checkSealed(path, known, new Pace())).resolves.toBeUndefined()
  }
)

test('what is whole of a sealed file is not read again', async () => {
  const { path } = await fileOf(2 * BLOCK + 100)
  const known = await readSeal(path, new Pace())
  const seen: number[] = []
  const range = { bytes: 2 * BLOCK + 100, known }

  await readSeal(path, new Pace(), range, (block) => seen.push(block.length))

  expect(seen).toEqual([100])
})

test('every block is handed out in its order', async () => {
  const { path, bytes } = await fileOf(2 * BLOCK + 77)
  const seal = await readSeal(path, new Pace())
  const seen: Buffer[] = []

  await checkSealed(path, seal, new Pace(), (block) => seen.push(Buffer.from(block)))

  expect(Buffer.concat(seen).equals(bytes)).toBe(true)
})

test.each([
  ['flipped in its first block', async (path: string) => flipFile(path, 9)],
  ['flipped in its last byte', async (path: string) => flipFile(path, 2 * BLOCK + 76)],
  ['cut by one byte', async (path: string) => truncate(path, 2 * BLOCK + 76)],
  ['empty', async (path: string) => truncate(path, 0)],
  ['missing', async (path: string) => rm(path)]
])('a file that is %s is not what was sealed', async (_, damage) => {
  const { path } = await fileOf(2 * BLOCK + 77)
  const seal = await readSeal(path, new Pace())

  await damage(path)

  await expect(checkSealed(path, seal, new Pace())).rejects.toBeInstanceOf(IndexDamage)
})

test('a check that nobody waits for any more is no damage', async () => {
  const { path } = await fileOf(2 * BLOCK)
  const seal = await readSeal(path, new Pace())
  const stopped = new Error('stopped')
  const pace = {
    due: true,
    breathe: async (): Promise<void> => {
      throw stopped
    }
  }

  // A pace that stops at once, whatever the time.
  await expect(checkSealed(path, seal, pace as unknown as Pace)).rejects.toBe(stopped)
})

async function fileOf(size: number): Promise<{ path: string; bytes: Buffer }> {
  const path = await temporaryPath('file')
  const bytes = random.bytes(size)
  await writeFile(path, bytes)
  return { path, bytes }
}
