/** Checks the files of a LevelDB database against LevelDB's own checksums, without LevelDB. */
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { STRETCH_MS, turn } from '../turn.ts'
import { isMissing, namesIn, readFully } from './files.ts'
import { readManifest } from './level-manifest.ts'
import { replayedParts } from './replayed-files.ts'
import {
  type FileProblem,
  FOOTER_BYTES,
  type Handle,
  isWhole,
  TableFile,
  TRAILER_BYTES
} from './table-file.ts'

/** So much of a file is in memory while it is checked, or one block that is larger. */
const WINDOW_BYTES = 512 * 1024

export interface DamagedFile extends FileProblem {
  file: string
}

export interface CheckedFile {
  bytes: number
  problem: DamagedFile | undefined
}

/**
 * The files that make up the database, smallest first: a small one is checked whole, whatever the
 * budget. None if LevelDB's own list of them cannot be read, which it finds itself when it opens.
 */
export async function tableFiles(directory: string): Promise<{ path: string; bytes: number }[]> {
  const live = (await readManifest(directory))?.tables
  const found: { path: string; bytes: number }[] = []
  for (const name of await namesIn(directory)) {
    const table = name.endsWith('.ldb') ? live?.get(Number.parseInt(name, 10)) : undefined
    if (table !== undefined) found.push({ path: join(directory, name), bytes: table.bytes })
  }
  return found.sort((a, b) => a.bytes - b.bytes)
}

/** Checks one file in stretches, through a window; `undefined` if it is gone. */
export async function checkTableFile(path: string): Promise<CheckedFile | undefined> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  try {
    const { size } = await file.stat()
    const problem = await findProblem(file, size)
    return { bytes: size, problem: problem && { ...problem, file: path } }
  } finally {
    await file.close()
  }
}

/** The first problem of a file. Whole files in memory would cost an open more than checking them. */
async function findProblem(file: FileHandle, length: number): Promise<FileProblem | undefined> {
  let end: TableFile
  let blocks: Handle[]
  try {
    end = await TableFile.readEnd(file, length)
    blocks = end.blocks()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { offset: Math.max(length - FOOTER_BYTES, 0), reason: error.message }
  }
  const window = new Window(file)
  let next = 0
  let began = performance.now()
  for (const block of blocks) {
    const { offset, size } = block
    // Blocks lie one behind the other: what no block covers is not what LevelDB wrote.
    if (offset !== next) return { offset: next, reason: 'bytes between two blocks' }
    next = offset + size + TRAILER_BYTES
    const isIn = next <= length - FOOTER_BYTES
    if (isIn && !window.holds(offset, next)) await window.move(offset, next)
    if (!isIn || !isWhole(window.bytes, offset - window.from, size)) {
      return { offset, reason: 'a block is damaged', ...end.boundsOf(block) }
    }
    if (performance.now() - began < STRETCH_MS) continue
    await turn()
    began = performance.now()
  }
  if (next !== length - FOOTER_BYTES) return { offset: next, reason: 'the file is cut' }
  return undefined
}

/** A part of a file that moves forward through it. */
class Window {
  readonly #file: FileHandle
  #memory = Buffer.alloc(0)
  bytes: Buffer = this.#memory
  from = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  holds(from: number, to: number): boolean {
    return from >= this.from && to <= this.from + this.bytes.length
  }

  /** Holds these bytes and what follows them, as far as the file goes. */
  async move(from: number, to: number): Promise<void> {
    const wanted = Math.max(to - from, WINDOW_BYTES)
    if (wanted > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(wanted)
    const read = await readFully(this.#file, this.#memory.subarray(0, wanted), from)
    this.bytes = this.#memory.subarray(0, read)
    this.from = from
  }
}

/**
 * Checks files before LevelDB opens them, which damaged ones may make end the process.
 *
 * @param bytesMax Once so much of the tables is checked, the rest is left: to `verify` and to the scrub.
 */
export async function findDamagedFile(
  directory: string,
  bytesMax: number
): Promise<DamagedFile | undefined> {
  return (await findDamagedTable(directory, bytesMax)) ?? findDamagedBatch(directory)
}

/** The same of the table files alone. */
export async function findDamagedTable(
  directory: string,
  bytesMax: number
): Promise<DamagedFile | undefined> {
  let checked = 0
  for (const { path, bytes } of await tableFiles(directory)) {
    if (checked + bytes > bytesMax) return undefined
    checked += bytes
    const problem = (await checkTableFile(path))?.problem
    if (problem !== undefined) return problem
  }
  return undefined
}

/** The first batch that LevelDB would lose, or should not believe. A torn end is none: crashes leave it. */
async function findDamagedBatch(directory: string): Promise<DamagedFile | undefined> {
  let damaged: DamagedFile | undefined
  for await (const parts of replayedParts(directory)) {
    for (const { file, offset, reason, isWhole } of parts) {
      if (reason === undefined && damaged !== undefined) return damaged
      if (reason === undefined) continue
      damaged ??= { file, offset, reason }
      if (isWhole) return { file, offset, reason }
    }
  }
  return undefined
}
