/**
 * The power of a real file system is cut while a process writes into a store on it. What was
 * acknowledged as durable must be there afterwards, and nothing may stand behind a hole.
 *
 * `SUTRA_CUTS` sets the number of rounds of each kind.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { open, type StoreOptions } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import { Child, type Line } from '../support/child.ts'
import { Random } from '../support/random.ts'
import { CutDisk, type FileSystem, whyNotCut } from './cut-disk.ts'

const random = new Random()
const ROUNDS = Number(process.env['SUTRA_CUTS'] ?? 1)

interface Plan {
  bytes: number
  /** The cut comes behind so many commits, at the earliest. */
  atLeast?: number
  durabilities: string[]
  options?: StoreOptions
  /** The cut comes right after LevelDB begins another log file. */
  rotated?: boolean
  /** The writer tells what is durable by itself. */
  beats?: boolean
}

const INTERVAL_MS = 50
/** Of a disk and processors that have other work as well; a wait that was seen counts twice. */
const SLACK_MS = 150

/** Small frames, and large ones: about thirty make LevelDB rotate its log file. */
const SMALL = 200
const LARGE = 400_000
const os = (count: number): string[] => new Array<string>(count).fill('os')

const DURABLE: [string, Plan][] = [
  ['where every commit is durable', { bytes: SMALL, durabilities: ['fsync'] }],
  ['where few of them are', { bytes: SMALL, durabilities: [...os(20), 'fsync'] }],
  ['where durabilities are mixed', { bytes: SMALL, durabilities: ['os', 'interval', 'fsync'] }],
  ['where log files are rotated', { bytes: LARGE, durabilities: [...os(9), 'fsync'], atLeast: 60 }],
  [
    'right after a rotation',
    { bytes: LARGE, durabilities: [...os(5), 'fsync'], atLeast: 20, rotated: true }
  ]
]
/** The short form cuts the power of one kind. */
const FILE_SYSTEMS = ROUNDS > 1 ? (['ext4', 'xfs'] as const) : (['ext4'] as const)

for (const kind of FILE_SYSTEMS) {
  const missing = await whyNotCut(kind)
  describe.skipIf(missing !== undefined)(`a power cut of ${kind} ${missing ?? ''}`, () => {
    test.each(DURABLE)(
      'loses nothing durable %s',
      { timeout: ROUNDS * 30_000 },
      async (_, plan) => {
        let durable = 0
        for (let round = 0; round < ROUNDS; round++) durable += (await cutOnce(kind, plan)).durable

        console.log(`      ${ROUNDS} cuts, ${durable} positions acknowledged as durable, 0 lost`)
        expect(durable).toBeGreaterThan(0)
      }
    )

    test('keeps what is older than the interval', { timeout: ROUNDS * 30_000 }, async () => {
      const options = { durabilityIntervalMs: INTERVAL_MS }
      const plan = { bytes: SMALL, durabilities: ['interval'], options, beats: true }
      for (let round = 0; round < ROUNDS; round++) {
        const { kept, older, durable } = await cutOnce(kind, plan)
        // What the store said was durable, and whatever waited longer than anything had to before.
        expect(durable).toBeGreaterThan(0)
        expect(kept).toBeGreaterThanOrEqual(durable)
        expect(kept).toBeGreaterThanOrEqual(older)
      }
    })

    test('loses something that was not durable', { timeout: ROUNDS * 30_000 }, async () => {
      // The control: where nothing is lost here, the tests above would see nothing either.
      let lost = 0
      for (let round = 0; round < ROUNDS; round++) {
        const gone = await lostWithoutSync(kind)
        lost += gone
        expect(gone).toBeGreaterThan(0)
      }
      console.log(`      ${ROUNDS} cuts without fsync, ${lost} positions lost`)
    })
  })
}

/** A batch of the pipeline syncs the log: a cut right behind one finds nothing to lose, seldom. */
async function lostWithoutSync(kind: FileSystem): Promise<number> {
  const options = { pipeline: { intervalMs: { min: 100, base: 100, max: 100 } } }
  for (let attempt = 1; ; attempt++) {
    const plan = { bytes: SMALL, durabilities: ['os'], options }
    const { acknowledged, kept } = await cutOnce(kind, plan)
    if (acknowledged > kept || attempt === 3) return acknowledged - kept
  }
}

interface Outcome {
  /** Last position acknowledged at all, acknowledged or told as durable, and some time before the cut. */
  acknowledged: number
  durable: number
  older: number
  /** Last position that is there afterwards. */
  kept: number
}

async function cutOnce(
  kind: FileSystem,
  { bytes, durabilities, options, atLeast = 1, rotated = false, beats = false }: Plan
): Promise<Outcome> {
  using disk = await CutDisk.create(kind)
  const directory = join(disk.directory, 'store')
  const plan = { commits: 1e6, bytes, durabilities, options, beats }
  const child = new Child('support/writer.mjs', [directory, JSON.stringify(plan)])
  await child.after(atLeast)
  if (rotated) await rotation(join(directory, 'log'))
  else await sleep(200 + random.next() * 400)
  const older = lastAck(child.lines)
  if (beats) await sleep(INTERVAL_MS + SLACK_MS + 2 * most(child.lines, 'lagMs'))
  // A write that is under way when the power goes could be acknowledged by a file system in ruins.
  child.process.kill('SIGSTOP')
  await sleep(40)
  disk.cut()
  const { lines } = await child.kill()
  disk.restart()

  const synced = lastAck(lines.filter((line) => line['durability'] === 'fsync'))
  const durable = Math.max(synced, most(lines, 'durable'))
  const kept = await expectSound(directory, durable)
  return { acknowledged: lastAck(lines), durable, older, kept }
}

/** Waits until LevelDB begins another log file, which takes a few dozen large frames. */
async function rotation(log: string): Promise<void> {
  const newest = async (): Promise<string | undefined> =>
    (await readdir(log))
      .filter((name) => name.endsWith('.log'))
      .sort()
      .at(-1)
  const before = await newest()
  while ((await newest()) === before) await sleep(1)
}

/** It opens, holds at least so much, without a hole, and goes on. */
async function expectSound(directory: string, atLeast: number): Promise<number> {
  const store = await open(directory)
  try {
    const { head } = store
    expect(head).toBeGreaterThanOrEqual(atLeast)
    expect((await store.counts()).concepts).toBe(head)
    for (let n = 1; n <= head; n++) expect(await store.has({ key: `k${n}` })).toBe(true)
    await store.learn({ id: { key: 'later' }, content: 'Later' })
    expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
    return head
  } finally {
    await store.close()
  }
}

function lastAck(lines: readonly Line[]): number {
  return most(lines, 'ack')
}

function most(lines: readonly Line[], name: string): number {
  return lines.reduce((found, line) => Math.max(found, Number(line[name] ?? 0)), 0)
}
