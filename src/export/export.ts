import { countsAt } from '../query/counts.ts'
import { ReadPace } from '../query/pace.ts'
import type { ExportOptions } from '../types.ts'
import { openEncoder } from './formats.ts'
import { checkExportOptions } from './options.ts'
import { ExportProgressTeller } from './progress.ts'
import { ExportRows, type ExportSource } from './source.ts'
import type { Encoder } from './writer.ts'

/**
 * Writes one state of a store as a file: all concepts in the order in which they were learned, then
 * all associations. Reads as it is asked for chunks, so its memory is bounded by a block of rows
 * and a chunk, or what the format must hold together, whatever the size of the store.
 *
 * @throws StoreError `OPTION_INVALID`, `UNSUPPORTED`, `ABORTED`, `VIEW_CLOSED`, `STORE_CLOSED`,
 *   `VECTORS_UNAVAILABLE`, `TABLES_DAMAGED`.
 */
export async function* exportRows(
  source: ExportSource,
  options: ExportOptions
): AsyncGenerator<Uint8Array, void> {
  checkExportOptions(options)
  const { signal, types } = options
  const pace = new ReadPace(signal, 'export')
  const encoder = await openEncoder(options, source.dimensions)
  try {
    const counts = await countsAt(source.pinned, signal)
    const withAssociations = options.associations !== false && counts.associations > 0
    const total = counts.concepts + (withAssociations ? counts.associations : 0)
    const teller = new ExportProgressTeller(options, types === undefined ? total : undefined)
    const rows = new ExportRows(source, options)
    const out = new Output(encoder, pace, teller)
    yield* out.all(rows.concepts(), (row) => {
      encoder.concept(row)
      teller.concepts += 1
    })
    if (withAssociations) {
      yield* out.all(rows.associations(), (row) => {
        encoder.association(row)
        teller.associations += 1
      })
    }
    yield* out.counted(encoder.end())
    teller.tell(true)
  } catch (error) {
    // What is closed under a read fails in ways of its own; why it failed says more.
    source.assertOpen()
    throw error
  } finally {
    await encoder.close()
  }
}

/** Feeds an encoder and yields what it gives, resting every few milliseconds. */
class Output {
  readonly #encoder: Encoder
  readonly #pace: ReadPace
  readonly #teller: ExportProgressTeller

  constructor(encoder: Encoder, pace: ReadPace, teller: ExportProgressTeller) {
    this.#encoder = encoder
    this.#pace = pace
    this.#teller = teller
  }

  async *all<T>(
    groups: AsyncIterable<Iterable<T>>,
    add: (row: T) => void
  ): AsyncGenerator<Uint8Array, void> {
    for await (const group of groups) {
      for (const row of group) {
        add(row)
        if (this.#encoder.isFull) yield* this.counted(this.#encoder.take())
        if (this.#pace.step()) {
          await this.#pace.rest()
          this.#teller.tell()
        }
      }
    }
  }

  async *counted(
    chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  ): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      this.#teller.bytes += chunk.byteLength
      yield chunk
    }
  }
}
