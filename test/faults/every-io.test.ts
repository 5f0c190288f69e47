/**
 * The k-th call that writes fails, for every k of a short life: whatever the call was for, what was
 * acknowledged is kept, the caller hears of the failure with a code and an honest outcome, and
 * reading goes on. `SUTRA_FAULTS=all` tries every call in every way, else a part.
 */
import { readFile } from 'node:fs/promises'
import { open } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Child, type Ended, type Line } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'
import { EIO, ENOSPC, type Fault, faultEnv, shim } from './shim.ts'

const missing = 'missing' in shim ? shim.missing : undefined
const ALL = process.env['SUTRA_FAULTS'] === 'all'
const EACH = ALL ? 1 : 7
const PATIENCE_MS = 30_000
const FOR_GOOD = 1_000_000

type Way = Pick<Fault, 'errno' | 'count' | 'partial'> & { name: string }

const WAYS: Way[] = [
  { name: 'EIO, once', errno: EIO },
  { name: 'ENOSPC, for good', errno: ENOSPC, count: FOR_GOOD },
  { name: 'EIO, for good', errno: EIO, count: FOR_GOOD },
  { name: 'ENOSPC, once', errno: ENOSPC },
  { name: 'short, once', errno: ENOSPC, partial: true },
  { name: 'short, for good', errno: ENOSPC, partial: true, count: FOR_GOOD }
]
const WRITES = ['fwrite', 'write', 'pwrite']
const OPERATIONS = [...WRITES, 'fflush', 'fdatasync', 'fsync', 'rename', 'link', 'unlink']
const chosen = ALL ? OPERATIONS : ['fdatasync']
const LIVES = ALL ? [[], ['vectors']] : [[]]

describe.skipIf(missing !== undefined)(`the k-th call fails ${missing ?? ''}`, () => {
  for (const args of LIVES) {
    for (const op of chosen) {
      for (const way of ALL ? waysOf(op) : WAYS.slice(0, 1)) {
        test(`${op}, ${way.name} ${args.join('')}`, { timeout: 3_600_000 }, async () => {
          const calls = await countCalls(op, args)
          const findings: string[] = []
          let failed = 0
          const { name: _, ...how } = way
          const fail = async (at: number): Promise<void> => {
            const directory = await temporaryPath()
            const env = faultEnv({ op, at, path: directory, ...how })
            const ended = await runShort(directory, args, env)
            const heard = await judge(directory, ended)
            if (ended.lines.some((line) => 'error' in line)) failed += 1
            findings.push(...heard.map((one) => `call ${at} of ${calls}: ${one}`))
          }
          for (let at = 1; at <= calls; at += 2 * EACH) {
            const pair = [at, at + EACH].filter((one) => one <= calls)
            await Promise.all(pair.map(fail))
          }
          console.log(`      ${op}, ${way.name}: ${calls} calls, ${failed} runs with an error`)
          expect(findings).toEqual([])
          expect(calls).toBeGreaterThan(0)
        })
      }
    }
  }
})

function waysOf(op: string): Way[] {
  return WRITES.includes(op) ? WAYS : WAYS.filter(({ partial }) => partial !== true)
}

async function countCalls(op: string, args: readonly string[]): Promise<number> {
  const directory = await temporaryPath()
  const trace = `${directory}.trace`
  const ended = await runShort(directory, args, faultEnv({ op: 'none', path: directory, trace }))
  expect(ended.lines.filter((line) => 'error' in line)).toEqual([])
  expect(ended.lines.at(-1)).toEqual({ ended: true })
  const lines = (await readFile(trace, 'utf8')).split('\n')
  return lines.filter((line) => line.startsWith(`${op}\t`)).length
}

async function runShort(
  directory: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv
): Promise<Ended> {
  const child = new Child('faults/short-run.mjs', [directory, ...args], env)
  const patience = setTimeout(() => child.process.kill('SIGKILL'), PATIENCE_MS)
  try {
    return await child.ended
  } finally {
    clearTimeout(patience)
  }
}

/** What is wrong with what was told, or with what is there when nothing fails any more. */
async function judge(directory: string, ended: Ended): Promise<string[]> {
  const { lines, signal, code, stderr } = ended
  const findings: string[] = []
  if (signal !== null || code !== 0) findings.push(`died: ${signal ?? code} ${stderr.slice(-300)}`)
  for (const line of lines) {
    if ('missing' in line) findings.push(`could not be read: ${JSON.stringify(line)}`)
    if (line['failed'] === 'read') findings.push(`reading failed: ${JSON.stringify(line)}`)
    const { error } = line as { error?: { name: string; code?: string } }
    if (error !== undefined && error.name !== 'StoreError') {
      findings.push(`untyped: ${JSON.stringify(line)}`)
    }
  }
  try {
    findings.push(...(await compare(directory, lines)))
  } catch (error) {
    const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    // A store whose creation failed may be none; one that acknowledged something is one.
    findings.push(`not reopened: ${said}`)
  }
  return findings
}

async function compare(directory: string, lines: readonly Line[]): Promise<string[]> {
  const findings: string[] = []
  const store = await open(directory, { createIfMissing: true })
  try {
    for (const line of lines) {
      const { ack, refused, error } = line as { ack?: number; refused?: number; error?: Line }
      if (
        ack !== undefined &&
        (await store.get({ key: `k${ack}` }))?.content !== `Content ${ack}`
      ) {
        findings.push(`lost: commit ${ack}`)
      }
      const isPhantom = error?.['outcome'] === 'none' && (await store.has({ key: `k${refused}` }))
      if (refused !== undefined && isPhantom) findings.push(`refused, but there: ${refused}`)
      if ('imported' in line) {
        for (let n = 0; n < Number(line['imported']); n++) {
          if (!(await store.has({ key: `i${n}` }))) findings.push(`lost: import ${n}`)
        }
      }
    }
    const { concepts, associations } = await store.counts()
    const imported = await imports(store)
    if (concepts - imported !== associations) findings.push('half a commit is there')
    await store.learn({ id: { key: 'later' }, content: 'Later' })
    const { problems } = await store.verify()
    if (problems.length > 0) findings.push(`verify: ${JSON.stringify(problems)}`)
  } finally {
    await store.close()
  }
  return findings
}

async function imports(store: Awaited<ReturnType<typeof open>>): Promise<number> {
  let found = 0
  for (let n = 0; n < 12; n++) if (await store.has({ key: `i${n}` })) found += 1
  return found
}
