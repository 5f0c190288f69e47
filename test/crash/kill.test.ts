import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type Durability, open, type StoreOptions } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { checkInvariants } from '../support/open-store.ts'
import { type Line, Oracle } from './oracle.ts'

const KILLS = Number(process.env['SUTRA_KILLS'] ?? 6)
const SEED = Number(process.env['SUTRA_TEST_SEED'] ?? Date.now() % 1_000_000)
/** What one death left is what the next one finds. */
const KILLS_PER_STORE = KILLS > 12 ? 3 : 2
const WRITERS = 8
const DIMENSIONS = 8
const PATIENCE_MS = 60_000
const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url))

interface Setting {
  durability: Durability
  /** Every commit asks for a durability of its own. */
  mixed: boolean
  vectors: boolean
  rebuild: boolean
  seed: number
}

const MODES = ['fsync', 'interval', 'os', 'mixed'] as const
const settings = Array.from({ length: Math.ceil(KILLS / KILLS_PER_STORE) }, (_, i): Setting => {
  const mode = MODES[i % MODES.length] ?? 'mixed'
  const durability = mode === 'mixed' ? 'os' : mode
  // Of four stores in a row, the last two rebuild and the middle two have vectors.
  const [vectors, rebuild] = [i % 4 === 1 || i % 4 === 2, i % 4 >= 2]
  return { durability, mixed: mode === 'mixed', vectors, rebuild, seed: SEED + i * 1000 }
})

describe('invariant 10: what was acknowledged survives kill -9, all of it and nothing else', () => {
  test.for(settings)(
    '$durability, mixed: $mixed, vectors: $vectors, rebuild: $rebuild, seed: $seed',
    {
      timeout: KILLS_PER_STORE * PATIENCE_MS
    },
    async (setting) => {
      const home = await mkdtemp(join(tmpdir(), 'sutra-kill-'))
      const directory = join(home, 'store')
      try {
        const oracle = new Oracle(setting.vectors ? DIMENSIONS : undefined)
        for (let kill = 0; kill < KILLS_PER_STORE; kill++) {
          await writeUntilKilled(directory, { ...setting, seed: setting.seed + kill }, oracle)
          await using store = await open(directory, optionsOf(setting))
          await oracle.judge(store)
          expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
          await checkInvariants(store)
        }
        if (KILLS > 12) console.log(setting.seed, oracle.tally)
      } finally {
        await rm(home, { recursive: true, force: true })
      }
    }
  )
})

function optionsOf({ durability, vectors }: Setting): StoreOptions {
  return { durability, ...(vectors ? { vectors: { dimensions: DIMENSIONS } } : {}) }
}

/** When to kill: while it opens, while it writes, or while it closes; chosen by chance. */
function fate(seed: number): { on: 'spawn' | 'opened' | 'closing'; afterMs: number } {
  const [which, when] = [chance(seed), chance(seed + 0.5)]
  if (which < 0.15) return { on: 'spawn', afterMs: 50 + when * 350 }
  if (which < 0.3) return { on: 'closing', afterMs: when * 40 }
  return { on: 'opened', afterMs: when * 1000 }
}

async function writeUntilKilled(
  directory: string,
  setting: Setting,
  oracle: Oracle
): Promise<void> {
  const { on, afterMs } = fate(setting.seed)
  const config = {
    directory,
    options: optionsOf(setting),
    writers: WRITERS,
    mixed: setting.mixed,
    rebuild: setting.rebuild,
    closeAfterMs: on === 'closing' ? 200 : null,
    seed: setting.seed
  }
  const child = spawn(process.execPath, [CHILD, JSON.stringify(config)], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const complaints = text(child.stderr)
  const killAfter = (ms: number): void => {
    setTimeout(() => child.kill('SIGKILL'), ms)
  }
  const patience = setTimeout(() => child.kill('SIGTERM'), PATIENCE_MS)
  if (on === 'spawn') killAfter(afterMs)
  const heard: Line[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    const lines = (rest + piece).split('\n')
    // What stands behind the last line end was cut off.
    rest = lines.pop() ?? ''
    for (const line of lines) {
      // The child is ours: each line is one that it says it writes.
      const said = JSON.parse(line) as Line
      if (on in said) killAfter(afterMs)
      heard.push(said)
    }
  })
  await once(child, 'close')
  clearTimeout(patience)
  // A child that was to be killed while it closes may have been done before.
  const ended = child.signalCode === 'SIGKILL' || (on === 'closing' && child.exitCode === 0)
  expect(ended, await complaints).toBe(true)
  for (const line of heard) oracle.hear(line)
}

/** A number from 0 to 1 that the seed repeats. */
function chance(seed: number): number {
  const x = Math.sin(seed * 12.9898 + 78.233) * 43758.5453
  return x - Math.floor(x)
}
