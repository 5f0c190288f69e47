/**
 * The k-th read of each kind of file fails, once or from then on: whoever asked hears of it as a
 * `StoreError`, or was served without the file, and nothing is lost. `SUTRA_FAULTS=all` tries every
 * call, else a part.
 */
import { cp, readFile } from 'node:fs/promises'
import { isStoreError, open } from 'sutra-storage'
import { beforeAll, describe, expect, test } from 'vitest'
import { Child, type Line } from '../support/child.ts'
import { lastingPath, temporaryPath } from '../support/temp.ts'
import { EIO, type Fault, faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined
const ALL = process.env['SUTRA_FAULTS'] === 'all'
const CONCEPTS = 24
const PATIENCE_MS = 60_000

let template = ''
let traced: Map<string, string[]>

describe.skipIf(missing !== undefined)(`a read fails ${missing ?? ''}`, () => {
  beforeAll(async () => {
    template = await lastingPath()
    await using store = await open(template, { vectors: { dimensions: 4 } })
    for (let n = 1; n <= CONCEPTS; n++) {
      const embedding = [Math.sin(n), Math.cos(n), n / CONCEPTS, 1]
      await store.learn({
        id: { key: `k${n}` },
        content: `Concept ${n}`,
        metadata: { n },
        embedding
      })
      const ends = { source: { key: `k${Math.max(1, n - 1)}` }, target: { key: `k${n}` } }
      await store.associate({ ...ends, type: 'next' })
    }
    const subscription = await store.subscribe('reader', {}, () => undefined)
    await subscription.caughtUp()
    await subscription.close()
    await store.caughtUp()
    await store.checkpoint()
    await store.close()
    traced = await traceReads()
  }, 60_000)

  test('of every kind of file that is read', () => {
    const files = [...traced.keys()].join(' ')
    for (const part of ['.f32', '.ids', 'vectors/MANIFEST', 'HEAD', 'FORMAT', 'log/', 'tables/']) {
      expect(files).toContain(part)
    }
  })

  for (const count of [1, 1_000_000]) {
    const often = count === 1 ? 'once' : 'from then on'
    test(`${often}: the caller hears of it with a code`, { timeout: 3_600_000 }, async () => {
      const findings: string[] = []
      let failed = 0
      const fail = async (kind: string, at: number): Promise<void> => {
        const [op = '', end = ''] = kind.split(' ')
        const directory = await temporaryPath()
        await cp(template, directory, { recursive: true })
        const lines = await readAll(directory, { op, path: directory, end, at, count, errno: EIO })
        if (lines.some((line) => 'failed' in line)) failed += 1
        const wrong = [...judge(lines), ...(await whole(directory))]
        findings.push(...wrong.map((one) => `${kind}, call ${at}: ${one}`))
      }
      // In a short run, half of the kinds fail once and the others for good.
      const kinds = [...traced].filter((_, i) => ALL || i % 2 === Number(count === 1))
      const all = kinds.flatMap(([kind, calls]) =>
        chosen(calls.length, count).map((at) => ({ kind, at }))
      )
      for (let i = 0; i < all.length; i += 2) {
        await Promise.all(all.slice(i, i + 2).map(async ({ kind, at }) => fail(kind, at)))
      }
      console.log(`      ${often}: ${kinds.length} kinds of reads, ${failed} runs with an error`)
      expect(findings).toEqual([])
      expect(failed).toBeGreaterThan(5)
    })
  }
})

/** Every read of a whole life, by operation and the end of the path. */
async function traceReads(): Promise<Map<string, string[]>> {
  const kinds = new Map<string, string[]>()
  for (const op of ['read', 'pread']) {
    const directory = await lastingPath()
    await cp(template, directory, { recursive: true })
    const trace = `${directory}.trace`
    const lines = await readAll(directory, { op, path: `${directory}/`, trace })
    expect(lines.filter((line) => 'failed' in line)).toEqual([])
    expect(lines.at(-1)).toEqual({ ended: true })
    for (const line of (await readFile(trace, 'utf8')).split('\n')) {
      const [name, path = ''] = line.split('\t')
      if (name !== op) continue
      // Generations of tables have random names, which the copy of a store keeps.
      const end = path.slice(directory.length)
      const kind = `${op} ${end}`
      kinds.set(kind, [...(kinds.get(kind) ?? []), path])
    }
  }
  return kinds
}

/** In a short run the first one, after which none succeeds, or one in the middle. */
function chosen(calls: number, count: number): number[] {
  if (ALL) return Array.from({ length: calls }, (_, i) => i + 1)
  return [count === 1 ? 1 + Math.floor(calls / 2) : 1]
}

async function readAll(directory: string, fault: Fault): Promise<Line[]> {
  const child = new Child('faults/every-reader.mjs', [directory], faultEnv(fault))
  const patience = setTimeout(() => child.process.kill('SIGKILL'), PATIENCE_MS)
  try {
    const { lines, stderr, signal, code } = await child.ended
    const isCalm = stderr === '' && signal === null && code === 0
    return isCalm ? lines : [...lines, { died: `${signal ?? code} ${stderr.slice(-300)}` }]
  } finally {
    clearTimeout(patience)
  }
}

function judge(lines: readonly Line[]): string[] {
  const wrong: string[] = []
  for (const line of lines) {
    const { died, failed, error } = line as { died?: string; failed?: string; error?: Told }
    if (died !== undefined) wrong.push(`died: ${died}`)
    if (error === undefined) continue
    if (error.name !== 'StoreError') wrong.push(`${failed} untyped: ${JSON.stringify(error)}`)
    // Whoever looks for the reason finds what the system said.
    else if (error.code === 'IO_FAILED' && error.cause === undefined) {
      wrong.push(`${failed} without a cause: ${JSON.stringify(error)}`)
    }
  }
  return wrong
}

interface Told {
  name: string
  code?: string
  cause?: object
}

/** What is there once every read succeeds again. */
async function whole(directory: string): Promise<string[]> {
  try {
    await using store = await open(directory, { createIfMissing: false })
    const { ok, problems } = await store.verify()
    const found = await store.search([0.5, -0.25, 1, 0], { k: CONCEPTS })
    if (!ok) return [`damaged afterwards: ${JSON.stringify(problems)}`]
    return found.length === CONCEPTS ? [] : [`${found.length} of ${CONCEPTS} were found`]
  } catch (error) {
    return [`not reopened: ${isStoreError(error) ? error.message : String(error)}`]
  }
}
