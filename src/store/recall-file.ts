import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { VectorsDeclared } from '../log/event.ts'
import { RECALL_FILE as FILE } from '../projections/vectors/manifest.ts'
import { isMissing, namesIn, replaceFile } from '../storage/files.ts'
import type { RecallReport } from '../telemetry/types.ts'

const DIRECTORY = 'vectors'
const LEFTOVER = /^RECALL\..*\.tmp$/

/** What it was measured on: other vectors, or a graph of other parameters, have other recalls. */
interface Subject {
  format: 1
  storeId: string
  dimensions: number
  metric: string
  quantization: string
  connectivity: number
  expansionAdd: number
}

/**
 * The last report of `checkVectors`, kept in `vectors/RECALL`: a line of JSON, and its CRC-32 in
 * hex. It is derived and may be deleted; a file that cannot be trusted counts as none.
 */
export class RecallFile {
  readonly #directory: string
  readonly #subject: Subject
  readonly #onDamage: (reason: string) => void
  #last: { report: RecallReport | undefined } | undefined

  constructor(
    directory: string,
    storeId: Buffer,
    declared: VectorsDeclared,
    onDamage: (reason: string) => void
  ) {
    const { dimensions, metric, quantization, connectivity, expansionAdd } = declared
    this.#directory = join(directory, DIRECTORY)
    this.#onDamage = onDamage
    this.#subject = {
      format: 1,
      storeId: storeId.toString('hex'),
      dimensions,
      metric,
      quantization,
      connectivity,
      expansionAdd
    }
  }

  /** Read when somebody asks first, a kilobyte or two and no more often: `stats()` is sync. */
  get last(): RecallReport | undefined {
    this.#last ??= { report: this.#read() }
    // Whoever makes the index anew removes the file: other graphs have other recalls.
    if (this.#last.report !== undefined && !existsSync(this.#path)) this.#last = undefined
    return this.#last?.report
  }

  /**
   * Keeps a report. A crash before the rename leaves the older one; one after it, this one. The
   * report is used from here on only if it is kept, so that reopening changes no search.
   */
  async keep(report: RecallReport): Promise<void> {
    // A rebuild may be about to make the directory again.
    await mkdir(this.#directory, { recursive: true })
    // A crash may have left a file behind that was never renamed; nobody else deletes it.
    for (const name of await namesIn(this.#directory)) {
      if (LEFTOVER.test(name)) await rm(join(this.#directory, name), { force: true })
    }
    const json = JSON.stringify({ ...this.#subject, report })
    await replaceFile(this.#path, `${json}\n${checksum(json)}\n`)
    this.#last = { report }
  }

  get #path(): string {
    return join(this.#directory, FILE)
  }

  #read(): RecallReport | undefined {
    let text: string
    try {
      text = readFileSync(this.#path, 'utf8')
    } catch (error) {
      // Whatever is wrong with it, it is no reason for a search to fail that does not need it.
      if (!isMissing(error)) this.#onDamage(`${FILE}: ${String(error)}`)
      return undefined
    }
    const [json = '', sum] = text.split('\n')
    if (sum !== checksum(json)) {
      this.#onDamage(`${FILE}: checksum differs`)
      return undefined
    }
    // The checksum proves that this program wrote it, and `format` which version of it.
    const { report, ...subject } = JSON.parse(json) as Subject & { report: RecallReport }
    const isOurs = JSON.stringify(subject) === JSON.stringify(this.#subject)
    if (!isOurs) this.#onDamage(`${FILE}: of another index`)
    return isOurs ? report : undefined
  }
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0')
}
