import fc from 'fast-check'
import { ConceptId } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { parseExactly } from '#sutra/import/exact-json.js'
import { openTemporaryStore } from '../support/open-store.ts'

/** Doubles that are not these numbers would take their places. */
const LOST = [
  ...['9007199254740993', '-9007199254740993', '12345678901234567890', '1e-400', '-4E-324000'],
  ...['100000000000000000000001', `0.${'0'.repeat(400)}1`, `1.${'0'.repeat(300)}e-330`]
]
/** A double is the number, or the nearest to a fraction, as everywhere. */
const KEPT = [
  ...['0', '9007199254740991', '9007199254740992', '-9007199254740994', '12345678901234567000'],
  ...['1000000000000000000000', '1e21', '5e-324', '0e-400', '0.0', `0.${'0'.repeat(400)}`],
  ...['0.1000000000000000055511151231257827', '1234567890.12345678901234567890', '1.5e300']
]

describe('JSON that is read exactly', () => {
  test.each(LOST)('refuses %s, wherever it stands', (number) => {
    for (const text of [
      number,
      `[${number}]`,
      `{"a":{"b":[1,${number} ]}}`,
      `{"a":-1,"b":${number}}`
    ]) {
      expect(() => parseExactly(text)).toThrow('could not be given back')
    }
  })

  test.each(KEPT)('takes %s', (number) => {
    expect(parseExactly(`{"a":[${number}]}`)).toEqual({ a: [Number(number)] })
  })

  test('leaves texts and their escapes alone', () => {
    const texts = ['"9007199254740993"', '"\\\\"', '"\\"1e-400"', '"\\\\\\"9007199254740993"']
    for (const text of texts) expect(parseExactly(`[${text}]`)).toEqual(JSON.parse(`[${text}]`))
  })

  /** How a record ends: both short and so long that its embedding is not looked at. */
  const ENDS = ['}', `,"content":"${'x'.repeat(600)}"}`]
  const BAD = '9007199254740993'
  const ESCAPED = '"\\u0065mbedding"'

  test.each([
    `{"embedding":[${BAD},-1e-400],"n":1`,
    `{"embedding" : [ ${BAD} ]`,
    `{${ESCAPED}:[${BAD}],"content":"embedding"`,
    `{"metadata":{"embedding":[1]},"embedding":[${BAD}]`,
    `{"embedding":[${BAD}],"metadata":{"embedding":["]"]}`,
    `{"embedding":{"a":[${BAD}]},"embedding":[1]`
  ])('leaves the embedding of a record alone, in %s', (begin) => {
    for (const end of ENDS) {
      expect(parseExactly(begin + end, true)).toEqual(JSON.parse(begin + end))
      // Metadata may have a field of that name, and nothing else is made of it.
      expect(() => parseExactly(begin + end)).toThrow(BAD)
    }
  })

  test.each([
    `{"embedding":[1],"n":${BAD}`,
    `{"n":${BAD},"embedding":[1]`,
    `{"metadata":{"embedding":[${BAD}]}`,
    `{"metadata":{"embedding":[${BAD}]},"embedding":[1]`,
    `{"metadata":{"embedding":[${BAD}]},${ESCAPED}:[1]`,
    `{"type":"embedding","metadata":[${BAD}],${ESCAPED}:[1]`,
    `{"embedding":"embedding","n":[${BAD}],"embedding":[1]`,
    `{"key":"\\"embedding","metadata":[${BAD}],${ESCAPED}:[1]`
  ])('refuses all other numbers of a record, in %s', (begin) => {
    for (const end of ENDS) {
      expect(() => JSON.parse(begin + end)).not.toThrow()
      expect(() => parseExactly(begin + end, true)).toThrow(BAD)
    }
  })

  test('takes what JSON is made of values, and gives these values', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.double({ noNaN: true }), (value, number) => {
        const text = JSON.stringify([value, number])
        expect(parseExactly(text)).toEqual(JSON.parse(text))
      })
    )
  })

  test('refuses an integer exactly if no double is that integer or prints as it', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (integer) => {
        const number = Number(integer)
        const isKept = BigInt(number) === integer || String(number) === String(integer)
        const read = (): unknown => parseExactly(`{"n":${integer}}`)
        if (isKept) expect(read()).toEqual({ n: number })
        else expect(read).toThrow()
      })
    )
  })
})

describe('an import', () => {
  const json = '{"kind":"concept","key":"b","content":"B","metadata":{"n":9007199254740993}}'

  test.each([
    ['jsonl', `{"kind":"concept","content":"A"}\n${json}\n`],
    ['csv', 'content,metadata.n:number\nA,\nB,9007199254740993\n'],
    ['csv', 'content,metadata\nA,\nB,"{""n"":1e-400}"\n']
  ] as const)('of %s rejects the line with the number that would change', async (format, text) => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary

    const report = await store.import(bytes(text), { format })

    const line = format === 'csv' ? 3 : 2
    expect(report).toMatchObject({ concepts: 1, rejectedCount: 1, rejected: [{ line }] })
    expect(report.rejected[0]?.reason).toMatch(/the number .* could not be given back as it was/)
    expect(await store.has(ConceptId.fromContent('A'))).toBe(true)
    expect((await store.counts()).concepts).toBe(1)
  })

  test.each([1, 600])(
    'takes an embedding for one by its place, with %d characters',
    async (length) => {
      await using temporary = await openTemporaryStore({ vectors: { dimensions: 1 } })
      const { store } = temporary
      const content = 'x'.repeat(length)
      const metadata = `{""pad"":""${content}"",""embedding"":[9007199254740993]}`
      const record = `{"kind":"concept","content":"${content}","embedding":[9007199254740993]}\n`

      const csv = await store.import(bytes(`content,metadata\nA,"${metadata}"\n`), {
        format: 'csv'
      })
      const jsonl = await store.import(bytes(record))

      expect([csv.rejectedCount, jsonl.rejectedCount]).toEqual([1, 0])
      expect(await store.vector(ConceptId.fromContent(content))).toEqual(
        new Float32Array([2 ** 53])
      )
    }
  )

  test('lets a program make of such a line what it wants', async () => {
    await using temporary = await openTemporaryStore()
    const map = (): { kind: 'concept'; content: string } => ({ kind: 'concept', content: 'A' })

    const report = await temporary.store.import(bytes(`${json}\n`), { map })

    expect(report).toMatchObject({ concepts: 1, rejectedCount: 0 })
  })
})

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
