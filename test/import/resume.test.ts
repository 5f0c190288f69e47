import { appendFile, mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type ImportOptions, type ImportRecord, type ImportReport, open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Random } from '../support/random.ts'
import { temporaryPath } from '../support/temp.ts'
import { isAborted, randomLines, resultOf, traceOf, writeSources } from './resume-support.ts'

const random = new Random()
/** Opening a store again and again takes its time on a machine that is busy. */
const PATIENCE_MS = 180_000
const KEY = { resumeKey: 'the one' }

describe(`an import that is cut off and started again, seed: ${random.seed}`, () => {
  test.for([
    { window: 0, createMissing: false, reject: false },
    { window: 300, createMissing: false, reject: true },
    { window: 3000, createMissing: true, reject: true },
    { window: 100_000, createMissing: false, reject: false }
  ])('ends as one that was not: %j', { timeout: PATIENCE_MS }, async ({ reject, ...options }) => {
    const home = await temporaryPath('home')
    await mkdir(home)
    const source = await writeSources(random, home, { files: 3, lines: 2500 })
    const whole = await importWhole(source, join(home, 'whole'), reject, options)

    const cut = await importInPieces(source, join(home, 'cut'), reject, options)

    expect(cut.runs).toBeGreaterThan(1)
    expect(cut.trace).toEqual(whole.trace)
    expect(resultOf(cut.report)).toEqual(resultOf(whole.report))
    expect(cut.rejected).toBe(whole.rejected)
  })

  test('of records and of bytes that a program hands over', async () => {
    const text = randomLines(random, 3000)
    const records = text
      .split('\n')
      .filter((line) => line.startsWith('{"'))
      .map((line) => JSON.parse(line) as ImportRecord)
    const bytes = async function* () {
      const buffer = Buffer.from(text)
      for (let at = 0; at < buffer.length; at += 7777) yield buffer.subarray(at, at + 7777)
    }
    for (const source of [() => records, bytes]) {
      const home = await temporaryPath('home')
      await mkdir(home)
      const whole = await importWhole(source(), join(home, 'whole'), false, {})

      const cut = await importInPieces(source, join(home, 'cut'), false, {})

      expect(cut.trace).toEqual(whole.trace)
      expect(resultOf(cut.report)).toEqual(resultOf(whole.report))
    }
  })

  test('of files in which reading can begin at their beginning alone', async () => {
    const home = await temporaryPath('home')
    await mkdir(home)
    const numbers = Array.from({ length: 2000 }, (_, i) => i)
    const csv = join(home, 'a.csv')
    await writeFile(csv, `key,content\n${numbers.map((i) => `c${i},row ${i}\n`).join('')}`)
    const triples = join(home, 'b.nt')
    const triple = (i: number) =>
      `<urn:n:${i}> <http://www.w3.org/2000/01/rdf-schema#label> "node ${i}" .\n` +
      `<urn:n:${i}> <urn:next> <urn:n:${(i * 7) % 2100}> .\n`
    await writeFile(triples, numbers.map(triple).join(''))
    const source = [csv, triples]
    const whole = await importWhole(source, join(home, 'whole'), true, {})

    const cut = await importInPieces(source, join(home, 'cut'), true, {})

    expect(whole.report.concepts).toBeGreaterThan(3999)
    expect(cut.trace).toEqual(whole.trace)
    expect(resultOf(cut.report)).toEqual(resultOf(whole.report))
    expect(cut.rejected).toBe(whole.rejected)
  })

  test('completes a reject file that fell behind or was lost', async () => {
    const home = await temporaryPath('home')
    await mkdir(home)
    const source = await writeSources(random, home, { files: 2, lines: 2000 })
    const options = { window: 500 }
    const whole = await importWhole(source, join(home, 'whole'), true, options)
    const directory = join(home, 'cut')
    const cut = await importInPieces(source, directory, true, options)
    const rejectFile = `${directory}.rejected`
    await using store = await open(directory)
    const { size } = await stat(rejectFile)

    for (const left of [size, random.below(size), 0]) {
      await truncate(rejectFile, left)
      const report = await store.import(source, { ...KEY, ...options, rejectFile })
      expect(report).toMatchObject({ alreadyImported: true, resumedFrom: report.records })
      expect(resultOf(report)).toEqual(resultOf(whole.report))
      expect(await readFile(rejectFile, 'utf8')).toBe(whole.rejected)
    }

    expect(await traceOf(store)).toEqual(cut.trace)
    await rm(rejectFile)
    const differently = { ...KEY, window: 7, rejectFile }
    await expect(store.import(source, differently)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      details: { option: 'window' }
    })
  })
})

describe('an import with a resumeKey', () => {
  test('does nothing when it is through', async () => {
    const { store, source } = await smallImport()
    const before = await traceOf(store)

    const report = await store.import(source, KEY)

    expect(report).toMatchObject({ records: 2, concepts: 2, resumedFrom: 2, alreadyImported: true })
    expect(await traceOf(store)).toEqual(before)
    await store.close()
  })

  test('is refused with another file, before anything is written', async () => {
    const { store, source } = await smallImport()
    const before = await traceOf(store)
    const rejectFile = join(dirname(source), 'rejected')
    await writeFile(rejectFile, 'as it was')
    await appendFile(source, '{"kind":"concept","content":"more"}\n')

    await expect(store.import(source, { ...KEY, rejectFile })).rejects.toMatchObject({
      code: 'IMPORT_SOURCE_CHANGED',
      details: {
        resumeKey: 'the one',
        before: expect.stringContaining(' 70 bytes'),
        now: expect.stringContaining(' 106 bytes')
      }
    })

    expect(await traceOf(store)).toEqual(before)
    expect(await readFile(rejectFile, 'utf8')).toBe('as it was')
    await store.close()
  })

  test('is refused with a file of the same size, with more files, with other options', async () => {
    const { store, source } = await smallImport()
    const refused = { code: 'IMPORT_SOURCE_CHANGED' }

    await expect(store.import(source, { ...KEY, ifExists: 'keep' })).rejects.toMatchObject(refused)
    await expect(store.import([source, source], KEY)).rejects.toMatchObject(refused)
    await expect(store.import([], KEY)).rejects.toMatchObject(refused)
    const text = await readFile(source, 'utf8')
    await writeFile(source, text.replace('one', 'eno'))
    await expect(store.import(source, KEY)).rejects.toMatchObject(refused)
    await store.close()
  })

  test('is refused when a stream ends before the place where it was', async () => {
    const directory = await temporaryPath()
    await using store = await open(directory)
    const records = Array.from({ length: 1000 }, (_, i): ImportRecord => concept(i))
    const broken = function* () {
      yield* records
      throw new Error('the source broke')
    }
    await expect(store.import(broken(), KEY)).rejects.toThrow('the source broke')
    const before = store.head

    const promise = store.import(records.slice(0, 500), KEY)

    await expect(promise).rejects.toMatchObject({
      code: 'IMPORT_SOURCE_CHANGED',
      details: { before: '900 records or more', now: '500 records' }
    })
    expect(store.head).toBe(before)
  })

  test('runs once at a time', async () => {
    await using store = await open(await temporaryPath())
    const records = Array.from({ length: 500 }, (_, i) => concept(i))
    const first = store.import(records, KEY)

    await expect(store.import(records, KEY)).rejects.toMatchObject({ code: 'OPTION_INVALID' })

    expect(await first).toMatchObject({ concepts: 500, resumedFrom: 0, alreadyImported: false })
    expect(await store.import(records, KEY)).toMatchObject({ alreadyImported: true })
  })

  test('is no dry run', async () => {
    await using store = await open(await temporaryPath())

    await expect(store.import([], { ...KEY, dryRun: true })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      details: { option: 'resumeKey' }
    })
  })

  test('stops at the same bad line again when it is strict, and does nothing twice', async () => {
    await using store = await open(await temporaryPath())
    const records: unknown[] = Array.from({ length: 250 }, (_, i) => concept(i))
    records[230] = { kind: 'concept', content: '' }
    // One record is wrong on purpose.
    const source = records as ImportRecord[]
    const refused = { code: 'IMPORT_LINE_INVALID', details: { line: 231 } }

    for (let run = 0; run < 3; run++) {
      await expect(store.import(source, { ...KEY, strict: true })).rejects.toMatchObject(refused)
      expect((await store.counts()).concepts).toBe(230)
      expect((await store.get({ key: 'k229' }))?.version).toBe(1)
    }
    const report = await store.import(source, KEY)

    expect(report).toMatchObject({ concepts: 249, rejectedCount: 1, resumedFrom: 230 })
    expect((await store.get({ key: 'k249' }))?.version).toBe(1)
  })

  test('names what was rejected before it was cut off, a thousand at most', async () => {
    await using store = await open(await temporaryPath())
    const bad = Array.from({ length: 3000 }, (_, i) => (i % 2 === 0 ? concept(i) : { kind: i }))
    const broken = function* () {
      yield* bad.slice(0, 1500)
      throw new Error('the source broke')
    }
    // Every second record is wrong on purpose.
    await expect(store.import(broken() as Iterable<ImportRecord>, KEY)).rejects.toThrow('broke')

    const report = await store.import(bad as ImportRecord[], KEY)

    expect(report).toMatchObject({ records: 3000, concepts: 1500, rejectedCount: 1500 })
    expect(report.resumedFrom).toBe(1400)
    expect(report.rejected.map(({ line }) => line)).toEqual(
      Array.from({ length: 1000 }, (_, i) => 2 * i + 2)
    )
  })

  test('of nothing is through at once', async () => {
    await using store = await open(await temporaryPath())

    expect(await store.import([], KEY)).toMatchObject({ records: 0, alreadyImported: false })
    expect(await store.import([], KEY)).toMatchObject({ records: 0, alreadyImported: true })
  })
})

test('batches take effect in order, however long embedding one of them takes', async () => {
  let texts = 0
  const embed = async (asked: string[]): Promise<Float32Array[]> => {
    // The first batch takes longest.
    await new Promise((resolve) => setTimeout(resolve, texts++ === 0 ? 200 : 0))
    return asked.map(() => Float32Array.of(1, 0))
  }
  await using store = await open(await temporaryPath(), { vectors: { dimensions: 2 }, embed })
  const concepts = Array.from({ length: 300 }, (_, i) => concept(i))
  const associations = Array.from({ length: 299 }, (_, i): ImportRecord => {
    return { kind: 'association', sourceKey: `k${i}`, targetKey: `k${i + 1}`, type: 'next' }
  })

  const report = await store.import([...concepts, ...associations], { window: 0 })

  expect(report).toMatchObject({ concepts: 300, associations: 299, rejectedCount: 0 })
})

interface Imported {
  report: ImportReport
  trace: unknown
  rejected: string
  runs: number
}

type Options = Partial<Pick<ImportOptions, 'window' | 'createMissing'>>

async function importWhole(
  source: Parameters<typeof importOnce>[1],
  directory: string,
  reject: boolean,
  options: Options
): Promise<Imported> {
  await using store = await open(directory, { durability: 'os' })
  const rejectFile = `${directory}.rejected`
  const all = { ...KEY, ...options, ...(reject && { rejectFile }) }
  const report = await importOnce(store, source, all)
  const rejected = reject ? await readFile(rejectFile, 'utf8') : ''
  return { report, trace: await traceOf(store), rejected, runs: 1 }
}

async function importOnce(
  store: Awaited<ReturnType<typeof open>>,
  source: string[] | readonly ImportRecord[] | AsyncIterable<Uint8Array>,
  options: ImportOptions
): Promise<ImportReport> {
  return store.import(source, options)
}

/** Aborts again and again, each time a little further, and opens the store anew. */
async function importInPieces(
  source: string[] | (() => Parameters<typeof importOnce>[1]),
  directory: string,
  reject: boolean,
  options: Options
): Promise<Imported> {
  const rejectFile = `${directory}.rejected`
  for (let runs = 1; ; runs++) {
    await using store = await open(directory, { durability: 'os' })
    const controller = new AbortController()
    const { signal } = controller
    const watching = abortBeyond(store, store.head + random.below(1500), controller)
    const all = { ...KEY, ...options, signal, ...(reject && { rejectFile }) }
    try {
      const report = await importOnce(store, typeof source === 'function' ? source() : source, all)
      const rejected = reject ? await readFile(rejectFile, 'utf8') : ''
      return { report, trace: await traceOf(store), rejected, runs }
    } catch (error) {
      if (!isAborted(error)) throw error
    } finally {
      controller.abort()
      await watching
    }
  }
}

async function abortBeyond(
  store: Awaited<ReturnType<typeof open>>,
  position: number,
  controller: AbortController
): Promise<void> {
  while (store.head <= position && !controller.signal.aborted) await setImmediate()
  controller.abort()
}

async function smallImport(): Promise<{
  store: Awaited<ReturnType<typeof open>>
  source: string
}> {
  const source = await temporaryPath('source.jsonl')
  const line = (text: string): string => `{"kind":"concept","content":"${text}"}\n`
  await writeFile(source, line('one') + line('two'))
  const store = await open(join(dirname(source), 'store'))
  await store.import(source, KEY)
  return { store, source }
}

function concept(i: number): Extract<ImportRecord, { kind: 'concept' }> {
  return { kind: 'concept', key: `k${i}`, content: `concept ${i}` }
}
