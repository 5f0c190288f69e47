/** Damage to what the store keeps of subscriptions: verify names it, repair leaves none of it. */
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile
} from 'node:fs/promises'
import { join } from 'node:path'
import { open, repair, type Store, type TelemetryEvent } from 'sutra-storage'
import { describe, expect, test } from 'vitest'
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  fileNameOf,
  newEpoch,
  SLOT_BYTES
} from '#sutra/pipeline/subscriptions/checkpoint.js'
import { SlotFile } from '#sutra/storage/slot-file.js'
import { faultEnv, shim } from '../faults/shim.ts'
import { run } from '../support/child.ts'
import { copyStore, deleteRows, flipFile, logOf, rowsOf } from '../support/raw.ts'
import { temporaryPath } from '../support/temp.ts'

const EVENTS = 6
const noShim = 'missing' in shim ? shim.missing : undefined

describe('verify and repair', () => {
  test('what is whole is no problem, and repair leaves it alone', async () => {
    const directory = await madeStore()
    const before = await contents(directory)

    expect(await problemsOf(directory)).toEqual([])
    expect(await repair(directory)).toMatchObject({ changed: false, subscriptions: [] })

    expect(await contents(directory)).toEqual(before)
    expect(await collect(directory, 'mailer')).toEqual([])
  })

  test.each([
    ['every byte is another', async (file: string) => fill(file, 0xff)],
    ['it is empty', async (file: string) => truncate(file)],
    ['it is all zeros', async (file: string) => fill(file, 0)]
  ])('a file without a whole record, since %s, is put aside by repair', async (_, damage) => {
    const directory = await madeStore()
    const file = fileNameOf('mailer')
    await damage(pathOf(directory, 'mailer'))
    const before = await contents(directory)

    const problem = { part: `subscription ${file}`, reason: expect.stringContaining('whole') }
    expect(await problemsOf(directory)).toEqual([problem])
    expect(await contents(directory)).toEqual(before)
    const told = [{ name: file, file, reason: problem.reason, kept: false }]
    const dry = await repair(directory, { dryRun: true })
    expect(dry).toMatchObject({ changed: false, subscriptions: told })
    expect(await contents(directory)).toEqual(before)
    const report = await repair(directory)

    expect(report).toMatchObject({ changed: true, eventsLost: 0, subscriptions: told })
    expect(await readdir(join(report.aside ?? '', 'subscriptions'))).toEqual([file])
    expect(await problemsOf(directory)).toEqual([])
    expect(await repair(directory)).toMatchObject({ changed: false, subscriptions: [] })
    // Nobody is told apart from who never was there: from the start, so that nothing is missed.
    expect(await collect(directory, 'mailer')).toEqual(upTo(EVENTS))
    expect(await collect(directory, 'other')).toEqual([])
  })

  test('one slot that is damaged costs at most that events are delivered again', async () => {
    for (let slot = 0; slot < 3; slot++) {
      const directory = await madeStore()
      await flipFile(pathOf(directory, 'mailer'), slot * SLOT_BYTES + 24)

      const reason = `slot ${slot + 1} of 3 holds no whole record, and the newest of the others counts`
      expect(await problemsOf(directory)).toEqual([{ part: 'subscription mailer', reason }])
      const report = await repair(directory)

      const told = { name: 'mailer', file: fileNameOf('mailer'), reason, kept: true }
      expect(report).toMatchObject({ changed: true, subscriptions: [told] })
      expect(await problemsOf(directory)).toEqual([])
      const seen = await collect(directory, 'mailer')
      expect(seen).toEqual(upTo(EVENTS).slice(EVENTS - seen.length))
    }
  })

  test('slots that a crash tore are no damage, and cleared by the next open', async () => {
    const torn = [[1], [2], [3], [1, 3]]
    for (const slots of torn) {
      const directory = await diedStore()
      for (const slot of slots) await tear(pathOf(directory, 'mailer'), slot)
      const { position } = await checkpointOf(pathOf(directory, 'mailer'))
      expect(position).toBeGreaterThan(0)
      // Who only looks leaves it to the one that may write.
      await (await open(directory, { readOnly: true })).close()
      const dry = await repair(directory, { dryRun: true })
      expect(dry.subscriptions).toMatchObject([{ name: 'mailer', kept: true }])

      await using store = await open(directory)
      const told: TelemetryEvent[] = []
      store.telemetry$.subscribe((event) => told.push(event))
      expect(await store.verify()).toMatchObject({ ok: true, problems: [] })
      const reason = expect.stringContaining('torn by a crash')
      const found = told.filter(({ type }) => type === 'damage-found')
      expect(found).toMatchObject([{ part: 'subscription mailer', reason }])
      const redelivered: boolean[] = []
      const subscription = await store.subscribe('mailer', {}, (_, delivery) => {
        redelivered.push(delivery.redelivered)
      })
      await subscription.caughtUp()
      expect(redelivered).toEqual(Array(EVENTS - position).fill(true))
      await subscription.close()
      await store.close()
      expect(await problemsOf(directory)).toEqual([])
    }
  })

  test('a slot that is damaged once all was seen to stays a problem', async () => {
    const directory = await diedStore()
    await (await open(directory)).close()
    await tear(pathOf(directory, 'mailer'), 1)

    expect(await readdir(directory)).not.toContain('OWNER')
    const [problem] = await problemsOf(directory)
    expect(problem).toMatchObject({ part: 'subscription mailer' })
  })

  test('with a damaged slot, what is delivered again is said to be', async () => {
    const directory = await madeStore()
    const path = pathOf(directory, 'mailer')
    const older = await checkpointOf(path)
    // A peaceful end at 2, then one at 6 whose slot is damaged.
    const file = await SlotFile.create(path, SLOT_BYTES, encodeCheckpoint({ ...older, ...AT_2 }))
    file.write(encodeCheckpoint(older))
    await file.sync()
    file.close()
    await flipFile(path, SLOT_BYTES + 24)

    await using store = await open(directory)
    const redelivered: boolean[] = []
    const subscription = await store.subscribe('mailer', {}, (_, delivery) => {
      redelivered.push(delivery.redelivered)
    })
    await subscription.caughtUp()

    expect(redelivered).toEqual([true, true, true, true])
  })

  test('a checkpoint ahead of the log is named, and put aside', async () => {
    const directory = await madeStore()
    await write(directory, 'mailer', { position: EVENTS + 4, time: 0 })

    const reason = `it is at position 10, ahead of the log, which ends at ${EVENTS}`
    expect(await problemsOf(directory)).toEqual([{ part: 'subscription mailer', reason }])
    expect(await repair(directory)).toMatchObject({
      changed: true,
      subscriptions: [{ name: 'mailer', reason, kept: false }]
    })
    expect(await problemsOf(directory)).toEqual([])
  })

  test.each([
    ['of another history', { time: 12 }, 'another history'],
    ['of another store', { storeId: '00'.repeat(16) }, 'another store'],
    ['of another subscription', { name: 'somebody' }, "of 'somebody'"],
    [
      'with events in quarantine that the log does not hold',
      { quarantined: [{ position: 2, noted: 99 }] },
      'ahead of the log'
    ]
  ])('a checkpoint %s', async (_, change, reason) => {
    const directory = await madeStore()
    await write(directory, 'mailer', change)

    const [problem, ...others] = await problemsOf(directory)
    expect(others).toEqual([])
    expect(problem?.part).toMatch(/^subscription /)
    expect(problem?.reason).toContain(reason)
    const { subscriptions } = await repair(directory)
    expect(subscriptions).toMatchObject([{ reason: problem?.reason, kept: false }])
    expect(await problemsOf(directory)).toEqual([])
  })

  test('what is no checkpoint at all', async () => {
    const directory = await madeStore()
    const parent = join(directory, 'subscriptions')
    await writeFile(join(parent, 'notes.txt'), 'hello')
    await rm(pathOf(directory, 'other'))
    await mkdir(pathOf(directory, 'other'))
    // What a crash leaves, and what file managers do, is no damage.
    await copyFile(pathOf(directory, 'mailer'), join(parent, `${fileNameOf('mailer')}.ab12.tmp`))
    await writeFile(join(parent, '.DS_Store'), 'x')

    const parts = (await problemsOf(directory)).map(({ part }) => part)
    const names = ['notes.txt', fileNameOf('other')]
    expect(parts.sort()).toEqual(names.map((name) => `subscription ${name}`).sort())
    await repair(directory)
    expect(await problemsOf(directory)).toEqual([])
    expect(await collect(directory, 'mailer')).toEqual([])
  })

  test('a log that is repaired at the same time: what was handled stays handled', async () => {
    const directory = await madeStore()
    await fill(pathOf(directory, 'other'), 0xff)
    const [, second] = await rowsOf(logOf(directory))
    await deleteRows(logOf(directory), second === undefined ? [] : [second[0]])

    const report = await repair(directory)

    expect(report).toMatchObject({ changed: true, eventsLost: 1, position: EVENTS })
    expect(report.subscriptions).toMatchObject([{ file: fileNameOf('other'), kept: false }])
    expect(await problemsOf(directory)).toEqual([])
    expect(await collect(directory, 'mailer')).toEqual([])
  })

  test('a directory of checkpoints that is a file', async () => {
    const directory = await madeStore()
    const parent = join(directory, 'subscriptions')
    await rename(parent, join(directory, 'moved'))
    await writeFile(parent, 'hello')

    expect(await problemsOf(directory)).toMatchObject([{ part: 'subscription *' }])
    expect(await repair(directory)).toMatchObject({ changed: true })
    expect(await problemsOf(directory)).toEqual([])
    expect(await collect(directory, 'mailer')).toEqual(upTo(EVENTS))
  })

  test.skipIf(noShim !== undefined)(
    `a repair killed at any call is finished by the next one ${noShim ?? ''}`,
    async () => {
      const directory = await madeStore()
      await fill(pathOf(directory, 'other'), 0xff)
      await flipFile(pathOf(directory, 'mailer'), 24)
      const slots = await readFile(pathOf(directory, 'mailer'))
      let killed = 0
      for (let at = 1; killed === at - 1; at++) {
        const copy = await copyStore(directory, `killed-${at}`)
        const env = faultEnv({ op: 'any', at, kill: true, path: 'subscriptions' })
        const { signal } = await run('damage/repairer.mjs', [copy], env)
        if (signal === 'SIGKILL') killed += 1
        // Before its last step it is what it was, behind it what is whole of it: never anything else.
        const present = await readFile(pathOf(copy, 'mailer'))
        if (present.equals(slots)) expect(signal).toBe('SIGKILL')
        else expect((await checkpointOf(pathOf(copy, 'mailer'))).name).toBe('mailer')

        await repair(copy)

        expect(await problemsOf(copy)).toEqual([])
        const seen = await collect(copy, 'mailer')
        expect(seen).toEqual(upTo(EVENTS).slice(EVENTS - seen.length))
        expect(await collect(copy, 'other')).toEqual(upTo(EVENTS))
      }
      expect(killed).toBeGreaterThan(2)
    },
    240_000
  )

  test('subscriptions that run meanwhile are no problem', async () => {
    await using store = await open(await madeStore())
    const subscription = await store.subscribe('mailer', {}, () => undefined)
    for (let round = 0; round < 5; round++) {
      const [report] = await Promise.all([store.verify(), learn(store, 20), store.unsubscribe('x')])
      expect(report).toMatchObject({ ok: true, problems: [] })
    }
    await subscription.caughtUp()
  })
})

const AT_2 = { position: 2, time: 0, isClean: true }

/** Six events, and two subscriptions that handled them. */
async function madeStore(): Promise<string> {
  const directory = await temporaryPath()
  await using store = await open(directory)
  await learn(store, EVENTS)
  for (const name of ['mailer', 'other']) {
    const subscription = await store.subscribe(name, {}, () => undefined)
    await subscription.caughtUp()
    await subscription.close()
  }
  return directory
}

/** The same, whose process died over a checkpoint: three slots are written, and OWNER is there. */
async function diedStore(): Promise<string> {
  const directory = await madeStore()
  const path = pathOf(directory, 'mailer')
  const last = await checkpointOf(path)
  const at = (position: number): Buffer => {
    return encodeCheckpoint({ ...last, position, time: 0, isClean: false })
  }
  const file = await SlotFile.create(path, SLOT_BYTES, at(3))
  for (const position of [4, 5]) {
    file.write(at(position))
    await file.sync()
  }
  file.close()
  await writeFile(join(directory, 'OWNER'), '')
  return directory
}

/** As a power cut leaves a slot: the first of its sectors are the new ones, the rest is not. */
async function tear(path: string, slot: number): Promise<void> {
  await flipFile(path, (slot - 1) * SLOT_BYTES + 24)
}

async function learn(store: Store, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await store.learn({ content: `Concept ${n}` })
}

async function problemsOf(directory: string): Promise<{ part: string; reason: string }[]> {
  await using store = await open(directory)
  const { ok, problems } = await store.verify()
  expect(ok).toBe(problems.length === 0)
  return problems
}

async function collect(directory: string, name: string): Promise<number[]> {
  await using store = await open(directory)
  const seen: number[] = []
  const subscription = await store.subscribe(name, {}, ({ position }) => {
    seen.push(position)
  })
  await subscription.caughtUp()
  return seen
}

function pathOf(directory: string, name: string): string {
  return join(directory, 'subscriptions', fileNameOf(name))
}

async function checkpointOf(path: string): Promise<Checkpoint> {
  return decodeCheckpoint(SlotFile.peek(path, SLOT_BYTES) ?? Buffer.alloc(0))
}

/** Another checkpoint in its place, whole by itself. */
async function write(directory: string, name: string, change: Partial<Checkpoint>): Promise<void> {
  const path = pathOf(directory, name)
  const checkpoint = { ...(await checkpointOf(path)), epoch: newEpoch(), ...change }
  const file = await SlotFile.create(path, SLOT_BYTES, encodeCheckpoint(checkpoint))
  file.close()
}

async function fill(path: string, byte: number): Promise<void> {
  await writeFile(path, (await readFile(path)).fill(byte))
}

async function contents(directory: string): Promise<Record<string, Buffer>> {
  const parent = join(directory, 'subscriptions')
  const found: Record<string, Buffer> = {}
  for (const name of await readdir(parent)) found[name] = await readFile(join(parent, name))
  return found
}

function upTo(end: number): number[] {
  return Array.from({ length: end }, (_, n) => n + 1)
}
