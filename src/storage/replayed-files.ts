/**
 * What LevelDB will replay when it opens a database, checked before that: it drops what is damaged and
 * goes on, believes every number in what is whole, and ends the process over some of them.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { STRETCH_MS, turn } from '../turn.ts'
import { isMisplaced, isMissing, namesIn } from './files.ts'
import { type Manifest, readManifest } from './level-manifest.ts'
import { checkBatch, type Part, partsOf, SEQUENCE_MAX } from './write-ahead-file.ts'

const LOG_FILE = /^\d+\.log$/

export interface ReplayedPart {
  file: string
  offset: number
  /** A batch, or what stands where one should be. */
  record: Buffer | undefined
  /** What is wrong with it. */
  reason: string | undefined
  /** Whether its checksum holds. No crash leaves such a record that is not LevelDB's. */
  isWhole: boolean
}

/**
 * Every part of its write-ahead files, in order, and in stretches: a step of a generator that waits costs
 * as much as the check of a record. None where MANIFEST is lost: LevelDB refuses that.
 */
export async function* replayedParts(directory: string): AsyncGenerator<ReplayedPart[]> {
  const manifest = await readManifest(directory)
  if (manifest === undefined) return
  if (manifest.lastSequence > SEQUENCE_MAX) {
    const reason = 'MANIFEST has a number that LevelDB cannot hold'
    yield [{ file: directory, offset: 0, record: undefined, reason, isWhole: true }]
    return
  }
  // Tables are written from older files: a batch with their numbers is of a file from somewhere else.
  let last = manifest.flushed
  for (const file of await replayedFiles(directory, manifest)) {
    let parts: ReplayedPart[] = []
    let began = performance.now()
    for (const part of partsOf(await contentOf(file))) {
      const checked = checkPart(file, part, last)
      last = checked.last
      parts.push(checked.part)
      if (performance.now() - began < STRETCH_MS) continue
      yield parts
      parts = []
      await turn()
      began = performance.now()
    }
    if (parts.length > 0) yield parts
  }
}

async function replayedFiles(directory: string, manifest: Manifest): Promise<string[]> {
  const { logNumber, previousLog } = manifest
  return (await namesIn(directory))
    .filter((name) => LOG_FILE.test(name))
    .map((name) => ({ name, number: Number.parseInt(name, 10) }))
    .filter(({ number }) => number >= logNumber || number === previousLog)
    .sort((a, b) => a.number - b.number)
    .map(({ name }) => join(directory, name))
}

async function contentOf(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    // A directory in its place holds no batch.
    if (isMissing(error) || isMisplaced(error)) return Buffer.alloc(0)
    throw error
  }
}

function checkPart(
  file: string,
  { at: offset, record }: Part,
  last: bigint
): { part: ReplayedPart; last: bigint } {
  const isWhole = record !== undefined
  const part: ReplayedPart = { file, offset, record, reason: undefined, isWhole }
  if (!isWhole) return { part: { ...part, reason: 'a record is damaged' }, last }
  try {
    const { sequence, count } = checkBatch(record)
    if (sequence <= last) throw new RangeError('a batch is older than what stands before it')
    return { part, last: sequence + BigInt(count) - 1n }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { part: { ...part, reason: error.message }, last }
  }
}
