import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { expect, onTestFinished, test } from 'vitest'
import { HeadFile, readWatermark } from '#sutra/log/head-file.js'
import { temporaryPath } from '../support/temp.ts'

const STORE_ID = Buffer.alloc(16, 7)

test.each([1, 2, 3])(
  'writes that fail half way leave the watermark before them (%d)',
  async (failed) => {
    const path = await temporaryPath('HEAD')
    const file = HeadFile.create(path, STORE_ID)
    for (const position of [1, 2, 3]) file.write({ position, checksum: position })

    tearWrites()
    for (let i = 0; i < failed; i++) {
      expect(() => {
        file.write({ position: 4 + i, checksum: 4 + i })
      }).toThrow('no space')
    }
    expect(readWatermark(path, STORE_ID)).toEqual({ position: 3, checksum: 3 })

    mendWrites()
    for (const position of [7, 8]) file.write({ position, checksum: position })
    file.close()
    expect(readWatermark(path, STORE_ID)).toEqual({ position: 8, checksum: 8 })
  }
)

const { writeSync } = fs

/** Each write from now on puts half of its bytes into the file, and fails. */
function tearWrites(): void {
  const torn = (descriptor: number, bytes: Buffer, ...rest: number[]): number => {
    const [offset = 0, length = bytes.length, position = null] = rest
    writeSync(descriptor, bytes, offset, length >> 1, position)
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  }
  fs.writeSync = torn as typeof fs.writeSync
  syncBuiltinESMExports()
  onTestFinished(mendWrites)
}

function mendWrites(): void {
  fs.writeSync = writeSync
  syncBuiltinESMExports()
}
