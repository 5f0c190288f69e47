/** Texts that become vectors on their way into the store, and everything that can go wrong with it. */
import { getEventListeners } from 'node:events'
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Embed, ImportRecord, Store, StoreOptions } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { embedTexts } from '#sutra/checks/embed.js'
import { openTemporaryStore } from '../support/open-store.ts'

const BATCH = 64
/** Of a text. */
const BYTES = 500_000
const AT_ONCE = 4

describe('a concept learned without an embedding', () => {
  test('gets that of its content; null says that there shall be none', async () => {
    const model = new Model()
    await using temporary = await openTemporaryStore(model.options)
    const { store } = temporary

    await store.commit([
      learn('abc'),
      { ...learn('given'), embedding: [7, 7] },
      { ...learn('none'), embedding: null }
    ])

    expect(await vectorsOf(store, 'abc', 'given', 'none')).toEqual([[3, 1], [7, 7], undefined])
    expect(model.calls).toEqual([['abc']])
  })

  test('is embedded anew when its content is revised, and only then', async () => {
    const model = new Model()
    await using temporary = await openTemporaryStore(model.options)
    const { store } = temporary
    await store.learn({ id: { key: 'a' }, content: 'one' })

    await store.revise({ key: 'a' }, { metadata: { n: 1 } })
    await store.reinforce({ key: 'a' }, { strength: 0.5 })
    expect(model.calls).toEqual([['one']])
    await store.revise({ key: 'a' }, { content: 'three' })
    expect(await vectorsOf(store, 'a')).toEqual([[5, 1]])
    await store.revise({ key: 'a' }, { content: 'seven', embedding: [1, 2] })
    expect(await vectorsOf(store, 'a')).toEqual([[1, 2]])
    await store.revise({ key: 'a' }, { content: 'eleven', embedding: null })
    expect(await vectorsOf(store, 'a')).toEqual([undefined])
    expect(model.calls).toEqual([['one'], ['three']])
  })

  test('is found by a text that means the same', async () => {
    const model = new Model()
    await using temporary = await openTemporaryStore(model.options)
    const { store } = temporary
    await store.commit([learn('aa'), learn('aaaaaaaa')])

    const [byText] = await store.search('bb', { k: 1 })
    const [byObject] = await store.search({ text: 'bbbbbbbb' }, { k: 1 })

    expect(byText).toMatchObject({ key: 'aa', distance: 0 })
    expect(byObject).toMatchObject({ key: 'aaaaaaaa', distance: 0 })
    await expect(store.search('')).resolves.toHaveLength(2)
  })

  test('is left alone in a store without vectors', async () => {
    const model = new Model()
    await using temporary = await openTemporaryStore({ embed: model.embed })

    await temporary.store.learn({ content: 'text' })

    expect(model.calls).toEqual([])
  })
})

describe('the function that embeds', () => {
  test('gets texts in batches, a few at a time, and its vectors find their concepts', async () => {
    const model = new Model({ ms: 2 })
    await using temporary = await openTemporaryStore(model.options)
    const { store } = temporary
    const texts = Array.from({ length: 1000 }, (_, n) => 'x'.repeat((n % 90) + 1) + n)

    await store.commit(texts.map(learn))

    expect(model.calls.flat().sort()).toEqual(texts.toSorted())
    expect(model.calls).toHaveLength(Math.ceil(1000 / BATCH))
    expect(Math.max(...model.calls.map(({ length }) => length))).toBe(BATCH)
    expect(model.mostAtOnce).toBe(AT_ONCE)
    const vectors = await vectorsOf(store, ...texts)
    expect(vectors).toEqual(texts.map((text) => [text.length, 1]))
  })

  test('is not given more than a million characters at once', async () => {
    const model = new Model()
    await using temporary = await openTemporaryStore(model.options)
    const long = 'y'.repeat(400_000)

    await temporary.store.commit([1, 2, 3].map((n) => ({ do: 'learn', content: `${long}${n}` })))

    expect(model.calls.map(({ length }) => length)).toEqual([2, 1])
  })

  test('is called a few times at once, by however many commits and stores', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error): unknown => warnings.push(warning)
    process.on('warning', onWarning)
    const model = new Model({ ms: 2 })
    await using one = await openTemporaryStore(model.options)
    await using other = await openTemporaryStore(model.options)
    const texts = Array.from({ length: 40 }, (_, n) => 'x'.repeat(n + 1))
    const learning = texts.map(async (text, n) => {
      await (n % 2 === 0 ? one : other).store.learn({ id: { key: text }, content: text })
    })

    await Promise.all(learning)

    expect(model.mostAtOnce).toBe(AT_ONCE)
    expect(model.calls.flat()).toEqual(texts)
    // What had to wait went together.
    expect(model.calls.map(({ length }) => length)).toEqual([1, 1, 1, 1, 36])
    for (const [n, text] of texts.entries()) {
      expect(await vectorsOf((n % 2 === 0 ? one : other).store, text)).toEqual([[n + 1, 1]])
    }
    // As of too many listeners to one signal.
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })
})

describe('texts of several commits that go along in one call', () => {
  test('fail alone where the model refuses one of them', async () => {
    const calls: string[][] = []
    const embed: Embed = async (texts) => {
      calls.push(texts)
      await new Promise(setImmediate)
      if (texts.includes('bad')) throw new Error('I do not embed that')
      return texts.map((text) => Float32Array.of(text.length, 1))
    }
    await using temporary = await openTemporaryStore({ ...new Model().options, embed })
    const texts = ['1', '2', '3', '4', 'good', 'bad', 'better']

    const outcomes = await Promise.allSettled(
      texts.map(async (text) => temporary.store.commit([learn(text)]))
    )

    const [failure] = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(
      texts.map((text) => text !== 'bad')
    )
    expect(failure).toMatchObject({ code: 'EMBED_FAILED', details: { texts: 1 } })
    expect(calls.slice(4)).toEqual([['good', 'bad', 'better'], ['good'], ['bad'], ['better']])
    expect(await vectorsOf(temporary.store, 'better')).toEqual([[6, 1]])
  })

  test('are asked alone when one of them gave up, whether or not the model listens', async () => {
    for (const listens of [true, false]) {
      const model = new Hanging(listens)
      await using temporary = await openTemporaryStore({
        ...new Model().options,
        embed: model.embed
      })
      const { store } = temporary
      const first = [1, 2, 3, 4].map(async (n) => store.learn({ content: `${n}` }))
      const gaveUp = new AbortController()
      const hung = store.commit([learn('hang')], gaveUp)
      const patient = ['b', 'c'].map(async (text) => store.commit([learn(text)]))
      const left = new AbortController()
      const absent = store.commit([learn('d')], left)
      left.abort()
      await expect(absent).rejects.toMatchObject({ code: 'ABORTED' })
      model.release()
      await Promise.all(first)

      gaveUp.abort()

      await expect(hung).rejects.toMatchObject({ code: 'ABORTED' })
      await Promise.all(patient)
      expect(model.signals[4]?.aborted).toBe(true)
      expect(model.calls.slice(4)).toEqual([['hang', 'b', 'c'], ['b'], ['c']])
      expect(await vectorsOf(store, 'b', 'c')).toEqual([
        [1, 1],
        [1, 1]
      ])
      expect(await store.get({ key: 'd' })).toBeUndefined()
      // The place of the call that still hangs is free again.
      await Promise.all([1, 2, 3, 4, 5].map(async (n) => store.learn({ content: `more ${n}` })))
    }
  })

  test('wait for none that hangs when it is asked alone', async () => {
    const model = new Hanging(false)
    const embed: Embed = async (texts, options) => {
      if (texts.length > 1) throw new Error('the model is busy')
      return model.embed(texts, options)
    }
    await using temporary = await openTemporaryStore({ ...new Model().options, embed })
    const { store } = temporary
    const first = [1, 2, 3, 4].map(async (n) => store.learn({ content: `${n}` }))
    const gaveUp = new AbortController()
    const hung = store.commit([learn('hang')], gaveUp)
    const others = ['b', 'c', 'd', 'e'].map(async (text) => store.commit([learn(text)]))
    model.release()
    await Promise.all(first)

    await Promise.all(others)

    gaveUp.abort()
    await expect(hung).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('are not kept when they were given up, however long the model takes', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    setFlagsFromString('--no-expose-gc')
    const model = new Hanging(true)
    await using temporary = await openTemporaryStore({ ...new Model().options, embed: model.embed })
    const { store } = temporary
    const first = [1, 2, 3, 4].map(async (n) => store.learn({ content: `${n}` }))
    const abandon = async (n: number): Promise<void> => {
      const content = `${n}`.repeat(BYTES / 2)
      const gaveUp = new AbortController()
      const learning = store.learn({ content }, gaveUp)
      gaveUp.abort()
      await expect(learning).rejects.toMatchObject({ code: 'ABORTED' })
    }
    collect()
    const before = process.memoryUsage().heapUsed

    for (let n = 10; n < 60; n++) await abandon(n)

    collect()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * BYTES)
    model.release()
    await Promise.all(first)
    expect(model.calls).toHaveLength(4)
  })
})

describe('what goes wrong is typed, and nothing of the commit is there', () => {
  const failed = (reason: RegExp) => ({
    code: 'EMBED_FAILED',
    retryable: true,
    outcome: 'none',
    details: { texts: expect.any(Number), reason: expect.stringMatching(reason) }
  })
  const cases: { name: string; answer: unknown; error: object }[] = [
    { name: 'a rejection', answer: new Error('away'), error: failed(/failed/) },
    { name: 'too few vectors', answer: [[1, 1]], error: failed(/one vector for each/) },
    { name: 'too many', answer: [[1], [1], [1]], error: failed(/one vector for each/) },
    { name: 'nothing', answer: undefined, error: failed(/one vector for each/) },
    { name: 'texts', answer: ['a', 'b'], error: failed(/Float32Array/) },
    { name: 'holes', answer: new Array(2), error: failed(/Float32Array/) },
    {
      name: 'wrong dimensions',
      answer: [[1, 1], [1]],
      error: {
        code: 'VECTOR_DIMENSION_MISMATCH',
        details: { command: 2, expected: 2, received: 1 }
      }
    },
    {
      name: 'no number',
      answer: [
        [1, 1],
        [1, Number.NaN]
      ],
      error: { code: 'VECTOR_INVALID', details: { command: 2, index: 1 } }
    }
  ]

  test.each(cases)('$name', async ({ answer, error }) => {
    const answers = async () => {
      if (answer instanceof Error) throw answer
      return answer as Float32Array[]
    }
    await using temporary = await openTemporaryStore({ ...new Model().options, embed: answers })
    const { store } = temporary
    const before = store.head
    const commands = [learn('a'), { ...learn('b'), embedding: null }, learn('c')]

    await expect(store.commit(commands)).rejects.toMatchObject(error)

    // Of a commit, the number of the command counts those that were not embedded as well.
    expect(await store.counts()).toMatchObject({ concepts: 0 })
    expect(store.head).toBe(before)
  })

  test('an error that is thrown before there is a promise', async () => {
    const embed = (() => {
      throw new RangeError('at once')
    }) as unknown as Embed
    await using temporary = await openTemporaryStore({ ...new Model().options, embed })

    await expect(temporary.store.learn({ content: 'a' })).rejects.toMatchObject({
      ...failed(/failed/),
      cause: new RangeError('at once')
    })
  })

  test('one batch of many: the others are told, and none is started any more', async () => {
    const signals: AbortSignal[] = []
    const embed: Embed = async (texts, { signal }) => {
      signals.push(signal)
      if (texts.includes('t70')) throw new Error('batch two')
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw signal.reason
    }
    await using temporary = await openTemporaryStore({ ...new Model().options, embed })
    const { store } = temporary

    const commit = store.commit(Array.from({ length: 1000 }, (_, n) => learn(`t${n}`)))

    await expect(commit).rejects.toMatchObject(failed(/failed/))
    expect(signals).toHaveLength(AT_ONCE)
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    expect(await store.counts()).toMatchObject({ concepts: 0 })
  })

  test('a caller who gives up, even on a function that does not listen', async () => {
    const model = new Model()
    let finish: ((vectors: Float32Array[]) => void) | undefined
    const embed: Embed = async () => new Promise((resolve) => (finish = resolve))
    await using temporary = await openTemporaryStore({ ...model.options, embed })
    const { store } = temporary
    const controller = new AbortController()
    const { signal } = controller

    const calls = [
      store.learn({ content: 'a' }, { signal }),
      store.search('a', { signal }),
      store.commit(
        Array.from({ length: 500 }, (_, n) => learn(`t${n}`)),
        { signal }
      )
    ]
    setTimeout(() => controller.abort(new Error('enough')), 10)

    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        code: 'ABORTED',
        retryable: true,
        details: { operation: 'embed' },
        cause: new Error('enough')
      })
    }
    finish?.([Float32Array.of(1, 1)])
    expect(await store.counts()).toMatchObject({ concepts: 0 })
  })

  test('a store that closes meanwhile: nobody waits for a model that hangs', async () => {
    const model = new Model()
    const signals: AbortSignal[] = []
    const embed: Embed = async (_, { signal }) => {
      signals.push(signal)
      return new Promise(() => undefined)
    }
    await using temporary = await openTemporaryStore({ ...model.options, embed })
    const { store } = temporary
    const view = await store.view()
    const { signal } = new AbortController()
    const calls = [
      store.learn({ content: 'a' }),
      store.learn({ content: 'b' }, { signal }),
      store.search('a'),
      view.search({ text: 'a' }),
      // There is no place for these: they wait for one.
      store.commit(Array.from({ length: 500 }, (_, n) => learn(`t${n}`))),
      store.import(records(100)),
      store.import(records(100), { strict: true })
    ]
    const outcomes = Promise.allSettled(calls)
    await expect.poll(() => signals.length).toBe(AT_ONCE)

    await store.close()

    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'STORE_CLOSED' } })
    }
    expect(signals).toHaveLength(AT_ONCE)
    for (const one of signals) {
      expect(one).toMatchObject({ aborted: true, reason: { code: 'STORE_CLOSED' } })
    }
    expect(await (await temporary.reopen()).counts()).toMatchObject({ concepts: 0 })
  })

  test('what hangs in a store that was closed holds up no other store', async () => {
    const model = new Model()
    let isHanging = true
    const embed: Embed = async (texts, context) =>
      isHanging ? new Promise(() => undefined) : model.embed(texts, context)
    await using one = await openTemporaryStore({ ...model.options, embed })
    const given = new AbortController()
    const calls = Array.from({ length: AT_ONCE }, async (_, n) =>
      one.store.learn({ content: 'a' }, n % 2 === 0 ? {} : { signal: given.signal })
    )
    const outcomes = Promise.allSettled(calls)
    await using other = await openTemporaryStore({ ...model.options, embed })
    const waiting = other.store.learn({ content: 'b' })

    given.abort()
    await one.store.close()
    isHanging = false
    const learning = Array.from({ length: 2 * AT_ONCE }, async () =>
      other.store.learn({ content: 'c' })
    )

    expect(await Promise.all(learning)).toHaveLength(2 * AT_ONCE)
    expect((await outcomes).map(({ status }) => status)).not.toContain('fulfilled')
    const still = Promise.resolve('waiting')
    expect(await Promise.race([waiting.catch(() => 'over'), still])).toBe('waiting')
    await other.store.close()
    await expect(waiting).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('signals that live long are not listened to for longer than a call takes', async () => {
    const [caller, closing] = [new AbortController(), new AbortController()]
    const signals = { signal: caller.signal, closing: closing.signal }
    const listeners = () =>
      [caller, closing].map(({ signal }) => getEventListeners(signal, 'abort').length)
    const model = new Model({ ms: 1 })
    const bad: Embed = async () => {
      throw new Error('away')
    }

    const calls = Array.from({ length: 200 }, async (_, n) =>
      embedTexts(n % 2 === 0 ? model.embed : bad, ['a'], signals)
    )
    const many = listeners()
    await Promise.allSettled(calls)

    expect(many).toEqual([1, 1])
    expect(listeners()).toEqual([0, 0])
    closing.abort()
    await expect(embedTexts(model.embed, ['a'], signals)).rejects.toMatchObject({
      code: 'STORE_CLOSED'
    })
  })

  test('places that were given up are free again', async () => {
    const model = new Model({ ms: 20 })
    await using temporary = await openTemporaryStore(model.options)
    const { store } = temporary
    const learning = Array.from({ length: 20 }, async (_, n) => {
      const signal = n % 2 === 0 ? AbortSignal.timeout(1 + n) : undefined
      return store.learn({ content: `text ${n}` }, signal === undefined ? {} : { signal })
    })

    const outcomes = await Promise.allSettled(learning)

    const kept = outcomes.filter(({ status }) => status === 'fulfilled')
    expect(kept.length).toBeGreaterThanOrEqual(10)
    expect(await store.counts()).toMatchObject({ concepts: kept.length, vectors: kept.length })
    await store.learn({ content: 'and on' })
    expect(model.mostAtOnce).toBeLessThanOrEqual(AT_ONCE)
  })

  test('a retry with the same key, after the model came back', async () => {
    const model = new Model()
    let isAway = true
    const embed: Embed = async (texts, context) => {
      if (isAway) throw new Error('away')
      return model.embed(texts, context)
    }
    await using temporary = await openTemporaryStore({ ...model.options, embed })
    const { store } = temporary
    const once = { idempotencyKey: 'k' }

    await expect(store.commit([learn('a')], once)).rejects.toMatchObject(failed(/failed/))
    isAway = false

    expect(await store.commit([learn('a')], once)).toMatchObject({ outcome: 'appended' })
    expect(await store.commit([learn('a')], once)).toMatchObject({ outcome: 'duplicate' })
  })
})

describe('an import', () => {
  test('embeds what has no embedding, in batches', async () => {
    const model = new Model({ ms: 1 })
    await using temporary = await openTemporaryStore(model.options)
    const { store } = temporary

    const report = await store.import(records(1000))

    expect(report).toMatchObject({ concepts: 1000, rejectedCount: 0 })
    expect(await store.counts()).toMatchObject({ concepts: 1000, vectors: 900 })
    expect(model.calls.flat()).toHaveLength(800)
    expect(model.mostAtOnce).toBeLessThanOrEqual(AT_ONCE)
    expect(model.calls.length).toBeLessThan(60)
    expect(await vectorsOf(store, 'text 0', 'text 1', 'text 2')).toEqual([
      [0.5, 1],
      undefined,
      [6, 1]
    ])
  })

  test('leaves out the lines that the model cannot do, and says why', async () => {
    const model = new Model()
    const embed: Embed = async (texts, context) => {
      const vectors = await model.embed(texts, context)
      for (const [i, text] of texts.entries()) {
        if (text === 'text 33') vectors[i]?.set([Number.NaN], 0)
        if (text === 'text 577') vectors[i] = Float32Array.of(1)
      }
      return vectors
    }
    await using temporary = await openTemporaryStore({ ...model.options, embed })
    const { store } = temporary

    const report = await store.import(records(1000))

    expect(report.rejected).toEqual([
      { line: 34, reason: expect.stringContaining('VECTOR_INVALID') },
      { line: 578, reason: expect.stringContaining('VECTOR_DIMENSION_MISMATCH') }
    ])
    expect(await store.counts()).toMatchObject({ concepts: 998, vectors: 898 })
    expect(await store.has({ key: 'text 33' })).toBe(false)
    expect(await vectorsOf(store, 'text 32', 'text 34')).toEqual([
      [7, 1],
      [7, 1]
    ])
  })

  test('stops when the model is away, with whole batches before and nothing behind', async () => {
    const model = new Model()
    const embed: Embed = async (texts, context) => {
      if (model.calls.length >= 5) throw new Error('away')
      return model.embed(texts, context)
    }
    await using temporary = await openTemporaryStore({ ...model.options, embed })
    const { store } = temporary

    await expect(store.import(records(1000))).rejects.toMatchObject({
      code: 'EMBED_FAILED',
      retryable: true
    })

    const { concepts } = await store.counts()
    expect(concepts % 100).toBe(0)
    expect(concepts).toBeLessThan(1000)
  })
})

/** Gives the length of a text as its vector, and notes how it was called. */
class Model {
  readonly calls: string[][] = []
  mostAtOnce = 0
  readonly #ms: number
  #atOnce = 0

  constructor({ ms = 0 } = {}) {
    this.#ms = ms
  }

  get options(): StoreOptions {
    return { vectors: { dimensions: 2, metric: 'l2sq' }, embed: this.embed }
  }

  readonly embed: Embed = async (texts, { signal }) => {
    this.calls.push(texts)
    this.#atOnce += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce)
    const over = (): void => {
      this.#atOnce -= 1
    }
    signal.addEventListener('abort', over)
    await new Promise((resolve) => setTimeout(resolve, this.#ms))
    signal.throwIfAborted()
    signal.removeEventListener('abort', over)
    over()
    return texts.map((text) => Float32Array.of(text.length, 1))
  }
}

/** Answers the first calls when it is told to, none with 'hang', and all others at once. */
class Hanging {
  readonly calls: string[][] = []
  readonly signals: AbortSignal[] = []
  readonly #listens: boolean
  #held: (() => void)[] | undefined = []

  constructor(listens: boolean) {
    this.#listens = listens
  }

  release(): void {
    for (const go of this.#held ?? []) go()
    this.#held = undefined
  }

  readonly embed: Embed = async (texts, { signal }) => {
    this.calls.push(texts)
    this.signals.push(signal)
    await new Promise<void>((resolve, reject) => {
      if (this.#listens) signal.addEventListener('abort', () => reject(new Error('called off')))
      if (texts.includes('hang')) return
      if (this.#held === undefined) resolve()
      else this.#held.push(resolve)
    })
    return texts.map(() => Float32Array.of(1, 1))
  }
}

function learn(text: string): { do: 'learn'; id: { key: string }; content: string } {
  return { do: 'learn', id: { key: text }, content: text }
}

/** Of ten, one has an embedding and one wants none. */
function* records(count: number): Generator<ImportRecord> {
  for (let n = 0; n < count; n++) {
    const content = `text ${n}`
    const concept = { kind: 'concept' as const, key: content, content }
    if (n % 10 === 0) yield { ...concept, embedding: [0.5, 1] }
    else if (n % 10 === 1) yield { ...concept, embedding: null }
    else yield concept
  }
}

async function vectorsOf(store: Store, ...keys: string[]): Promise<(number[] | undefined)[]> {
  const vectors = await Promise.all(keys.map(async (key) => store.vector({ key })))
  return vectors.map((vector) => vector && Array.from(vector))
}
