import { randomBytes } from 'node:crypto'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { LevelLog } from '#sutra/log/level-log.js'
import { MemoryLog, MemoryStorage } from '../support/memory-log.ts'
import { temporaryPath } from '../support/temp.ts'
import { describeEventLog, type LogUnderTest } from './event-log.contract.ts'

describeEventLog('level log', async (): Promise<LogUnderTest> => {
  const directory = await temporaryPath()
  await mkdir(directory)
  const storeId = randomBytes(16)
  const log = await LevelLog.create(directory, storeId)
  const files = join(directory, 'log')
  const away = join(directory, 'away')
  return {
    log,
    // A sync of files that were not synced opens them by name: without the directory that fails.
    breakStorage: async () => rename(files, away),
    heal: async () => rename(away, files),
    reopen: async () => {
      await log.close()
      const reopened = await LevelLog.open(directory, storeId)
      await reopened.recover(0, false)
      await reopened.sync()
      return reopened
    }
  }
})

describeEventLog('memory log', async (): Promise<LogUnderTest> => {
  const storage = new MemoryStorage()
  const log = new MemoryLog(storage)
  return {
    log,
    breakStorage: async () => {
      storage.fault = new Error('The disk is gone')
    },
    heal: async () => {
      storage.fault = undefined
    },
    reopen: async () => {
      await log.close()
      return new MemoryLog(storage)
    }
  }
})
