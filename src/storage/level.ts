import { ClassicLevel } from 'classic-level'
import { type LevelMirror, mirrorLevel } from './level-mirror.ts'

export type LevelSnapshot = ReturnType<ClassicLevel<Uint8Array, Uint8Array>['snapshot']>

export interface LevelTuning {
  /** Bytes of LevelDB's own block cache. */
  cacheBytes: number
  /** Bytes of one memtable; up to two are held, and reopening replays at most that much. */
  writeBufferBytes: number
  maxFileBytes: number
}

export interface LevelRange {
  gte?: Uint8Array
  gt?: Uint8Array
  lte?: Uint8Array
  lt?: Uint8Array
  reverse?: boolean
  limit?: number
  snapshot?: LevelSnapshot
  /** For rows that are read again and again; scans would only push others out. Not by default. */
  fillCache?: boolean
}

/** Whether LevelDB found bytes that cannot be what it wrote. It checks few of those it reads. */
export function isCorruption(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'LEVEL_CORRUPTION'
}

const BYTES = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
const ROWS_PER_READ = 1000
const READ_BYTES = 1024 * 1024
const SCAN = { ...BYTES, highWaterMarkBytes: READ_BYTES, fillCache: false } as const

/**
 * One LevelDB database, as the rest of the store wants it: bytes in, bytes out.
 *
 * The database may be open in several threads of this process at once (`multithreading`).
 * Never touch its `LOCK` file: closing any descriptor of it releases the lock of the process.
 */
export class Level {
  readonly directory: string
  /** What LevelDB was given: another thread that reads the same database must give it too. */
  readonly path: string
  readonly #db: ClassicLevel<Buffer, Buffer>
  readonly #mirror: LevelMirror | undefined

  private constructor(
    directory: string,
    db: ClassicLevel<Buffer, Buffer>,
    mirror: LevelMirror | undefined
  ) {
    this.directory = directory
    this.path = mirror?.directory ?? directory
    this.#db = db
    this.#mirror = mirror
  }

  /** Makes a new, empty database. Not crash safe by itself: the caller marks it complete. */
  static async create(directory: string, tuning: LevelTuning): Promise<Level> {
    return new Level(directory, await openDatabase(directory, tuning, true), undefined)
  }

  /**
   * Opens a database that exists. With `createIfMissing`, a database whose CURRENT file was
   * lost would silently start over, empty, so that is never asked of LevelDB here.
   *
   * @param options With `readOnly`, nothing in the directory changes, and nothing may be written.
   */
  static async open(
    directory: string,
    tuning: LevelTuning,
    { readOnly = false }: { readOnly?: boolean } = {}
  ): Promise<Level> {
    const mirror = readOnly ? await mirrorLevel(directory) : undefined
    try {
      const path = mirror?.directory ?? directory
      return new Level(directory, await openDatabase(path, tuning, false), mirror)
    } catch (error) {
      await mirror?.remove()
      throw error
    }
  }

  /** Blocks the thread for 2 to 10 µs when the row is in a cache. */
  getSync(key: Uint8Array, snapshot?: LevelSnapshot): Buffer | undefined {
    return snapshot === undefined
      ? this.#db.getSync(key as Buffer)
      : this.#db.getSync(key as Buffer, { ...BYTES, snapshot })
  }

  /** Reads beside this thread: it costs each row about a third of the time that `getSync` takes. */
  async getMany(
    keys: readonly Uint8Array[],
    snapshot: LevelSnapshot
  ): Promise<(Buffer | undefined)[]> {
    return this.#db.getMany(keys as Buffer[], { ...BYTES, snapshot })
  }

  async put(key: Uint8Array, value: Uint8Array, options: { sync: boolean }): Promise<void> {
    await this.#db.put(key as Buffer, value as Buffer, options)
  }

  /** A chained batch costs the thread a third of what an array batch does. */
  batch(): LevelBatch {
    return new LevelBatch(this.#db)
  }

  snapshot(): LevelSnapshot {
    return this.#db.snapshot()
  }

  /** Rows in key order, in blocks as they were read. Closes its iterator on every path. */
  async *blocks(range: LevelRange): AsyncGenerator<[Buffer, Buffer][]> {
    yield* blocksOf(this.#db.iterator({ ...SCAN, ...(range as object) }))
  }

  /** The same without keys: nine tenths of the time, as making buffers is much of it. */
  async *valueBlocks(range: LevelRange): AsyncGenerator<Buffer[]> {
    yield* blocksOf(this.#db.values({ ...SCAN, ...(range as object) }))
  }

  /** The first row of a range, in its direction. */
  async first(range: LevelRange): Promise<[Buffer, Buffer] | undefined> {
    const iterator = this.#db.iterator({ ...BYTES, limit: 1, ...(range as object) })
    try {
      return await iterator.next()
    } finally {
      await iterator.close()
    }
  }

  /** Writes the memtable into a synced table file, so that the next open replays nothing. */
  async flush(): Promise<void> {
    const nothing = Buffer.alloc(0)
    await this.#db.compactRange(nothing, nothing)
  }

  async close(): Promise<void> {
    try {
      await this.#db.close()
    } finally {
      await this.#mirror?.remove()
    }
  }
}

interface BlockIterator<T> {
  nextv(size: number): Promise<T[]>
  close(): Promise<void>
}

async function* blocksOf<T>(iterator: BlockIterator<T>): AsyncGenerator<T[]> {
  try {
    for (;;) {
      const rows = await iterator.nextv(ROWS_PER_READ)
      if (rows.length === 0) return
      yield rows
    }
  } finally {
    await iterator.close()
  }
}

async function openDatabase(
  directory: string,
  tuning: LevelTuning,
  create: boolean
): Promise<ClassicLevel<Buffer, Buffer>> {
  const db = new ClassicLevel<Buffer, Buffer>(directory, {
    ...BYTES,
    createIfMissing: create,
    errorIfExists: create,
    multithreading: true,
    cacheSize: tuning.cacheBytes,
    writeBufferSize: tuning.writeBufferBytes,
    maxFileSize: tuning.maxFileBytes
  })
  await db.open()
  return db
}

/** Puts and deletes that are written together: all of them or none. */
export class LevelBatch {
  readonly #batch: ReturnType<ClassicLevel<Buffer, Buffer>['batch']>

  constructor(db: ClassicLevel<Buffer, Buffer>) {
    this.#batch = db.batch()
  }

  get length(): number {
    return this.#batch.length
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#batch.put(key as Buffer, value as Buffer)
  }

  del(key: Uint8Array): void {
    this.#batch.del(key as Buffer)
  }

  async write(options: { sync: boolean }): Promise<void> {
    await this.#batch.write(options)
  }

  async discard(): Promise<void> {
    await this.#batch.close()
  }
}

/** LevelDB passes on what the C library says, and nothing else that tells a full disk from damage. */
const REFUSALS =
  /No space left|quota exceeded|Input\/output error|Permission denied|Read-only file|Too many open/

/** Whether the system would not do what was asked, which says nothing about the files. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && REFUSED.includes(String(error.code))) return true
  return REFUSALS.test(error.message) || isRefusal(error.cause)
}
/** The same, as Node says it. */
const REFUSED = ['ENOSPC', 'EDQUOT', 'EIO', 'EACCES', 'EPERM', 'EROFS', 'EMFILE', 'ENFILE']
