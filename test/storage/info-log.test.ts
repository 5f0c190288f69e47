/** What LevelDB's own log tells of its compactions. */
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { InfoLog, InfoLogParser } from '#sutra/storage/info-log.js'
import { Level } from '#sutra/storage/level.js'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'

test('a flush and a merge are told with their sizes, and how long they took', () => {
  const lines = [
    '2026/11/22-16:50:18.546271 7f2dcc9fc6c0 Level-0 table #9: started',
    '2026/11/22-16:50:18.682610 7f2dcc9fc6c0 Level-0 table #9: 16079296 bytes OK',
    '2026/11/22-16:50:18.683449 7f2dcc9fc6c0 Delete type=0 #6',
    '2026/11/22-16:50:18.689102 7f2dcc9fc6c0 Compacting 1@1 + 2@2 files',
    '2026/11/22-16:50:18.992694 7f2dcc9fc6c0 Generated table #10@1: 304862 keys, 31761388 bytes',
    '2026/11/22-16:50:18.992720 7f2dcc9fc6c0 Compacted 1@1 + 2@2 files => 31761388 bytes',
    '2026/11/22-16:50:18.993006 7f2dcc9fc6c0 compacted to: files[ 0 0 1 0 0 0 0 ]'
  ]
  const parser = new InfoLogParser()
  const told = lines.map((line) => parser.line(line)).filter((one) => one !== undefined)
  expect(told).toHaveLength(2)
  const [flush, merge] = told
  expect(flush).toMatchObject({ kind: 'flush', level: 0, files: 0, bytes: 16_079_296 })
  expect(flush?.ms).toBeCloseTo(136.339, 2)
  expect(new Date(flush?.time ?? 0).toString()).toContain('Nov 22 2026 16:50:18')
  expect(merge).toMatchObject({ kind: 'merge', level: 1, files: 3, bytes: 31_761_388 })
  expect(merge?.ms).toBeCloseTo(303.618, 2)
})

test('what has no begin, no end, or is no line at all tells nothing', () => {
  const parser = new InfoLogParser()
  const lines = [
    '2026/11/22-16:50:18.682610 7f Level-0 table #9: 16079296 bytes OK',
    '2026/11/22-16:50:18.992720 7f Compacted 1@1 + 2@2 files => 31761388 bytes',
    '2026/11/22-16:50:18.689102 7f Compacting 1@1 + 2@2 files',
    'Compacted 1@1 + 2@2 files => 31761388 bytes',
    '2026/11/22-16:50:18.68',
    ''
  ]
  expect(lines.map((line) => parser.line(line))).toEqual(lines.map(() => undefined))
})

test('only what is new is read, over lines that are cut and files that begin anew', async () => {
  const directory = await temporaryPath('level')
  await mkdir(directory)
  const path = join(directory, 'LOG')
  const flush = (number: number): string =>
    `2026/11/22-16:50:18.100000 7f Level-0 table #${number}: started\n` +
    `2026/11/22-16:50:18.200000 7f Level-0 table #${number}: ${number} bytes OK\n`
  const log = new InfoLog(directory)
  expect(await log.read()).toEqual([])
  await writeFile(path, flush(1))
  expect(await log.read()).toMatchObject([{ bytes: 1 }])
  expect(await log.read()).toEqual([])
  const [head, tail] = [flush(2).slice(0, 90), flush(2).slice(90)]
  await appendFile(path, head)
  expect(await log.read()).toEqual([])
  await appendFile(path, `${tail}${flush(3)}`)
  expect(await log.read()).toMatchObject([{ bytes: 2 }, { bytes: 3 }])
  await writeFile(path, flush(4))
  expect(await log.read()).toMatchObject([{ bytes: 4 }])
  await rm(path)
  expect(await log.read()).toEqual([])
})

test('the LevelDB that we use words it so', async () => {
  const directory = await temporaryPath('level')
  const tuning = { cacheBytes: 1 << 20, writeBufferBytes: 64 << 10, maxFileBytes: 1 << 20 }
  const level = await Level.create(directory, tuning)
  try {
    const log = new InfoLog(directory)
    expect(await log.read()).toEqual([])
    const random = new Random()
    const told: Awaited<ReturnType<InfoLog['read']>> = []
    for (let i = 0; i < 2000; i++) {
      await level.put(random.bytes(8), random.bytes(1000), { sync: false })
    }
    await vi.waitFor(async () => {
      told.push(...(await log.read()))
      const kinds = new Set(told.map(({ kind }) => kind))
      expect([...kinds].sort()).toEqual(['flush', 'merge'])
    }, 20_000)
    for (const { bytes, ms, time } of told) {
      expect(bytes).toBeGreaterThan(0)
      expect(ms).toBeGreaterThanOrEqual(0)
      expect(Math.abs(time - Date.now())).toBeLessThan(120_000)
    }
  } finally {
    await level.close()
  }
})
