import { setImmediate } from 'node:timers/promises'
import { LOG_TUNING } from '../../log/level-log.ts'
import { FrameReader } from '../../log/reader.ts'
import { Level } from '../../storage/level.ts'
import { type LogVector, vectorOf } from './ingest-task.ts'
import { CancelFlag } from './pace.ts'
import type { PartRows, RowCursor } from './part-rows.ts'
import type { Compared, CompareTask } from './protocol.ts'
import type { OpenSet } from './read-tasks.ts'

/** About what one task may take: whoever asked goes on from there. */
const TASK_MS = 50

/**
 * Compares vectors of the log with the rows of a set, frame by frame, until time is up.
 *
 * @throws StoreError `LOG_DAMAGED`
 * @throws IndexDamage where a row is not what was written.
 */
export async function compare(set: OpenSet, task: CompareTask): Promise<Compared> {
  const started = performance.now()
  const rows = new ComparedRows(set, task.rows)
  const cancel = new CancelFlag(task.cancel)
  const level = await Level.open(task.log, LOG_TUNING)
  let position = task.from - 1
  try {
    const reader = new FrameReader(level, Buffer.from(task.storeId))
    for await (const frame of reader.framesFrom(task.from, task.to)) {
      for (const { events } of frame.commits) {
        for (const event of events) rows.compare(vectorOf(event, task.space))
      }
      position = frame.last
      if (cancel.raised || performance.now() - started > TASK_MS) break
      await setImmediate()
    }
  } finally {
    await level.close()
  }
  return { position, ...rows.found() }
}

class ComparedRows {
  readonly #parts: readonly { rows: PartRows; count: number; cursor: RowCursor }[]
  readonly #bytes: number
  readonly #wrong: number[] = []
  readonly #missing: number[] = []

  constructor({ shape, parts }: OpenSet, counts: readonly number[]) {
    this.#bytes = 4 * shape.dimensions
    this.#parts = parts.map(({ rows }, at) => {
      const count = counts[at] ?? 0
      // Revisions increase along the log: rows are read one after the other.
      return { rows, count, cursor: rows.cursor(count) }
    })
  }

  compare(vector: LogVector | undefined): void {
    if (vector === undefined) return
    const { ordinal, revision, bytes } = vector
    for (const { rows, count, cursor } of this.#parts) {
      const row = rows.ids.rowOf(revision, count)
      if (row === -1) continue
      const isSame = rows.ids.ordinalAt(row) === ordinal && this.#stored(cursor, row).equals(bytes)
      if (!isSame) this.#wrong.push(revision)
      return
    }
    this.#missing.push(ordinal, revision)
  }

  found(): Pick<Compared, 'wrong' | 'missing'> {
    return { wrong: Uint32Array.from(this.#wrong), missing: Uint32Array.from(this.#missing) }
  }

  #stored(cursor: RowCursor, row: number): Buffer {
    cursor.seek(row)
    const { buffer, byteOffset } = cursor.vectors
    return Buffer.from(buffer, byteOffset + 4 * cursor.offset, this.#bytes)
  }
}
