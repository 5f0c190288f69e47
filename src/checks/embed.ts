/** Texts into vectors, by the caller's own function: in batches, a few at a time. */

import { AsyncResource } from 'node:async_hooks'
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
  attempt.throwIfOver()
  // A function that does not listen to its signal must not hold up who has given up.
  const vectors = await Promise.race([lineOf(embed).ask(texts, attempt), attempt.over])
  return vectors ?? []
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

/** A batch, whose attempt fails with it. */
interface Ask {
  readonly texts: string[]
  readonly attempt: Attempt
  /** Of whoever asked: what the model does belongs under its span. */
  readonly scope: AsyncResource
  give(vectors: Float32Array[]): void
}

type Shared = readonly [Ask, ...Ask[]]

/** What came of a call; nothing when somebody gave up before. */
type Outcome = { vectors: readonly Float32Array[] } | { reason: string; cause: unknown } | undefined

/**
 * Lets a few calls out at a time, in order. What waits meanwhile goes together, so that many commits
 * of one text each cost few calls. Whose call comes to nothing goes once more, alone: a text that
 * the model refuses, or hangs on until it is given up, harms nobody else.
 */
class Line {
  readonly #embed: Embed
  readonly #waiting = new Set<Ask>()
  /** Those that went with others in vain. They are next. */
  readonly #alone = new Set<Ask>()
  #under = 0

  constructor(embed: Embed) {
    this.#embed = embed
  }

  async ask(texts: string[], attempt: Attempt): Promise<Float32Array[]> {
    return new Promise((give) => {
      const ask = { texts, attempt, scope: new AsyncResource('embed'), give }
      this.#waiting.add(ask)
      // Its texts may be large, and its turn far off.
      void attempt.over.then(() => {
        this.#waiting.delete(ask)
        this.#alone.delete(ask)
      })
      this.#goOn()
    })
  }

  #goOn(): void {
    while (this.#under < CALLS_MAX) {
      const [first, ...others] = this.#take()
      if (first === undefined) return
      this.#under += 1
      void this.#call([first, ...others]).then((left) => {
        for (const ask of left) this.#alone.add(ask)
        this.#under -= 1
        this.#goOn()
      })
    }
  }

  /** The first that somebody still waits for, and what fits into the same call. */
  #take(): Ask[] {
    for (const ask of this.#alone) {
      this.#alone.delete(ask)
      if (!ask.attempt.signal.aborted) return [ask]
    }
    const asks: Ask[] = []
    let [texts, characters] = [0, 0]
    for (const ask of this.#waiting) {
      if (!ask.attempt.signal.aborted) {
        texts += ask.texts.length
        characters += ask.texts.reduce((sum, { length }) => sum + length, 0)
        const isFull = texts > BATCH_TEXTS || characters > BATCH_CHARACTERS
        if (asks.length > 0 && isFull) break
        asks.push(ask)
      }
      this.#waiting.delete(ask)
    }
    return asks
  }

  /** Never rejects: a failure is the attempt's. @returns Those that have to go once more, alone. */
  async #call(asks: Shared): Promise<readonly Ask[]> {
    const isShared = asks.length > 1
    const stop = new AbortController()
    // A model may listen in several places.
    setMaxListeners(0, stop.signal)
    const gaveUp = asks.map(async ({ attempt }) => {
      await attempt.over
      stop.abort(attempt.signal.reason)
      return undefined
    })
    // Those who gave up were told by their attempts. A call that hangs must not keep its place for ever.
    const outcome = await Promise.race([this.#answer(asks, stop.signal), ...gaveUp])
    if (outcome !== undefined && 'vectors' in outcome) {
      let at = 0
      for (const { texts, give } of asks) {
        give(outcome.vectors.slice(at, at + texts.length))
        at += texts.length
      }
      return []
    }
    if (isShared) return asks
    if (outcome !== undefined) {
      for (const { texts, attempt } of asks) {
        attempt.fail(embedFailed(texts.length, outcome.reason, outcome.cause))
      }
    }
    return []
  }

  async #answer(asks: Shared, signal: AbortSignal): Promise<Outcome> {
    const texts = asks.flatMap((ask) => ask.texts)
    const { scope } = asks[0]
    try {
      // The caller's function may throw before it gives a promise, or give none at all.
      const vectors: unknown = await scope.runInAsyncScope(() => this.#embed(texts, { signal }))
      const reason = whatIsWrong(vectors, texts.length)
      // Length and numbers are checked by whoever uses a vector, as of any other.
      if (reason === undefined) return { vectors: vectors as Float32Array[] }
      return { reason, cause: undefined }
    } catch (cause) {
      return { reason: 'the function failed', cause }
    }
  }
}

/** One line for each function, however many stores use it: what it calls has one capacity. */
const lines = new WeakMap<Embed, Line>()

function lineOf(embed: Embed): Line {
  const line = lines.get(embed) ?? new Line(embed)
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
