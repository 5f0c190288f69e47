import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { frameKey } from '#sutra/log/frame.js'
import { HeadFile } from '#sutra/log/head-file.js'
import { LevelLog } from '#sutra/log/level-log.js'
import { commitOf, framesOf } from '../support/commits.ts'
import { changeRow, deleteRows, flipped, logOf, rowsOf } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

const storeId = randomBytes(16)

test('names the frame that holds a position, wherever in it that is', async () => {
  const { directory, checksums } = await threeFrames()
  const { anchors } = await opened(directory)

  expect(await anchors.at(1)).toEqual({ position: 1, checksum: checksums[0] })
  expect(await anchors.at(3)).toEqual({ position: 3, checksum: checksums[1] })
  expect(await anchors.at(4)).toEqual({ position: 4, checksum: checksums[1] })
  expect(await anchors.at(5)).toEqual({ position: 5, checksum: checksums[2] })
  expect(await anchors.at(6)).toBeUndefined()
  expect(await anchors.hold(await anchors.at(3))).toBe(true)
  expect(await anchors.hold({ position: 3, checksum: 1 })).toBe(false)
  expect(await anchors.hold({ position: 5, checksum: 1 })).toBe(false)
})

test('follows what is appended', async () => {
  const { directory } = await threeFrames()
  const log = await opened(directory)
  const before = await log.anchors.at(5)

  await log.append([commitOf(6, ['f'])], { durable: false })

  const [frame] = await framesOf(log.read(6))
  expect(await log.anchors.at(6)).toEqual({ position: 6, checksum: frame?.checksum })
  expect(await log.anchors.at(5)).toEqual(before)
})

test('takes what it cannot know for granted', async () => {
  const { directory, values } = await threeFrames()
  await changeRow(logOf(directory), frameKey(2), flipped(values[1] as Buffer, 60))
  const { anchors } = await opened(directory, 5)

  expect(await anchors.at(3)).toBeUndefined()
  expect(await anchors.hold({ position: 3, checksum: 1 })).toBe(true)
  expect(await anchors.hold({ position: 6, checksum: 1 })).toBe(true)
  expect(await anchors.hold(undefined)).toBe(true)
})

test('takes for granted what a hole has taken', async () => {
  const { directory } = await threeFrames()
  await deleteRows(logOf(directory), [frameKey(2)])
  const { anchors } = await opened(directory, 5)

  expect(await anchors.hold({ position: 3, checksum: 1 })).toBe(true)
})

test('believes no HEAD before it is compared with its frame', async () => {
  const { directory, checksums } = await threeFrames()
  const { file } = HeadFile.open(join(directory, 'HEAD'), storeId)
  file.write({ position: 5, checksum: 7 })
  file.close()
  const log = await LevelLog.open(directory, storeId)
  onTestFinished(async () => log.close())

  expect(await log.anchors.hold({ position: 5, checksum: checksums[2] ?? 0 })).toBe(true)
  await expect(log.recover(5, false)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
})

/** Of the events 1, 2 to 4, and 5. */
async function threeFrames(): Promise<{
  directory: string
  checksums: number[]
  values: Buffer[]
}> {
  const directory = await temporaryPath()
  await mkdir(directory)
  const log = await LevelLog.create(directory, storeId)
  await log.append([commitOf(1, ['a'])], { durable: true })
  await log.append([commitOf(2, ['b', 'c']), commitOf(4, ['d'])], { durable: true })
  await log.append([commitOf(5, ['e'])], { durable: true })
  const checksums = (await framesOf(log.read(1))).map(({ checksum }) => checksum)
  await log.close()
  const values = (await rowsOf(logOf(directory))).map(([, value]) => value)
  return { directory, checksums, values }
}

async function opened(directory: string, from = 0): Promise<LevelLog> {
  const log = await LevelLog.open(directory, storeId)
  onTestFinished(async () => log.close())
  await log.recover(from, false)
  return log
}
