/** Texts into vectors, by the caller's own function: in batches, a few at a time. */
import { setMaxListeners } from 'node:events'
import { aborted, StoreError, throwIfAborted } from '../errors.ts'
import type { Embed } from '../options.ts'

/** Models take lists of texts, but not of any length. */
const BATCH_TEXTS = 64
const BATCH_CHARACTERS = 1024 * 1024
/** Calls of one function that are under way at once, whoever made them. */
const CALLS_MAX = 4

/**
 * Turns texts into vectors, in their order. Nothing is kept when any of it fails: the first failure
 * calls off the batches that wait, and its signal tells those under way that nobody needs them.
 *
 * @throws StoreError `EMBED_FAILED` (retryable), `UNSUPPORTED`, `ABORTED`.
 */
export async function embedTexts(
  embed: Embed | undefined,
  texts: readonly string[],
  signal: AbortSignal | undefined
): Promise<Float32Array[]> {
  throwIfAborted(signal, 'embed')
  if (embed === undefined) {
    throw new StoreError('UNSUPPORTED', "Text needs the option 'embed' at open", {
      operation: 'embed',
      reason: 'the store was opened without an embed function'
    })
  }
  const attempt = new Attempt(signal)
  try {
    const calls = [...batches(texts)].map(async (batch) => embedBatch(embed, batch, attempt))
    // Each of them ends when the attempt does, so none goes on behind the back of whoever asked.
    const outcomes = await Promise.allSettled(calls)
    attempt.throwIfOver()
    return outcomes.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
  } finally {
    attempt.end()
  }
}

/** All batches of one call: over when one of them fails, or when the caller gives up. */
class Attempt {
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly #onAbort = (): void => {
    if (this.#outer !== undefined) this.fail(aborted(this.#outer, 'embed'))
  }
  #failure: { error: unknown } | undefined
  #over: (() => void) | undefined
  readonly over: Promise<void>

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer
    this.over = new Promise((resolve) => {
      this.#over = resolve
    })
    outer?.addEventListener('abort', this.#onAbort, { once: true })
    // Every batch gets this signal, and may listen to it in several places.
    setMaxListeners(0, this.#controller.signal)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What failed first is what the caller hears of. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    this.#over?.()
    this.#controller.abort(this.#outer?.aborted === true ? this.#outer.reason : error)
  }

  throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  end(): void {
    this.#outer?.removeEventListener('abort', this.#onAbort)
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
  const call = callOnce(embed, texts, attempt)
  // The place is free when the function is done, which may be long after anybody wanted to know.
  void call.finally(() => line.leave())
  // A function that does not listen to its signal must not hold up who has given up.
  const vectors = await Promise.race([call, attempt.over])
  return vectors ?? []
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

function embedFailed(texts: number, reason: string, cause?: unknown): StoreError<'EMBED_FAILED'> {
  const message = `Embedding ${texts} texts failed: ${reason}`
  return new StoreError('EMBED_FAILED', message, { texts, reason }, { cause })
}
