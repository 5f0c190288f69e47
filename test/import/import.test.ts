import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { appendFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ConceptId, type ImportProgress, type ImportRecord } from 'sutra-storage'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { importRecords } from '#sutra/import/import.js'
import { FakeTarget } from './fake-target.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sutra-import-'))
})
afterEach(async () => {
  expect(openFiles()).toEqual([])
  await rm(directory, { recursive: true })
})

describe('a file of JSON Lines', () => {
  test('is imported in order, associations behind their concepts', async () => {
    const target = new FakeTarget({ delayMs: 150 })
    const path = await file('graph.jsonl', chain(3000))

    const report = await importRecords(target, path, {})

    expect(report).toEqual({
      records: 5999,
      concepts: 3000,
      associations: 2999,
      rejected: [],
      rejectedCount: 0,
      seconds: expect.any(Number),
      position: 5999
    })
    expect(target.accepted.slice(0, 3)).toEqual([
      { do: 'learn', id: { key: 'k0' }, content: 'concept 0' },
      { do: 'learn', id: { key: 'k1' }, content: 'concept 1' },
      { do: 'associate', source: { key: 'k0' }, target: { key: 'k1' }, type: 'next' }
    ])
    expect(target.concepts.size).toBe(3000)
    expect(target.associations.size).toBe(2999)
    expect(Math.max(...target.commitSizes)).toBe(100)
    expect(target.inFlightMax).toBe(16)
  })

  test('may have a byte order mark, CRLF, blank lines and no last newline', async () => {
    const target = new FakeTarget()
    const text = `\ufeff${line(concept(0))}\r\n\r\n   \n\t\n${line(concept(1))}\n{\n${line(concept(2))}`
    const path = await file('odd.jsonl', text)

    const report = await importRecords(target, path, {})

    expect(target.concepts.size).toBe(3)
    expect(report).toMatchObject({ records: 4, concepts: 3, rejectedCount: 1 })
    expect(report.rejected).toMatchObject([{ line: 6 }])
  })

  test('may be compressed with gzip, in several members', async () => {
    const target = new FakeTarget()
    const path = await file('two.jsonl.gz', gzipSync(line(concept(0))))
    await appendFile(path, gzipSync(`\n${line(concept(1))}\n`))
    const progress: ImportProgress[] = []

    const onProgress = (one: ImportProgress) => progress.push(one)
    const report = await importRecords(target, path, { onProgress })

    expect(report.concepts).toBe(2)
    expect(progress.at(-1)?.bytes).toBe(progress.at(-1)?.bytesTotal)
  })

  test('may be empty', async () => {
    const target = new FakeTarget()

    const report = await importRecords(target, await file('empty.jsonl', ''), {})

    expect(report).toMatchObject({ records: 0, rejectedCount: 0, position: 0 })
    expect(target.calls).toBe(0)
  })

  test('is one of several, each with line numbers of its own', async () => {
    const target = new FakeTarget()
    const first = await file('a.jsonl', `${line(concept(0))}\n{"kind":1}\n`)
    const second = await file('b.jsonl', `oops\n${line(concept(1))}\n`)

    const report = await importRecords(target, [first, second], {})

    expect(report).toMatchObject({ records: 4, concepts: 2, rejectedCount: 2 })
    expect(report.rejected).toEqual([
      { line: 2, reason: expect.stringContaining(first) },
      { line: 1, reason: expect.stringContaining(second) }
    ])
  })
})

describe('a source that is not a file', () => {
  test('may be an iterable of records', async () => {
    const target = new FakeTarget()
    function* records(): Generator<ImportRecord> {
      for (let i = 0; i < 1200; i++) yield { ...concept(i), embedding: new Float32Array([i]) }
    }

    const report = await importRecords(target, records(), { ifExists: 'keep' })

    expect(report.concepts).toBe(1200)
    expect(target.accepted[7]).toEqual({
      do: 'learn',
      id: { key: 'k7' },
      content: 'concept 7',
      embedding: new Float32Array([7]),
      ifExists: 'keep'
    })
  })

  test('may be an array of records, one of them bad', async () => {
    const target = new FakeTarget()
    const bad = { kind: 'concept', content: 'x', colour: 'red' } as ImportRecord

    const report = await importRecords(target, [concept(0), bad, concept(1)], {})

    expect(report).toMatchObject({ records: 3, concepts: 2, rejectedCount: 1 })
    expect(report.rejected).toEqual([
      { line: 2, reason: "a concept has no field 'colour' (IMPORT_LINE_INVALID)" }
    ])
  })

  test('may be an async iterable of records', async () => {
    const target = new FakeTarget()

    const report = await importRecords(target, slowly([concept(0), concept(1)]), {})

    expect(report.concepts).toBe(2)
  })

  test('may be an async iterable of bytes, cut anywhere', async () => {
    const target = new FakeTarget()
    const bytes = Buffer.from(chain(40))
    const chunks = Array.from(bytes, (byte) => Uint8Array.of(byte))

    const report = await importRecords(target, slowly(chunks), {})

    expect(report).toMatchObject({ concepts: 40, associations: 39, rejectedCount: 0 })
  })

  test('is refused when it mixes bytes and records', async () => {
    const target = new FakeTarget()
    const mixed = slowly<ImportRecord | Uint8Array>([concept(0), Buffer.from('{}\n')])

    await expect(importRecords(target, mixed, {})).rejects.toThrow(TypeError)
  })

  test.each([[undefined], [7], [{}], [Buffer.from('{}')]])('is refused as %j', async (source) => {
    // @ts-expect-error What is passed here is wrong on purpose.
    await expect(importRecords(new FakeTarget(), source, {})).rejects.toThrow(TypeError)
  })

  test('has its error passed on, after what was read before', async () => {
    const target = new FakeTarget({ delayMs: 5 })
    const broken = async function* () {
      yield* Array.from({ length: 600 }, (_, i) => concept(i))
      throw new Error('the source broke')
    }

    await expect(importRecords(target, broken(), {})).rejects.toThrow('the source broke')

    expect(target.concepts.size).toBe(500)
    expect(target.inFlight).toBe(0)
  })
})

describe('bad lines', () => {
  test('are reported with number, reason and code, and nothing else is lost', async () => {
    const target = new FakeTarget()
    const lines = [
      line(concept(0)),
      '{"kind":"concept",',
      line({ kind: 'concept', content: '' }),
      line({ kind: 'association', sourceKey: 'k0', targetKey: 'k9', type: 'next' }),
      line({ kind: 'concept', id: 'XYZ', content: 'x' }),
      line(concept(1)),
      line({ kind: 'association', sourceKey: 'k0', targetKey: 'k1', type: 'next' })
    ]

    const report = await importRecords(target, await file('bad.jsonl', lines.join('\n')), {})

    expect(report).toMatchObject({ records: 7, concepts: 2, associations: 1, rejectedCount: 4 })
    expect(report.rejected).toEqual([
      { line: 2, reason: expect.stringMatching(/^not valid JSON.*\(IMPORT_LINE_INVALID\)$/) },
      { line: 3, reason: 'content must not be empty (COMMAND_INVALID)' },
      { line: 4, reason: expect.stringContaining('(CONCEPT_NOT_FOUND)') },
      { line: 5, reason: expect.stringContaining('(ID_INVALID)') }
    ])
  })

  test('are all in the reject file, the first thousand in the report', async () => {
    const target = new FakeTarget({ delayMs: () => Math.random() * 5 })
    const lines = Array.from({ length: 5000 }, (_, i) =>
      i % 3 === 0 ? line(concept(i)) : i % 3 === 1 ? `oops ${i}` : '{"kind":"concept","content":""}'
    )
    const source = await file('many.jsonl', lines.join('\n'))
    const rejectFile = join(directory, 'rejected.jsonl')
    await writeFile(rejectFile, 'what an earlier import left\n')

    const report = await importRecords(target, source, { rejectFile })

    expect(report).toMatchObject({ records: 5000, concepts: 1667, rejectedCount: 3333 })
    expect(report.rejected).toHaveLength(1000)
    const rejected = await readLines(rejectFile)
    expect(rejected).toHaveLength(3333)
    expect(rejected[0]).toEqual({ ...report.rejected[0], text: 'oops 1' })
    const numbers = rejected.map(({ line: number }) => number)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    expect(report.rejected.map(({ line: number }) => number)).toEqual(numbers.slice(0, 1000))
  })

  test('stop a strict import, with nothing behind the first committed', async () => {
    const target = new FakeTarget()
    const lines = Array.from({ length: 900 }, (_, i) => line(concept(i)))
    lines[620] = line({ kind: 'concept', content: '' })
    lines[700] = 'oops'
    const path = await file('strict.jsonl', lines.join('\n'))

    await expect(importRecords(target, path, { strict: true })).rejects.toMatchObject({
      code: 'IMPORT_LINE_INVALID',
      details: { line: 621, reason: 'content must not be empty (COMMAND_INVALID)' }
    })

    expect(target.concepts.size).toBe(620)
  })

  test('of the wrong shape stop a strict import at once', async () => {
    const target = new FakeTarget()
    const path = await file('strict.jsonl', `${line(concept(0))}\noops\n${line(concept(1))}\n`)

    const promise = importRecords(target, path, { strict: true })

    await expect(promise).rejects.toMatchObject({ details: { line: 2 } })
    expect(target.concepts.size).toBe(1)
  })

  test('may be 300 MB long and are never held', { timeout: 120_000 }, async () => {
    const target = new FakeTarget()
    const chunk = Buffer.alloc(2 ** 20, 'x')
    const source = async function* () {
      for (let i = 0; i < 300; i++) yield chunk
      yield Buffer.from(`\n${line(concept(1))}\n`)
    }
    const before = process.memoryUsage().arrayBuffers

    const report = await importRecords(target, source(), {})

    // One line may grow to 64 MiB, in a buffer that doubles.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * 2 ** 20)
    expect(report).toMatchObject({ records: 2, concepts: 1 })
    expect(report.rejected).toMatchObject([{ line: 1, reason: expect.stringContaining('bytes') }])
  })
})

describe('batches', () => {
  test('respect the limits of the store', async () => {
    const target = new FakeTarget({ limits: { commitCommands: 7, commitBytes: 1000 * 1024 } })
    const big = (i: number): ImportRecord => ({ ...concept(i), content: 'x'.repeat(100 * 1024) })

    await importRecords(
      target,
      Array.from({ length: 50 }, (_, i) => concept(i)),
      {}
    )
    const few = target.commitSizes.splice(0)
    await importRecords(
      target,
      Array.from({ length: 9 }, (_, i) => big(i)),
      {}
    )

    expect(few).toEqual([7, 7, 7, 7, 7, 7, 7, 1])
    expect(target.commitSizes).toEqual([2, 2, 2, 2, 1])
  })

  test('are cut from one row that is mapped to very many records', async () => {
    const target = new FakeTarget()
    const map = () => Array.from({ length: 5000 }, (_, i) => concept(i))

    const report = await importRecords(target, [concept(0)], { map })

    expect(report).toMatchObject({ records: 5000, concepts: 5000 })
    expect(Math.max(...target.commitSizes)).toBe(100)
  })

  test('keep the event loop free', async () => {
    const target = new FakeTarget()
    const path = await file('large.jsonl', chain(50_000))
    const turns: number[] = []
    let running = true
    // Time of the processor, not of the clock: others may be using this machine as well.
    const turn = (before: NodeJS.CpuUsage) => {
      const { user, system } = process.cpuUsage(before)
      turns.push((user + system) / 1000)
      if (running) setImmediate(turn, process.cpuUsage())
    }

    setImmediate(turn, process.cpuUsage())
    await importRecords(target, path, {})
    running = false

    turns.sort((a, b) => a - b)
    expect(turns.length).toBeGreaterThan(100)
    expect(turns[Math.floor(turns.length * 0.99)]).toBeLessThan(10)
  })

  test('stop with the error of the one that failed', async () => {
    const failure = new Error('the disk is full')
    const target = new FakeTarget({
      delayMs: 2,
      onCommit: (call) => {
        if (call === 2) throw failure
      }
    })
    const path = await file('large.jsonl', chain(5000))

    await expect(importRecords(target, path, {})).rejects.toBe(failure)

    expect(target.inFlight).toBe(0)
    expect(target.calls).toBeLessThan(9)
  })
})

describe('map', () => {
  test('makes records of rows, several of one or none', async () => {
    const target = new FakeTarget()
    const rows = '{"name":"a","next":"b"}\n{"skip":true}\n{"name":"b"}\n[1]\n'
    const map = (row: unknown): ImportRecord[] | undefined => {
      const { name, skip } = row as { name?: string; skip?: boolean }
      if (skip === true) return undefined
      if (name === undefined) throw new Error('no name')
      return [{ kind: 'concept', key: name, content: name }]
    }

    const report = await importRecords(target, await file('rows.jsonl', rows), { map })

    expect(report).toMatchObject({ records: 3, concepts: 2 })
    expect(report.rejected).toEqual([
      { line: 4, reason: 'map threw: no name (IMPORT_LINE_INVALID)' }
    ])
  })
})

describe('a dry run', () => {
  test('commits nothing and knows the concepts of earlier lines', async () => {
    const target = new FakeTarget()
    const lines = `${chain(2000)}${line({ kind: 'association', sourceKey: 'k0', targetKey: 'no', type: 't' })}`

    const report = await importRecords(target, await file('dry.jsonl', lines), { dryRun: true })

    expect(report).toMatchObject({ records: 4000, concepts: 2000, associations: 1999, position: 0 })
    expect(report.rejected).toMatchObject([{ line: 4000 }])
    expect(target.accepted).toEqual([])
    expect(target.concepts.size).toBe(0)
  })

  test('writes the reject file, in the place of what an earlier one left there', async () => {
    const rejectFile = join(directory, 'dry-rejects.jsonl')
    await writeFile(rejectFile, 'what an earlier import left\n')
    const source = await file('dry-bad.jsonl', `${line(concept(0))}\nnonsense\n`)

    await importRecords(new FakeTarget(), source, { dryRun: true, rejectFile })

    expect(await readLines(rejectFile)).toMatchObject([{ line: 2, text: 'nonsense' }])
  })

  test('reports a concept that an earlier line makes already', async () => {
    const target = new FakeTarget()
    const records = [...Array.from({ length: 600 }, (_, i) => concept(i)), concept(0)]

    const report = await importRecords(target, records, { dryRun: true, ifExists: 'fail' })

    expect(report.rejected).toEqual([
      { line: 601, reason: expect.stringContaining('(CONCEPT_EXISTS)') }
    ])
  })
})

test('createMissing makes the ends that are missing', async () => {
  const target = new FakeTarget()
  const records: ImportRecord[] = [
    { kind: 'association', sourceKey: 'a', targetKey: 'b', type: 'next' }
  ]

  const report = await importRecords(target, records, { createMissing: true })

  expect(report).toMatchObject({ records: 1, concepts: 0, associations: 1, rejectedCount: 0 })
  expect([...target.concepts.keys()]).toEqual([ConceptId.fromKey('a'), ConceptId.fromKey('b')])
})

describe('progress', () => {
  test('is told every 100 ms at most and at the end', async () => {
    const target = new FakeTarget({ delayMs: 20 })
    const path = await file('large.jsonl', chain(20_000))
    const told: (ImportProgress & { at: number })[] = []
    const began = performance.now()

    const report = await importRecords(target, path, {
      onProgress: (progress) => told.push({ ...progress, at: performance.now() })
    })

    expect(told.length).toBeGreaterThan(1)
    // By its own clock: the process may stand still between a look at that and the call.
    const between = told.slice(0, -1)
    for (const [i, { seconds, at }] of between.entries()) {
      expect(seconds - (between[i - 1]?.seconds ?? 0)).toBeGreaterThan(0.0999)
      expect(seconds).toBeLessThanOrEqual((at - began) / 1000)
    }
    const { records, concepts, associations } = report
    const last = told.at(-1)
    expect(last).toMatchObject({ records, concepts, associations, rejected: 0 })
    expect(last?.bytes).toBe(last?.bytesTotal)
    expect(last?.bytes).toBeGreaterThan(0)
  })
})

describe('an abort', () => {
  test('before the start does nothing', async () => {
    const target = new FakeTarget()
    const signal = AbortSignal.abort()

    await expect(importRecords(target, [concept(0)], { signal })).rejects.toMatchObject(ABORTED)

    expect(target.calls).toBe(0)
  })

  test('in the middle leaves no commit under way', async () => {
    const controller = new AbortController()
    const onCommit = (call: number) => call === 3 && controller.abort()
    const target = new FakeTarget({ delayMs: 5, onCommit })
    const path = await file('large.jsonl', chain(5000))

    const promise = importRecords(target, path, { signal: controller.signal })

    await expect(promise).rejects.toMatchObject(ABORTED)
    expect(target.inFlight).toBe(0)
    expect(target.accepted.length).toBe(400)
  })

  test.each([
    ['bytes', () => hanging(Buffer.from(`${line(concept(0))}\n`))],
    ['records', () => hanging(concept(0))]
  ])('does not wait for a source of %s that hangs', async (_, source) => {
    const target = new FakeTarget()
    const signal = AbortSignal.timeout(30)

    await expect(importRecords(target, source(), { signal })).rejects.toMatchObject(ABORTED)

    expect(target.accepted).toEqual([])
  })
})

describe('what cannot be done is refused before anything is written', () => {
  test.each([
    ['an unknown option', { stict: true }, 'OPTION_INVALID', { option: 'stict' }],
    ['an inherited name', { toString: 1 }, 'OPTION_INVALID', { option: 'toString' }],
    ['a wrong value', { strict: 'yes' }, 'OPTION_INVALID', { option: 'strict' }],
    ['an unknown choice', { ifExists: 'skip' }, 'OPTION_INVALID', { option: 'ifExists' }],
    ['an unknown format', { format: 'xml' }, 'OPTION_INVALID', { option: 'format' }],
    ['a signal that is none', { signal: {} }, 'OPTION_INVALID', { option: 'signal' }],
    ['a window of less', { window: -1 }, 'OPTION_INVALID', { option: 'window' }]
  ])('%s', async (_, options, code, details) => {
    const target = new FakeTarget()

    // @ts-expect-error What is passed here is wrong on purpose.
    await expect(importRecords(target, [concept(0)], options)).rejects.toMatchObject({
      code,
      details
    })

    expect(target.calls).toBe(0)
  })

  test('a file that is missing, though the one before is not', async () => {
    const target = new FakeTarget()
    const paths = [await file('a.jsonl', chain(5000)), join(directory, 'missing.jsonl')]

    await expect(importRecords(target, paths, {})).rejects.toMatchObject({
      code: 'IMPORT_SOURCE_INVALID',
      details: { source: paths[1] }
    })

    expect(target.calls).toBe(0)
  })

  test.each([
    ['packed columns', 'b.parquet.gz', {}, 'compressed'],
    ['packed columns of another name', 'b.gz', { format: 'arrow' }, 'compressed'],
    ['another packing', 'b.jsonl.BZ2', {}, '.bz2'],
    ['another packing, though the format is given', 'b.xz', { format: 'csv' }, '.xz'],
    ['an archive', 'b.tgz', {}, '.tgz'],
    ['another format', 'b.ttl', {}, '.ttl'],
    ['another format, packed', 'b.xml.gz', {}, '.xml']
  ] as const)('a file behind a good one: %s', async (_, name, options, named) => {
    const target = new FakeTarget()
    const paths = [await file('a.jsonl', chain(5000)), await file(name, '')]

    await expect(importRecords(target, paths, options)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(named)
    })

    expect(target.calls).toBe(0)
  })

  test('a name of another format means nothing where the format is given', async () => {
    const target = new FakeTarget()

    await importRecords(target, await file('rows.xml', chain(2)), { format: 'jsonl' })

    expect(target.concepts.size).toBe(2)
  })

  test('a directory', async () => {
    await expect(importRecords(new FakeTarget(), directory, {})).rejects.toMatchObject({
      code: 'IMPORT_SOURCE_INVALID'
    })
  })

  test('a reject file that is a source under another name', async () => {
    const path = await file('a.jsonl', line(concept(0)))
    const rejectFile = join(directory, 'alias.jsonl')
    await symlink(path, rejectFile)

    await expect(importRecords(new FakeTarget(), path, { rejectFile })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      details: { option: 'rejectFile' }
    })

    expect(await readFile(path, 'utf8')).toBe(line(concept(0)))
  })
})

test('a gzip file that is cut short fails after what could be read', async () => {
  const target = new FakeTarget()
  const packed = gzipSync(chain(5000))
  const path = await file('cut.jsonl.gz', packed.subarray(0, packed.length - 100))

  await expect(importRecords(target, path, {})).rejects.toMatchObject({
    code: 'IMPORT_SOURCE_INVALID',
    details: { source: path }
  })

  expect(target.inFlight).toBe(0)
})

const ABORTED = { code: 'ABORTED', details: { operation: expect.any(String) } }

function concept(i: number): Extract<ImportRecord, { kind: 'concept' }> {
  return { kind: 'concept', key: `k${i}`, content: `concept ${i}` }
}

function line(record: ImportRecord): string {
  return JSON.stringify(record)
}

/** Concepts, each followed by an association from the one before. */
function chain(count: number): string {
  let text = ''
  for (let i = 0; i < count; i++) {
    text += `${line(concept(i))}\n`
    if (i === 0) continue
    const ends = { sourceKey: `k${i - 1}`, targetKey: `k${i}` }
    text += `${line({ kind: 'association', ...ends, type: 'next' })}\n`
  }
  return text
}

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}

async function readLines(path: string): Promise<{ line: number; reason: string; text?: string }[]> {
  const text = await readFile(path, 'utf8')
  return text
    .trimEnd()
    .split('\n')
    .map((one) => JSON.parse(one))
}

async function* slowly<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item)
}

async function* hanging<T>(item: T): AsyncGenerator<T> {
  yield item
  await new Promise(() => undefined)
}

/** Files of the test that this process still holds open, where the system can tell. */
function openFiles(): string[] {
  if (!existsSync(DESCRIPTORS)) return []
  return readdirSync(DESCRIPTORS)
    .map((name) => {
      try {
        return readlinkSync(join(DESCRIPTORS, name))
      } catch {
        // The descriptor of the listing itself is gone by now.
        return ''
      }
    })
    .filter((path) => path.startsWith(directory))
}

const DESCRIPTORS = '/proc/self/fd'
