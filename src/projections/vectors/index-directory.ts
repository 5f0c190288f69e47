import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../../storage/files.ts'
import type { EngineSetup } from './engine.ts'
import { Growing } from './growing.ts'
import { IndexDamage } from './index-files.ts'
import {
  discardManifest,
  emptyManifest,
  type Manifest,
  publishManifest,
  readManifest,
  type SegmentSeal,
  sweep
} from './manifest.ts'
import type { Pace } from './pace.ts'
import type { FilesChecked } from './protocol.ts'
import { checkSegment, loadRows, Segment, segmentPath, writeSegment } from './segment.ts'
import type { VectorGraph } from './vector-index.ts'

/** What an index is made of when it opens. */
export interface OpenedIndex {
  disk: IndexDirectory
  segments: Segment[]
  growing: Growing
}

/**
 * The files under `vectors/`. Nothing is ever overwritten: a save writes new files, names them in
 * a new manifest and deletes the old ones. A crash leaves the old or the new set.
 */
export class IndexDirectory {
  readonly #setup: EngineSetup
  /** What is on disk now. */
  #manifest: Manifest
  /** The segment on disk that holds the first rows of the growing one, while that is small. */
  #tail: SegmentSeal | undefined
  #nextName: number

  private constructor(setup: EngineSetup, manifest: Manifest, tail: SegmentSeal | undefined) {
    this.#setup = setup
    this.#manifest = manifest
    this.#tail = tail
    this.#nextName = manifest.nextName
  }

  /** Opens what was saved, or starts over from nothing if any of it cannot be trusted. */
  static async open(setup: EngineSetup, pace: Pace): Promise<OpenedIndex> {
    const { directory, readOnly, emit } = setup
    const started = performance.now()
    const empty = emptyManifest(setup.storeId, setup.declaration)
    let opened: OpenedIndex | undefined
    try {
      const manifest = await readManifest(directory, empty)
      if (manifest !== undefined) opened = await openManifest(setup, manifest, pace)
    } catch (cause) {
      if (!(cause instanceof IndexDamage)) throw cause
      emit({ type: 'damage-found', time: Date.now(), part: 'vectors', reason: cause.message })
      if (!readOnly) await discardManifest(directory)
    }
    if (!readOnly) await tidy(directory, opened?.disk.segments ?? [])
    if (opened === undefined) {
      const growing = new Growing(setup.factory, setup.declaration.dimensions)
      return { disk: new IndexDirectory(setup, empty, undefined), segments: [], growing }
    }
    const vectors = opened.disk.segments.reduce((sum, { count }) => sum + count, 0)
    emit({ type: 'index-loaded', time: Date.now(), vectors, ms: performance.now() - started })
    return opened
  }

  static opened(setup: EngineSetup, manifest: Manifest, tail?: SegmentSeal): IndexDirectory {
    return new IndexDirectory(setup, manifest, tail)
  }

  /** Checkpoint of what is on disk. */
  get position(): number {
    return this.#manifest.position
  }

  get segments(): readonly SegmentSeal[] {
    return this.#manifest.segments
  }

  get bytes(): number {
    return this.segments.reduce((sum, segment) => sum + segmentBytes(segment), 0)
  }

  /**
   * Makes the growing graph, which holds every vector up to `position`, durable.
   *
   * @returns The segment to read from now on in place of the growing one, once that is large
   *   enough to be sealed.
   */
  async save(position: number, growing: Growing, pace: Pace): Promise<Segment | undefined> {
    const started = performance.now()
    const { directory, factory, sealRows, emit } = this.#setup
    const old = this.#tail
    const changed = growing.graphCount !== (old?.count ?? 0)
    const tail = changed ? await this.#write(growing, pace) : old
    const sealed = this.segments.filter((segment) => segment !== old)
    const segments = tail === undefined ? sealed : [...sealed, tail]
    const manifest = { ...this.#manifest, position, nextName: this.#nextName, segments }
    await publishManifest(directory, manifest)
    this.#manifest = manifest
    this.#tail = tail
    await sweep(directory, segments)
    const vectors = segments.reduce((sum, { count }) => sum + count, 0)
    const bytes = changed && tail !== undefined ? segmentBytes(tail) : 0
    const ms = performance.now() - started
    emit({ type: 'index-saved', time: Date.now(), vectors, bytes, ms })
    if (tail === undefined || tail.count < sealRows) return undefined
    const graph = factory.view(segmentPath(directory, tail.name, 'usearch'), tail.count)
    this.#tail = undefined
    return Segment.open(directory, tail, { graph, ids: growing.ids() })
  }

  /** Reads every file that the manifest on disk names, and that itself. */
  async check(pace: Pace): Promise<FilesChecked> {
    const { directory, declaration, storeId } = this.#setup
    const checked: FilesChecked = { bytes: 0, problems: [] }
    const look = async (bytes: number, read: () => Promise<unknown>): Promise<void> => {
      try {
        await read()
        checked.bytes += bytes
      } catch (cause) {
        if (!(cause instanceof IndexDamage)) throw cause
        checked.problems.push(cause.message)
      }
    }
    await look(0, () => readManifest(directory, emptyManifest(storeId, declaration)))
    for (const seal of this.segments) {
      const read = async () => checkSegment(directory, seal, declaration.dimensions, pace)
      await look(segmentBytes(seal), read)
    }
    return checked
  }

  async #write(growing: Growing, pace: Pace): Promise<SegmentSeal> {
    const { directory, factory } = this.#setup
    try {
      return await writeSegment(directory, String(this.#nextName++), { growing, factory }, pace)
    } catch (error) {
      // On a full disk, half a segment would be in the way of the next attempt.
      await sweep(directory, this.segments)
      throw error
    }
  }
}

/** @throws IndexDamage */
async function openManifest(
  setup: EngineSetup,
  manifest: Manifest,
  pace: Pace
): Promise<OpenedIndex> {
  const { directory, factory, declaration, sealRows } = setup
  const { segments: seals } = manifest
  const ids: Uint32Array[] = []
  for (const seal of seals) {
    ids.push(await checkSegment(directory, seal, declaration.dimensions, pace))
  }
  const last = seals.at(-1)
  const tail = last !== undefined && last.count < sealRows ? last : undefined
  const growing = new Growing(factory, declaration.dimensions)
  const segments: Segment[] = []
  seals.forEach((seal, at) => {
    const path = segmentPath(directory, seal.name, 'usearch')
    const own = ids[at] ?? new Uint32Array(0)
    if (seal === tail) {
      const graph = readGraph(() => factory.load(path, seal.count))
      loadRows(directory, seal, own, growing.rows)
      growing.adopt(graph)
    } else {
      const graph = readGraph(() => factory.view(path, seal.count))
      segments.push(Segment.open(directory, seal, { graph, ids: own }))
    }
  })
  return { disk: IndexDirectory.opened(setup, manifest, tail), segments, growing }
}

/** The bytes are those that were written; another release of usearch may still refuse them. */
function readGraph(read: () => VectorGraph): VectorGraph {
  try {
    return read()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new IndexDamage(`the graph is refused: ${reason}`, { cause })
  }
}

async function tidy(directory: string, segments: readonly SegmentSeal[]): Promise<void> {
  const made = await mkdir(directory, { recursive: true })
  if (made !== undefined) await syncDirectory(dirname(directory))
  await sweep(directory, segments)
}

function segmentBytes(segment: SegmentSeal): number {
  return segment.graph.bytes + segment.vectors.bytes + segment.ids.bytes
}
