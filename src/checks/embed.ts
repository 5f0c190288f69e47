/** Texts into vectors, by the caller's own function: in batches, a few at a time. */

import { setMaxListeners } from 'node:events'
import { aborted, StoreError, throwIfAborted } from '../errors.ts'
import { onAbort } from '../on-abort.ts'
import type { Embed } from '../options.ts'

/** Models take lists of texts, but not of any length. */
const BATCH_TEXTS = 64
const BATCH_CHARACTERS = 1024 * 1024
/** Calls of one function that somebody waits for at once, whoever made them. */
const CALLS_MAX = 4

/** Who may give up on a call: its caller, or the store, which closes. */
export interface EmbedSignals {
  signal: AbortSignal | undefined
  closing: AbortSignal
}

/**
 * Turns texts into vectors, in their order. Nothing is kept when any of it fails: the first failure
 * calls off the batches that wait, and its signal tells those under way that nobody needs them.
 *
 * @throws StoreError `EMBED_FAILED` (retryable), `UNSUPPORTED`, `ABORTED`, `STORE_CLOSED`.
 */
export async function embedTexts(
  embed: Embed | undefined,
  texts: readonly string[],
  signals: EmbedSignals
): Promise<Float32Array[]> {
  throwIfAborted(signals.signal, 'embed')
  if (signals.closing.aborted) throw storeClosed()
  if (embed === undefined) {
    throw new StoreError('UNSUPPORTED', "Text needs the option 'embed' at open", {
      operation: 'embed',
      reason: 'the store was opened without an embed function'
    })
  }
  const attempt = new Attempt(signals)
  try {
    const calls = [...batches(texts)].map(async (batch) => embedBatch(embed, batch, attempt))
    // Each of them ends when the attempt does, so none goes on behind the back of whoever asked.
    const outcomes = await Promise.allSettled(calls)
    attempt.throwIfOver()
    return outcomes.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
  } finally {
    attempt.dispose()
  }
}

/** All batches of one call: over when one of them fails, or when somebody gives up. */
class Attempt {
  readonly #controller = new AbortController()
  readonly #leaves: readonly (() => void)[]
  #failure: { error: unknown } | undefined
  #over: (() => void) | undefined
  readonly over: Promise<void>

  constructor({ signal, closing }: EmbedSignals) {
    this.over = new Promise((resolve) => {
      this.#over = resolve
    })
    this.#leaves = [
      onAbort(signal, () => {
        if (signal !== undefined) this.#end(aborted(signal, 'embed'), signal.reason)
      }),
      onAbort(closing, () => this.fail(storeClosed()))
    ]
    // Every batch gets this signal, and may listen to it in several places.
    setMaxListeners(0, this.#controller.signal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What failed first is what the caller hears of. */
  fail(error: unknown): void {
    this.#end(error, error)
  }

  throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Both signals may live as long as their store does, with many more calls to come. */
  dispose(): void {
    for (const leave of this.#leaves) leave()
  }

  #end(error: unknown, reason: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#over?.()
    this.#controller.abort(reason)
  }
}

function* batches(texts: readonly string[]): Generator<string[]> {
  let batch: string[] = []
  let characters = 0
  for (const text of texts) {
    const isFull = batch.length === BATCH_TEXTS || characters + text.length > BATCH_CHARACTERS
    if (batch.length > 0 && isFull) {
      yield batch
      batch = []
      characters = 0
    }
    batch.push(text)
    characters += text.length
  }
  if (batch.length > 0) yield batch
}

async function embedBatch(
  embed: Embed,
  texts: string[],
  attempt: Attempt
): Promise<Float32Array[]> {
  const line = lineOf(embed)
  await line.enter(attempt)
  try {
    // A function that does not listen to its signal must not hold up who has given up.
    const vectors = await Promise.race([callOnce(embed, texts, attempt), attempt.over])
    return vectors ?? []
  } finally {
    // Nor anybody else: it was told to stop, and if it hangs, its place would never be free.
    line.leave()
  }
}

/** Never rejects: a failure is the attempt's, which is over before a place is handed on. */
async function callOnce(
  embed: Embed,
  texts: string[],
  attempt: Attempt
): Promise<Float32Array[] | undefined> {
  let vectors: unknown
  try {
    // The caller's function may throw before it gives a promise, or give none at all.
    vectors = await embed(texts, { signal: attempt.signal })
  } catch (cause) {
    attempt.fail(embedFailed(texts.length, 'the function failed', cause))
    return undefined
  }
  const reason = whatIsWrong(vectors, texts.length)
  // Length and numbers are checked by whoever uses a vector, as of any other.
  if (reason === undefined) return vectors as Float32Array[]
  attempt.fail(embedFailed(texts.length, reason))
  return undefined
}

function whatIsWrong(vectors: unknown, count: number): string | undefined {
  if (!Array.isArray(vectors) || vectors.length !== count) {
    return 'it must give one vector for each text'
  }
  // Copied, because `every` would jump over the holes of a sparse array.
  const areVectors = Array.from(vectors).every(
    (one) => one instanceof Float32Array || Array.isArray(one)
  )
  return areVectors ? undefined : 'a vector must be a Float32Array or an array of numbers'
}

/** Lets a few in at a time, in order. */
class Line {
  #inside = 0
  readonly #waiting: Place[] = []

  async enter(attempt: Attempt): Promise<void> {
    attempt.throwIfOver()
    if (this.#inside < CALLS_MAX) {
      this.#inside += 1
      return
    }
    // The place is handed over by whoever leaves.
    const place: Place = { take: () => undefined }
    const turn = new Promise<void>((resolve) => {
      place.take = resolve
    })
    this.#waiting.push(place)
    await Promise.race([turn, attempt.over])
    if (!attempt.signal.aborted) return
    const at = this.#waiting.indexOf(place)
    // No longer in line: the place was handed over in the same moment and goes on to the next.
    if (at === -1) this.leave()
    else this.#waiting.splice(at, 1)
    attempt.throwIfOver()
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#inside -= 1
    else next.take()
  }
}

interface Place {
  take(): void
}

/** One line for each function, however many stores use it: what it calls has one capacity. */
const lines = new WeakMap<Embed, Line>()

function lineOf(embed: Embed): Line {
  const line = lines.get(embed) ?? new Line()
  lines.set(embed, line)
  return line
}

function storeClosed(): StoreError<'STORE_CLOSED'> {
  const message = 'The store was closed before its texts were embedded'
  return new StoreError('STORE_CLOSED', message, { operation: 'embed' })
}

function embedFailed(texts: number, reason: string, cause?: unknown): StoreError<'EMBED_FAILED'> {
  const message = `Embedding ${texts} texts failed: ${reason}`
  return new StoreError('EMBED_FAILED', message, { texts, reason }, { cause })
}
