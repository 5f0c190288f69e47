import { writeFile } from 'node:fs/promises'
import { ConceptId, type Store } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'
import { checkRoundTrip, exported } from './round-trip.ts'

test('what is exported imports to the same', async () => {
  await checkRoundTrip('ntriples', 15)
}, 60_000)

test('names that look like others come back as they were', async () => {
  await using first = await openTemporaryStore({ check: false })
  const odd = [
    'rdf:type',
    'rdfs:label',
    'rdfs:label@en',
    'urn:sutra:key',
    '_:b0',
    'https://schema.org/x'
  ]
  const more = [
    'rdf:subject',
    'urn:sutra:name:a',
    'a@de',
    'xsd:',
    'http://www.w3.org/2000/01/rdf-schema#x'
  ]
  for (const name of [...odd, ...more]) {
    await first.store.learn({
      id: { key: name },
      content: 'rdfs:label',
      type: name,
      metadata: { [name]: 'rdfs:label', other: ['x', 1, true] }
    })
    await first.store.associate({ source: { key: name }, target: { key: name }, type: name })
  }

  expect(await hashAfterImport(first.store)).toBe(await first.store.contentHash())
})

describe('the triples', () => {
  test('use the words of RDF where it has them', async () => {
    await using one = await openTemporaryStore({ check: false })
    await one.store.commit([
      {
        do: 'learn',
        id: { key: 'http://example.org/cat' },
        content: 'a "cat"\n',
        type: 'skos:Concept',
        metadata: { 'rdfs:comment@en': 'purrs', 'http://example.org/legs': 4, tags: ['a', 'b'] }
      },
      { do: 'learn', id: { key: 'my cat' }, content: 'mine' },
      {
        do: 'associate',
        source: { key: 'my cat' },
        target: { key: 'http://example.org/cat' },
        type: 'skos:broader'
      }
    ])

    const text = (await exported(one.store, { format: 'ntriples' })).toString()

    expect(text.split('\n')).toEqual([
      '<http://example.org/cat> <http://www.w3.org/2000/01/rdf-schema#label> "a \\"cat\\"\\n" .',
      '<http://example.org/cat> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://www.w3.org/2004/02/skos/core#Concept> .',
      '<http://example.org/cat> <http://www.w3.org/2000/01/rdf-schema#comment> "purrs"@en .',
      '<http://example.org/cat> <http://example.org/legs> "4"^^<http://www.w3.org/2001/XMLSchema#integer> .',
      '<http://example.org/cat> <urn:sutra:name:tags> "a" .',
      '<http://example.org/cat> <urn:sutra:name:tags> "b" .',
      '<urn:sutra:name:my%20cat> <http://www.w3.org/2000/01/rdf-schema#label> "mine" .',
      '<urn:sutra:name:my%20cat> <http://www.w3.org/2004/02/skos/core#broader> <http://example.org/cat> .',
      ''
    ])
  })

  test('say what an association holds in a statement, beside the triple', async () => {
    await using one = await openTemporaryStore({ check: false })
    const [source, target] = [ConceptId.fromContent('a'), ConceptId.fromContent('b')]
    await one.store.commit([
      { do: 'learn', content: 'a' },
      { do: 'learn', content: 'b' },
      { do: 'associate', source, target, type: 'urn:x:p', strength: 0.5, key: 'k' }
    ])

    const text = (await exported(one.store, { format: 'ntriples' })).toString()

    const rdf = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#'
    expect(text.split('\n').slice(2)).toEqual([
      `<urn:sutra:id:${source}> <urn:x:p> <urn:sutra:id:${target}> . # urn:sutra:described`,
      `_:s1 <${rdf}type> <${rdf}Statement> .`,
      `_:s1 <${rdf}subject> <urn:sutra:id:${source}> .`,
      `_:s1 <${rdf}predicate> <urn:x:p> .`,
      `_:s1 <${rdf}object> <urn:sutra:id:${target}> .`,
      '_:s1 <urn:sutra:key> "k" .',
      '_:s1 <urn:sutra:strength> "0.5"^^<http://www.w3.org/2001/XMLSchema#double> .',
      ''
    ])
  })

  test('spell names out by prefixes of the caller', async () => {
    await using one = await openTemporaryStore({ check: false })
    const ntriples = { prefixes: { wn: 'http://wordnet.example/' } }
    await one.store.learn({ id: { key: 'wn:1' }, content: 'a' })

    const text = (await exported(one.store, { format: 'ntriples', ntriples })).toString()

    expect(text).toMatch(/^<http:\/\/wordnet.example\/1> /)
    expect(await hashAfterImport(one.store, ntriples)).toBe(await one.store.contentHash())
  })
})

async function hashAfterImport(
  store: Store,
  ntriples: { prefixes?: Record<string, string> } = {}
): Promise<string> {
  const file = await temporaryPath('export.nt')
  await writeFile(file, await exported(store, { format: 'ntriples', ntriples }))
  await using second = await openTemporaryStore({ check: false })
  await second.store.import(file, { strict: true, ntriples })
  return await second.store.contentHash()
}
