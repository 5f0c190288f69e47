/** A projection that recovers by itself, and one whose files turn out to be worth less than they said. */
import { expect, onTestFinished, test } from 'vitest'
import type { TelemetryEvent } from '#sutra/telemetry/types.js'
import { delay, FakeProjection, type Rig, rig } from './fakes.js'

function started(): Rig & { seen: TelemetryEvent[] } {
  const one = rig()
  const seen: TelemetryEvent[] = []
  one.hub.events$.subscribe((event) => seen.push(event))
  one.pipeline.start()
  onTestFinished(async () => one.pipeline.stop())
  return { ...one, seen }
}

/** Fails from an event on; `recover` decides what becomes of it. */
class Recovering extends FakeProjection {
  readonly errors: Error[] = []
  #settle: { resolve(goesOn: boolean): void; reject(error: Error): void } | undefined

  recovered(error: Error): Promise<boolean> {
    this.errors.push(error)
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  recover(outcome: boolean | Error): void {
    this.failAt = Number.POSITIVE_INFINITY
    if (outcome instanceof Error) this.#settle?.reject(outcome)
    else this.#settle?.resolve(outcome)
  }
}

test('goes on where it stopped, and is stopped until then', async () => {
  const { append, pipeline, seen } = started()
  const own = await stopped(pipeline, append)
  append(10)
  await delay(30)
  expect(own.batches.at(-1)?.to).toBe(10)
  await expect(pipeline.caughtUp(20)).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })

  own.recover(true)
  await expect.poll(() => pipeline.stats().projections['own']?.state).toBe('running')
  await pipeline.caughtUp(30)

  expect(own.position).toBe(30)
  expect(own.batches.map(({ from }) => from)).toEqual([1, 11])
  expect(own.overlapped).toBe(false)
  expect(own.errors).toHaveLength(1)
  expect(pipeline.stats().projections['own']).not.toHaveProperty('error')
  expect(seen).toContainEqual(
    expect.objectContaining({ type: 'projection-resumed', projection: 'own', position: 10 })
  )
  append(5)
  await pipeline.caughtUp(35)
})

test('may stop and recover again', async () => {
  const { append, pipeline } = started()
  const own = await stopped(pipeline, append)
  own.recover(true)
  await pipeline.caughtUp(10)
  await expect.poll(() => own.position).toBe(20)
  own.failAt = 25
  append(10)
  await expect(pipeline.caughtUp(30)).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })

  own.recover(true)
  await expect.poll(() => own.position).toBe(30)

  expect(own.errors.map(({ message }) => message)).toEqual(['cannot apply 15', 'cannot apply 25'])
})

test.each([
  { what: 'says that it never will', outcome: false, error: 'cannot apply 15' },
  { what: 'fails at that too', outcome: new Error('gone'), error: 'gone' }
])('stays stopped where it $what', async ({ outcome, error }) => {
  const { append, pipeline, seen } = started()
  const own = await stopped(pipeline, append)

  own.recover(outcome)
  await delay(30)

  expect(pipeline.stats().projections['own']).toMatchObject({ state: 'stopped', error })
  expect(own.position).toBe(10)
  expect(seen.map(({ type }) => type)).not.toContain('projection-resumed')
})

test.each(['stop', 'remove'] as const)('starts nothing after a %s', async (end) => {
  const { append, pipeline, seen } = started()
  const own = await stopped(pipeline, append)
  if (end === 'stop') await pipeline.stop()
  else await pipeline.remove('own')

  own.recover(true)
  await delay(30)

  expect(own.position).toBe(10)
  expect(seen.map(({ type }) => type)).not.toContain('projection-resumed')
})

test('a wait lasts until files were looked at, and for what they turn out to lack', async () => {
  const { append, pipeline } = started()
  append(10)
  const own = new Checked('own')
  own.position = 10
  pipeline.add(own)
  let isOver = false
  const waiting = pipeline.caughtUp(10).then(() => {
    isOver = true
  })
  await delay(30)
  expect(isOver).toBe(false)
  expect(own.batches).toEqual([])

  own.position = 0
  own.look()
  await waiting

  expect(own.position).toBe(10)
})

test('it catches up with what its files lack, though nobody waits', async () => {
  const { append, pipeline } = started()
  append(10)
  const own = new Checked('own')
  own.position = 10
  pipeline.add(own)
  await delay(10)

  own.position = 0
  own.look()

  await expect.poll(() => own.position).toBe(10)
})

test('stopping ends a wait for files that are being looked at', async () => {
  const { append, pipeline } = started()
  append(10)
  const own = new Checked('own')
  pipeline.add(own)
  const outcome = pipeline.caughtUp(10).catch((error: unknown) => error)

  const stopping = pipeline.stop()
  own.look()
  await stopping

  expect(await outcome).toMatchObject({ code: 'STORE_CLOSED' })
})

class Checked extends FakeProjection {
  look: () => void = () => {}
  readonly checked: Promise<void> = new Promise((resolve) => {
    this.look = resolve
  })
}

/** A projection that holds 10 of 20 events and cannot apply the next ones. */
async function stopped(pipeline: Rig['pipeline'], append: Rig['append']): Promise<Recovering> {
  const own = new Recovering('own')
  pipeline.add(own)
  append(10)
  await pipeline.caughtUp(10)
  own.failAt = 15
  append(10)
  await expect(pipeline.caughtUp(20)).rejects.toMatchObject({ code: 'PROJECTION_STOPPED' })
  return own
}
