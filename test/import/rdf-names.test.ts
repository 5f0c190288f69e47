import { describe, expect, test } from 'vitest'
import { Names } from '#sutra/rdf.js'
import { openTemporaryStore } from '../support/open-store.ts'

describe('names of IRIs', () => {
  const prefixes = { wn: 'http://wn/', http: 'http://x/' }
  const iris = [
    ...[
      'http://wn/1',
      'wn:1',
      'wn:',
      'http://wn/',
      'http://x/y',
      'http://z/y',
      'http:y',
      'rdf:type'
    ],
    ...['http://www.w3.org/1999/02/22-rdf-syntax-ns#type', 'urn:wn:1', 'urn:sutra:name:wn%3A1x']
  ]

  test.each([{}, prefixes])('are as many as there are IRIs, and lead back (%o)', (given) => {
    const names = new Names(given)
    const all = iris.map((iri) => names.nameOf(iri))

    expect(new Set(all).size).toBe(iris.length)
    expect(all.map((name) => names.nameOf(names.iriOf(name)))).toEqual(all)
  })

  test('keep two concepts apart in an import, and in an export of it', async () => {
    await using temporary = await openTemporaryStore()
    const { store } = temporary
    const label = '<http://www.w3.org/2000/01/rdf-schema#label>'
    const lines = [`<http://wn/1> ${label} "short" .`, `<wn:1> ${label} "whole" .`]
    const ntriples = { prefixes: { wn: 'http://wn/' } }

    await store.import(bytes([Buffer.from(`${lines.join('\n')}\n`)]), {
      format: 'ntriples',
      ntriples
    })

    expect(await store.get({ key: 'wn:1' })).toMatchObject({ content: 'short' })
    expect(await store.get({ key: '<wn:1>' })).toMatchObject({ content: 'whole' })
    const chunks: Uint8Array[] = []
    for await (const chunk of store.export({ format: 'ntriples', ntriples })) {
      chunks.push(Uint8Array.from(chunk))
    }
    expect(Buffer.concat(chunks).toString()).toContain('<wn:1>')
    await using other = await openTemporaryStore()
    await other.store.import(bytes(chunks), { format: 'ntriples', ntriples })
    expect(await other.store.contentHash()).toBe(await store.contentHash())
  })
})

async function* bytes(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}
