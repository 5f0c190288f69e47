/** Members of blocks come in order, once each, however they are asked for. */
import { describe, expect, test } from 'vitest'
import { Members } from '#sutra/pipeline/members.js'

interface Closing {
  closed: boolean
}

async function* blocksOf(
  blocks: readonly (readonly number[])[],
  closing: Closing,
  failure?: Error
): AsyncGenerator<Iterator<number>> {
  try {
    for (const block of blocks) {
      await Promise.resolve()
      yield block[Symbol.iterator]()
    }
    if (failure !== undefined) throw failure
  } finally {
    closing.closed = true
  }
}

function* failing(error: Error): Generator<number> {
  yield 1
  throw error
}

async function* oneBlock(
  block: Iterator<number>,
  closing: Closing
): AsyncGenerator<Iterator<number>> {
  try {
    yield block
    yield [9][Symbol.iterator]()
  } finally {
    closing.closed = true
  }
}

const BLOCKS = [[1, 2, 3], [], [4], [], [5, 6]]

describe('members', () => {
  test('come in order, over empty blocks too', async () => {
    const closing = { closed: false }
    const found: number[] = []

    for await (const one of new Members(blocksOf(BLOCKS, closing))) found.push(one)

    expect(found).toEqual([1, 2, 3, 4, 5, 6])
    expect(closing.closed).toBe(true)
  })

  test('come in order to who asks without waiting, and then end for good', async () => {
    const members = new Members(blocksOf(BLOCKS, { closed: false }))

    const asked = Array.from({ length: 9 }, async () => members.next())
    const found = await Promise.all(asked)

    expect(found.map(({ value }) => value as unknown)).toEqual([
      ...[1, 2, 3, 4, 5, 6],
      ...[undefined, undefined, undefined]
    ])
    expect(await members.next()).toEqual({ done: true, value: undefined })
  })

  test('mix calls that wait with calls that do not', async () => {
    const members = new Members(blocksOf(BLOCKS, { closed: false }))
    const first = await members.next()
    const rest = [members.next(), members.next(), members.next(), members.next()]
    const values = (await Promise.all(rest)).map(({ value }) => value as unknown)

    expect([first.value, ...values, (await members.next()).value]).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('close what they are read from when nobody wants the rest', async () => {
    const closing = { closed: false }
    const members = new Members(blocksOf(BLOCKS, closing))

    for await (const one of members) if (one === 2) break

    expect(closing.closed).toBe(true)
    expect(await members.next()).toEqual({ done: true, value: undefined })
  })

  test('end with what a block throws, and close', async () => {
    const closing = { closed: false }
    const members = new Members(oneBlock(failing(new Error('broken')), closing))

    expect(await members.next()).toMatchObject({ value: 1 })
    await expect(members.next()).rejects.toThrow('broken')
    expect(closing.closed).toBe(true)
    expect(await members.next()).toEqual({ done: true, value: undefined })
  })

  test('end with what the blocks throw', async () => {
    const closing = { closed: false }
    const members = new Members(blocksOf([[1]], closing, new Error('no more')))

    expect(await members.next()).toMatchObject({ value: 1 })
    await expect(members.next()).rejects.toThrow('no more')
    expect(closing.closed).toBe(true)
    expect(await members.next()).toEqual({ done: true, value: undefined })
  })
})
