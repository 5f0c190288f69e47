import { describe, expect, test } from 'vitest'
import { toCommand } from '#sutra/import/record.js'

const ID = '0123456789abcdef0123456789abcdef'

describe('a record becomes a command', () => {
  test('with everything that a concept may have', () => {
    const record = {
      kind: 'concept',
      key: 'wn:1',
      type: 'synset',
      content: 'a dog',
      data: 'AAEC',
      metadata: { lang: 'en' },
      embedding: [1, 0.5],
      strength: 0.5,
      confidence: 0.25
    }

    expect(toCommand(record, 'keep')).toEqual({
      do: 'learn',
      id: { key: 'wn:1' },
      type: 'synset',
      content: 'a dog',
      data: Buffer.from([0, 1, 2]),
      metadata: { lang: 'en' },
      embedding: [1, 0.5],
      strength: 0.5,
      confidence: 0.25,
      ifExists: 'keep'
    })
  })

  test('with ends named by id and by key', () => {
    const record = {
      kind: 'association',
      source: ID,
      targetKey: 'wn:2',
      type: 'hypernym',
      key: 'k'
    }

    expect(toCommand(record, undefined)).toEqual({
      do: 'associate',
      source: ID,
      target: { key: 'wn:2' },
      type: 'hypernym',
      key: 'k'
    })
  })

  test('with nulls, which clear', () => {
    const cleared = { type: null, data: null, metadata: null, embedding: null }

    const command = toCommand({ kind: 'concept', id: ID, content: 'x', ...cleared }, undefined)

    expect(command).toEqual({ do: 'learn', id: ID, content: 'x', ...cleared })
  })

  test('with typed arrays and bytes as a program has them', () => {
    const embedding = new Float32Array([1, 2])
    const data = new Uint8Array([3])

    const command = toCommand({ kind: 'concept', content: 'x', embedding, data }, undefined)

    expect(command).toEqual({ do: 'learn', content: 'x', embedding, data })
  })
})

const concept = { kind: 'concept', content: 'x' }
const association = { kind: 'association', sourceKey: 'a', targetKey: 'b', type: 't' }

describe('a record is refused', () => {
  test.each([
    ['that is no object', 'text', 'a record is an object, not a string'],
    ['that is an array', [], 'a record is an object, not an array'],
    ['that is null', null, 'a record is an object, not null'],
    ['without a kind', {}, 'kind must'],
    ['of an unknown kind', { kind: 'node' }, "not 'node'"],
    ['with an unknown field', { ...concept, contents: 'x' }, "no field 'contents'"],
    ['with a prototype', JSON.parse('{"kind":"concept","__proto__":{}}'), "no field '__proto__'"],
    ['with the fields of the other kind', { ...concept, source: ID }, "no field 'source'"],
    ['without content', { kind: 'concept' }, 'content is missing'],
    ['with content that is no text', { kind: 'concept', content: 1 }, 'content must be a string'],
    ['with id and key', { ...concept, id: ID, key: 'k' }, 'exclude each other'],
    ['with a malformed id', { ...concept, id: 'ABC' }, '32 lower-case hex digits'],
    ['with a key that is no text', { ...concept, key: 7 }, 'key must be a string, not a number'],
    ['with data that is not base64', { ...concept, data: 'A?==' }, 'data is not base64'],
    ['with a list as metadata', { ...concept, metadata: [] }, 'not an array'],
    ['with text as embedding', { ...concept, embedding: '1,2' }, 'embedding must be an array'],
    ['with text as strength', { ...concept, strength: '1' }, 'strength must be a number'],
    ['without a source', { ...association, sourceKey: undefined }, 'source or sourceKey'],
    ['without a target', { ...association, targetKey: undefined }, 'target or targetKey'],
    ['with two sources', { ...association, source: ID }, 'source and sourceKey exclude'],
    ['with two targets', { ...association, target: ID }, 'target and targetKey exclude'],
    ['without a type', { ...association, type: undefined }, 'type is missing'],
    ['with content on an association', { ...association, content: 'x' }, "no field 'content'"]
  ])('%s', (_, record, reason) => {
    expect(() => toCommand(record, undefined)).toThrow(reason)
  })
})
