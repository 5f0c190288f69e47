/** Random stores, and what an export of them must give when it is imported again. */
import { writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import {
  type AssociationRef,
  type Command,
  ConceptId,
  type ExportOptions,
  type IdInput,
  isStoreError,
  type Store
} from 'sutra-storage'
import { expect } from 'vitest'
import { openTemporaryStore } from '../support/open-store.ts'
import { temporaryPath } from '../support/temp.ts'

export type Format = NonNullable<ExportOptions['format']>

const DIMENSIONS = 3
const KEYS = [
  ...['a', 'wn:1', 'ключ', 'k "quoted", \\ and\nmore', 'http://x.test/y#z', '🙂'],
  // A decoder of UTF-8 takes the first for a byte order mark, unless it is told not to.
  ...['\ufeffa', '\u0000a']
]
const TYPES = ['word', 'synset', 'with space,;"', 'http://x.test/T', '\ufeffword']
const NAMES = ['knows', 'part of', 'http://x.test/p', 'ünder', '\ufeffknows']

// Two in three by key, the rest by ids; the same concept may be meant by both.
const id = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...KEYS).map((key): IdInput => ({ key })) },
  { weight: 1, arbitrary: fc.constantFrom(...KEYS).map((key): IdInput => ConceptId.fromKey(key)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('x', 'y').map((text): IdInput => ConceptId.fromContent(text))
  }
)

const text = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  fc.string({ maxLength: 3 }).map((behind) => `\ufeff${behind}`),
  fc.constantFrom(
    ' ',
    '\u0000',
    '\n',
    '\r\n',
    '"',
    ',',
    'a\tb',
    "'",
    '\\',
    'x,"y"\nz',
    '\u2028',
    '@en',
    '{}'
  )
)
const unit = fc.oneof(fc.constant(1), fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true }))
const scalar = fc.oneof(
  text,
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0)
)
const { value: nested } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name(), tie('value'), { maxKeys: 3, noNullPrototype: true })
  )
}))
const metadata = fc.dictionary(name(), nested, { maxKeys: 4, noNullPrototype: true })
const embedding = fc
  .array(
    fc.oneof(
      fc.constantFrom(1, -0, 0.1, 3.4028234663852886e38, 1.401298464324817e-45),
      fc.float({ noNaN: true, noDefaultInfinity: true })
    ),
    { minLength: DIMENSIONS - 1, maxLength: DIMENSIONS - 1 }
  )
  // A vector of zeros has no direction, so a store of cosines refuses it.
  .map((values) => Float32Array.from([...values, 1]))

const fields = fc.record(
  {
    type: fc.constantFrom(...TYPES),
    data: fc.uint8Array({ maxLength: 8 }),
    metadata,
    embedding: fc.oneof(embedding, embedding, fc.constant(null)),
    strength: unit,
    confidence: unit
  },
  { requiredKeys: [], noNullPrototype: true }
)
const ref = fc
  .tuple(
    id,
    id,
    fc.constantFrom(...NAMES),
    fc.constantFrom(undefined, undefined, 'k1', 'k "2"', '\ufeffk1')
  )
  .map(
    ([source, target, type, key]): AssociationRef => ({
      source,
      target,
      type,
      ...(key === undefined ? {} : { key })
    })
  )
const linkFields = fc.record(
  { strength: unit, confidence: unit, metadata },
  { requiredKeys: [], noNullPrototype: true }
)

const command = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(id, text, fields, fc.boolean())
      .map(([by, content, rest, replace]): Command => {
        const ifExists = replace ? 'replace' : 'merge'
        return { do: 'learn', id: by, content, ifExists, ...rest }
      })
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(id, fields)
      .map(([by, rest]): Command => ({ do: 'learn', id: by, content: '', stub: true, ...rest }))
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(ref, linkFields)
      .map(([to, rest]): Command => ({ do: 'associate', ...to, ...rest }))
  },
  { weight: 1, arbitrary: id.map((by): Command => ({ do: 'forget', id: by })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(id, text)
      .map(([by, content]): Command => ({ do: 'revise', target: by, content }))
  },
  { weight: 1, arbitrary: ref.map((to): Command => ({ do: 'dissociate', ...to })) }
)

/** Commands of which each may be refused, as it names what is not there. */
const arbitraryCommands: fc.Arbitrary<Command[]> = fc.array(command, { maxLength: 40 })

/** Runs commands one by one and leaves out what the store refuses. */
async function fill(store: Store, commands: readonly Command[]): Promise<void> {
  for (const one of commands) {
    try {
      await store.commit([one], { durability: 'os' })
    } catch (error) {
      if (!isStoreError(error)) throw error
    }
  }
}

/** All chunks of an export, put together. */
export async function exported(store: Store, options: ExportOptions): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of store.export(options)) chunks.push(Uint8Array.from(chunk))
  return Buffer.concat(chunks)
}

/**
 * Exports random stores and imports what came out into new ones, which must hold the same. Beside a
 * model that would embed everything: what had no vector must not get one on the way.
 */
export async function checkRoundTrip(format: Format, numRuns = 20): Promise<void> {
  await fc.assert(
    fc.asyncProperty(arbitraryCommands, fc.boolean(), async (commands, withVectors) => {
      const vectors = withVectors ? { vectors: { dimensions: DIMENSIONS } } : {}
      await using first = await openTemporaryStore({ ...vectors, check: false })
      await fill(first.store, withVectors ? commands : commands.map(withoutEmbedding))
      const file = await temporaryPath(`export.${format}`)
      await writeFile(file, await exported(first.store, { format }))
      const embed = async (texts: string[]) => texts.map(() => new Float32Array([1, 2, 3]))
      const second = await openTemporaryStore({ ...vectors, embed, check: false })
      await using _ = second

      const report = await second.store.import(file, { format, strict: true })

      const counts = await first.store.counts()
      expect(report).toMatchObject({
        concepts: counts.concepts,
        associations: counts.associations,
        rejectedCount: 0
      })
      expect(await second.store.contentHash()).toBe(await first.store.contentHash())
    }),
    seeded(numRuns)
  )
}

function withoutEmbedding(one: Command): Command {
  if (one.do !== 'learn') return one
  const { embedding: _, ...rest } = one
  return rest
}

/** Runs of a property: when it fails, its report names the seed. */
export function seeded(numRuns: number): { numRuns: number; seed?: number } {
  const seed = process.env['SUTRA_TEST_SEED']
  return seed === undefined ? { numRuns } : { numRuns, seed: Number(seed) }
}

function name(): fc.Arbitrary<string> {
  return fc
    .oneof(
      fc.constantFrom('lang', 'a.b', 'x:y', 'with space', '0', 'é', '\ufefflang'),
      fc.string({ maxLength: 5 })
    )
    .filter((one) => one !== '__proto__')
}
