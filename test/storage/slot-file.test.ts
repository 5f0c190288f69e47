import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { SlotFile } from '#sutra/storage/slot-file.js'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

const SLOT_BYTES = 256
const ROUNDS = 300

test('the newest record is found again, whole or not synced', async () => {
  const path = await temporaryPath('slots')
  const file = await SlotFile.create(path, SLOT_BYTES, Buffer.from('first'))
  expect(textOf(SlotFile.peek(path, SLOT_BYTES))).toBe('first')
  for (const text of ['second', 'third', '']) {
    file.write(Buffer.from(text))
    expect(textOf(SlotFile.peek(path, SLOT_BYTES))).toBe(text)
  }
  await file.sync()
  file.close()

  const again = await SlotFile.open(path, SLOT_BYTES)

  expect(textOf(again?.record)).toBe('')
  again?.file.write(Buffer.from('fourth'))
  again?.file.close()
  expect(textOf(SlotFile.peek(path, SLOT_BYTES))).toBe('fourth')
})

test('what was synced last survives any tearing of what was not, through many lives', async () => {
  const random = new Random()
  const path = await temporaryPath('slots')
  try {
    let file = await SlotFile.create(path, SLOT_BYTES, Buffer.from('0'))
    // What a power cut leaves at least: the bytes of the disk, and the number that they mean.
    const disk = { bytes: readFileSync(path), number: 0 }
    let number = 0
    for (let round = 0; round < ROUNDS; round++) {
      const chance = random.below(10)
      if (chance < 6) file.write(Buffer.from(String(++number).padEnd(random.below(200), ' ')))
      else if (chance < 8) {
        const syncing = file.sync()
        const written = number
        // While it is on its way, more may be written.
        if (random.below(2) === 0) file.write(Buffer.from(String(++number)))
        await syncing
        Object.assign(disk, { bytes: readFileSync(path), number: written })
      } else {
        if (chance === 8) await file.sync()
        file.close()
        if (chance === 9) tear(path, disk.bytes, random)
        const again = await SlotFile.open(path, SLOT_BYTES)
        if (again === undefined) throw new Error(`Round ${round}: no record is whole`)
        file = again.file
        const found = Number(textOf(again.record))
        expect(found).toBeGreaterThanOrEqual(disk.number)
        expect(found).toBeLessThanOrEqual(number)
        number = found
        Object.assign(disk, { bytes: readFileSync(path), number: found })
      }
    }
    file.close()
  } catch (cause) {
    throw new Error(`With SUTRA_TEST_SEED=${random.seed}`, { cause })
  }
})

test.each([
  { what: 'no bytes', bytes: Buffer.alloc(0) },
  { what: 'zeros', bytes: Buffer.alloc(3 * SLOT_BYTES) },
  { what: 'noise', bytes: new Random(7).bytes(3 * SLOT_BYTES) }
])('$what hold no record', async ({ bytes }) => {
  const path = await temporaryPath('slots')
  await mkdir(dirname(path), { recursive: true })
  writeFileSync(path, bytes)

  expect(SlotFile.peek(path, SLOT_BYTES)).toBeUndefined()
  expect(await SlotFile.open(path, SLOT_BYTES)).toBeUndefined()
})

test('a record that is too long for its slot is refused, and nothing is left of the attempt', async () => {
  const path = await temporaryPath('slots')
  const long = Buffer.alloc(SLOT_BYTES)
  await expect(SlotFile.create(path, SLOT_BYTES, long)).rejects.toThrow('fits into its slot')
  expect(await readdir(dirname(path))).toEqual([])
})

/**
 * A power cut: of each block of 64 bytes that differs from what is surely on the disk, the old or the
 * new content is there.
 */
function tear(path: string, disk: Buffer, random: Random): void {
  const now = readFileSync(path)
  const descriptor = openSync(path, 'r+')
  for (let at = 0; at < now.length; at += 64) {
    if (random.below(2) === 0) continue
    const old = Buffer.alloc(Math.min(64, now.length - at))
    old.set(disk.subarray(at, at + old.length))
    writeSync(descriptor, old, 0, old.length, at)
  }
  closeSync(descriptor)
}

function textOf(record: Uint8Array | undefined): string | undefined {
  return record === undefined ? undefined : Buffer.from(record).toString().trimEnd()
}
