import { aborted, StoreError, throwIfAborted } from '../errors.ts'
import type { Embed } from '../options.ts'

/**
 * Turns texts into vectors with the caller's own function. Nothing is kept when it fails.
 *
 * @throws StoreError `EMBED_FAILED` (retryable), `VECTORS_NOT_DECLARED`, `ABORTED`.
 */
export async function embedTexts(
  embed: Embed | undefined,
  texts: string[],
  signal: AbortSignal | undefined
): Promise<Float32Array[]> {
  throwIfAborted(signal, 'embed')
  if (embed === undefined) {
    throw new StoreError('UNSUPPORTED', "Text needs the option 'embed' at open", {
      operation: 'embed',
      reason: 'the store was opened without an embed function'
    })
  }
  const controller = new AbortController()
  let vectors: unknown
  try {
    vectors = await embed(texts, { signal: signal ?? controller.signal })
  } catch (cause) {
    if (signal?.aborted === true) throw aborted(signal, 'embed')
    throw embedFailed(texts.length, 'the function failed', cause)
  }
  if (!Array.isArray(vectors) || vectors.length !== texts.length) {
    throw embedFailed(texts.length, 'it must give one vector for each text')
  }
  // Whoever uses a vector checks it as any other.
  return vectors as Float32Array[]
}

function embedFailed(texts: number, reason: string, cause?: unknown): StoreError<'EMBED_FAILED'> {
  const message = `Embedding ${texts} texts failed: ${reason}`
  return new StoreError('EMBED_FAILED', message, { texts, reason }, { cause })
}
