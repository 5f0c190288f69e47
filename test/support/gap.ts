/** Puts a gap frame where frames of a closed store are, as a repair does once they are lost. */
import { join } from 'node:path'
import { type Frame, sealGap } from '#sutra/log/frame.js'
import { decodeFrame } from '#sutra/log/frame-decode.js'
import { HeadFile } from '#sutra/log/head-file.js'
import { changeRow, deleteRows, logOf, rowsOf } from './raw.ts'

export async function framesOf(directory: string): Promise<Frame[]> {
  const rows = await rowsOf(logOf(directory))
  return rows.map(([key, value]) => decodeFrame(key, value, value.subarray(16, 32)))
}

/** Loses frames by their index in the log, both ends included. The tables are left as they are. */
export async function loseFrames(directory: string, from: number, to: number): Promise<void> {
  const rows = await rowsOf(logOf(directory))
  const frames = await framesOf(directory)
  const [before, first, last, next] = [frames[from - 1], frames[from], frames[to], frames[to + 1]]
  const storeId = rows[0]?.[1].subarray(16, 32)
  if (first === undefined || last === undefined || storeId === undefined) {
    throw new RangeError(`there are no frames ${from} to ${to}`)
  }
  const gap = sealGap({
    format: first.format,
    first: first.first,
    count: last.last - first.first + 1,
    time: before?.time ?? 0,
    previous: before?.checksum ?? 0,
    storeId,
    next: next?.previous,
    reason: 'lost by a test'
  })
  await deleteRows(
    logOf(directory),
    rows.slice(from, to + 1).map(([key]) => key)
  )
  await changeRow(logOf(directory), gap.key, gap.value)
  if (next !== undefined) return
  const { file } = HeadFile.open(join(directory, 'HEAD'), storeId)
  file.write({ position: last.last, checksum: gap.checksum })
  await file.sync()
  file.close()
}
