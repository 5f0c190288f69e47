import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { createConnection, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { attach, isStoreError, open, type Store, type StoredEvent } from 'sutra-storage'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { FrameReader, type Message, toFrame } from '#sutra/attach/protocol.js'
import { Child } from '../support/child.ts'
import { temporaryPath } from '../support/temp.ts'

let dir: string
let store: Store

beforeEach(async () => {
  dir = await temporaryPath()
  store = await open(dir, { attach: true, vectors: { dimensions: 2 } })
  await store.learn({ id: { key: 'a' }, content: 'A', embedding: [1, 0.1], data: Buffer.from('x') })
  await store.learn({ id: { key: 'b' }, content: 'B', metadata: { n: 1.5 } }, { subject: 'ada' })
})

afterEach(async () => {
  await store.close()
})

describe('an attached store', () => {
  test('answers as the store itself', async () => {
    const attached = await attachTo(dir)

    expect(attached).toMatchObject({ directory: dir, pid: process.pid })
    expect(attached.storeId).toMatch(/^[0-9a-f]{32}$/)
    expect(await attached.counts()).toEqual(await store.counts())
    expect((await attached.stats()).commits).toEqual(store.stats().commits)
    // Infinity and all: what JSON would have lost.
    const { timeToFullMs } = (await attached.stats()).pipeline
    expect(timeToFullMs).not.toBeNull()
    expect(await attached.metrics()).toContain('sutra_commits_total 2')
  })

  test('tells how the process fares', async () => {
    const attached = await attachTo(dir)
    const first = await attached.process()
    const second = await attached.process()

    expect(first).toMatchObject({ pid: process.pid, rssBytes: expect.any(Number) })
    expect(second.uptimeMs).toBeGreaterThan(first.uptimeMs)
    expect(second.eventLoop.utilization).toBeGreaterThanOrEqual(0)
    expect(second.eventLoop.utilization).toBeLessThanOrEqual(1)
  })

  test('gives events as they are, bytes and floats included', async () => {
    const attached = await attachTo(dir)

    expect(await all(attached.events())).toEqual(await all(store.events()))
    expect(await all(attached.events({ types: ['concept-learned'], to: 2 }))).toHaveLength(1)
    expect(await all(attached.events({ concept: { key: 'b' } }))).toMatchObject([
      { position: 3, subject: 'ada', data: { metadata: { n: 1.5 } } }
    ])
  })

  test('follows what is committed later, and ends with the store', async () => {
    const attached = await attachTo(dir)
    const later = await attachTo(dir)
    const seen: number[] = []
    const following = (async () => {
      for await (const { position } of attached.events({ from: 3, live: true })) seen.push(position)
    })()

    await waitFor(() => seen.length === 1)
    await store.learn({ content: 'later' })
    await waitFor(() => seen.length === 2)
    await store.close()
    await following

    expect(seen).toEqual([3, 4])
    // Again and again, whether it was reading at the time or not.
    await expect(later.stats()).rejects.toMatchObject({
      ...{ code: 'STORE_CLOSED', details: { operation: 'stats' } }
    })
    await expect(later.counts()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await expect(attached.stats()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await expect(all(attached.events())).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('follows telemetry of the types that are asked for', async () => {
    const attached = await attachTo(dir)
    const telemetry = attached.telemetry({ types: ['group-commit'] })[Symbol.asyncIterator]()
    const first = telemetry.next()
    const writing = (async () => {
      // Until the other side listens, what happens is not told.
      for (;;) {
        await store.learn({ content: `c${store.head}` })
        if ((await Promise.race([first, pause(20)])) !== undefined) return
      }
    })()

    expect((await first).value).toMatchObject({ type: 'group-commit', commits: 1 })
    await writing
    await telemetry.return?.()

    for (const types of [['nope'], ['group'], [1], 'metrics']) {
      const refused = attached.telemetry({ types } as object)[Symbol.asyncIterator]()
      await expect(refused.next()).rejects.toMatchObject({
        code: 'QUERY_INVALID',
        details: { option: 'types' }
      })
    }
  })

  test('refuses what the store refuses, with its code and details', async () => {
    const attached = await attachTo(dir)

    // @ts-expect-error A position is a number.
    await expect(all(attached.events({ from: 'x' }))).rejects.toMatchObject({
      name: 'StoreError',
      code: 'QUERY_INVALID',
      details: { option: 'from', received: 'x' }
    })
    await expect(all(attached.events({ concept: 'nonsense' as never }))).rejects.toMatchObject({
      code: 'ID_INVALID'
    })
    await expect(
      // @ts-expect-error There is no such option.
      all(attached.events({ frm: 1 }))
    ).rejects.toMatchObject({ code: 'QUERY_INVALID' })
    expect((await attached.counts()).concepts).toBe(2)
  })

  test('stops when told to, and goes on answering', async () => {
    const attached = await attachTo(dir)
    const controller = new AbortController()
    const { signal } = controller
    const following = all(attached.events({ live: true, signal }))

    await pause(20)
    controller.abort()

    await expect(following).rejects.toMatchObject({ code: 'ABORTED' })
    await expect(attached.counts({ signal })).rejects.toMatchObject({ code: 'ABORTED' })
    const late = new AbortController()
    const asked = attached.stats({ signal: late.signal })
    late.abort()
    await expect(asked).rejects.toMatchObject({ code: 'ABORTED' })
    // The answer to what was aborted is not taken for that of the next request.
    expect(await attached.counts()).toEqual(await store.counts())
    expect((await attached.stats()).position).toBe(3)
  })

  test('ends its streams when it is closed, and refuses from then on', async () => {
    const attached = await attachTo(dir)
    const seen: unknown[] = []
    const following = (async () => {
      for await (const event of attached.events({ live: true })) seen.push(event)
    })()
    await waitFor(() => seen.length === 3)

    await attached.close()

    await following
    expect(seen).toHaveLength(3)
    await expect(attached.stats()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    await expect(all(attached.events())).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })
})

describe('where nothing is offered', () => {
  test('a store that was not opened with `attach` says how', async () => {
    const path = await temporaryPath()
    await using _ = await open(path)

    await expect(attach(path)).rejects.toMatchObject({
      code: 'ATTACH_UNAVAILABLE',
      message: expect.stringContaining('open the store with { attach: true }'),
      retryable: true
    })
    expect(readdirSync(path)).not.toContain('ATTACH')
  })

  test('there is no store, or nothing at all', async () => {
    await expect(attach(await temporaryPath())).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
    await expect(attach('')).rejects.toThrow(TypeError)
  })

  test('an ATTACH that is cut short or names something else is as good as none', async () => {
    await store.close()
    const other = join(await temporaryPath(), 'attach-0123456789ab')
    await mkdir(other, { recursive: true })
    await writeFile(join(other, 'socket'), 'precious')
    for (const text of [
      '{"pa',
      '7',
      'null',
      '{"path":5}',
      JSON.stringify({ path: join(other, 'socket') })
    ]) {
      await writeFile(join(dir, 'ATTACH'), text)
      await expect(attach(dir)).rejects.toMatchObject({ code: 'ATTACH_UNAVAILABLE' })
    }

    store = await open(dir, { attach: true })

    // What an ATTACH names outside of the places that we use is never removed.
    expect(readFileSync(join(other, 'socket'), 'utf8')).toBe('precious')
    expect(await (await attachTo(dir)).counts()).toMatchObject({ concepts: 2 })
  })

  test('a wrong option is refused', async () => {
    // @ts-expect-error It is true or false.
    await expect(open(await temporaryPath(), { attach: 'yes' })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      details: { option: 'attach' }
    })
  })
})

describe.skipIf(process.platform === 'win32')('the socket', () => {
  test('is for the owner alone, and gone after the store is closed', async () => {
    const path = addressOf(dir)

    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700)
    await store.close()

    expect(existsSync(dirname(path))).toBe(false)
    expect(readdirSync(dir).filter((name) => /attach/i.test(name))).toEqual([])
  })

  test('lies elsewhere where the directory has too long a name', async () => {
    const long = join(await temporaryPath(), 'd'.repeat(100))
    await using deep = await open(long, { attach: true })

    const path = addressOf(long)
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(100)
    expect(path.startsWith(long)).toBe(false)
    const attached = await attachTo(long)
    expect(await attached.counts()).toMatchObject({ concepts: 0 })
    await deep.close()

    expect(existsSync(dirname(path))).toBe(false)
  })

  test('that a killed process leaves is replaced by the next owner', async () => {
    await store.close()
    const child = new Child('attach/killed.mjs', [dir])
    await child.line('ready')
    const left = addressOf(dir)
    const attached = await attachTo(dir)
    child.process.kill('SIGKILL')
    await child.ended
    expect(existsSync(left)).toBe(true)
    await expect(attached.stats()).rejects.toMatchObject({ code: 'ATTACH_UNAVAILABLE' })
    await expect(attach(dir)).rejects.toMatchObject({ code: 'ATTACH_UNAVAILABLE' })

    store = await open(dir, { attach: true })

    expect(existsSync(left)).toBe(false)
    expect(addressOf(dir)).not.toBe(left)
    expect((await (await attachTo(dir)).stats()).position).toBe(3)
  })

  test('does not keep a process alive', async () => {
    await store.close()
    const child = new Child('attach/killed.mjs', [dir, 'idle'])

    expect(await child.ended).toMatchObject({ code: 0 })
    store = await open(dir)
  })

  test('that cannot be made means a store that is not opened', async () => {
    await store.close()
    await chmod(dir, 0o500)
    onTestFinished(async () => chmod(dir, 0o700))
    // Root writes where it likes.
    if (process.getuid?.() === 0) {
      await chmod(dir, 0o700)
      await mkdir(join(dir, 'ATTACH'))
    }

    await expect(open(dir, { attach: true })).rejects.toSatisfy((error) => isStoreError(error))
    await chmod(dir, 0o700)
    store = await open(dir)
    expect((await store.counts()).concepts).toBe(2)
  })
})

describe('a client that means no good, or has bad luck', () => {
  test.each([
    ['is no MessagePack', Buffer.from([0, 0, 0, 2, 0xc1, 0xc1]), /not MessagePack/],
    ['is no map', frameOf([1, 2]), /holds no map/],
    ['is too long', Buffer.from([0x7f, 0, 0, 0]), /more than 65536/],
    ['lacks an id', toFrame({ do: 'stats' }), /needs a number/],
    ['has options that are none', toFrame({ id: 1, do: 'stats', options: 5 }), /must be a map/],
    ['is one of too many', Buffer.concat(Array(60).fill(toFrame({ id: 1, do: 'counts' }))), /wait/],
    ['is HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /more than/]
  ])('is told so and hung up on when what it says %s', async (_, bytes, reason) => {
    const client = await rawClient(dir)
    client.socket.write(bytes)

    const messages = await client.untilClosed()

    const errors = messages.flatMap(({ error }) => (error === undefined ? [] : [error]))
    expect(errors).toMatchObject([{ message: expect.stringMatching(reason) }])
    await expectUnharmed()
  })

  test('is told that there is no such request, and may go on', async () => {
    const client = await rawClient(dir)
    client.socket.write(toFrame({ id: 1, do: 'forget', options: { id: 'a' } }))
    client.socket.write(toFrame({ id: 2, do: 'metrics' }))

    await waitFor(() => client.messages.length === 3)

    expect(client.messages).toMatchObject([
      { v: 1, pid: process.pid, directory: dir },
      { id: 1, error: { code: 'UNSUPPORTED', message: expect.stringContaining("'forget'") } },
      { id: 2, value: expect.stringContaining('sutra_position 3') }
    ])
    client.socket.destroy()
  })

  test('may say it byte by byte', async () => {
    const client = await rawClient(dir)
    for (const byte of toFrame({ id: 7, do: 'counts' })) {
      client.socket.write(Buffer.of(byte))
      await pause(1)
    }

    await waitFor(() => client.messages.length === 2)

    expect(client.messages[1]).toMatchObject({ id: 7, value: { concepts: 2 } })
    client.socket.destroy()
  })

  test('may vanish in the middle of a stream, of a request, or at once', async () => {
    for (const bytes of [
      toFrame({ id: 1, do: 'events', options: { live: true } }),
      toFrame({ id: 1, do: 'telemetry' }),
      toFrame({ id: 1, do: 'stats' }).subarray(0, 5),
      Buffer.alloc(0)
    ]) {
      const { socket } = await rawClient(dir)
      socket.write(bytes)
      await pause(5)
      socket.destroy()
    }
    for (let i = 0; i < 10; i++) await store.learn({ content: `while nobody looks ${i}` })

    await expectUnharmed()
  })

  test('that reads nothing costs no memory, and nobody else anything', async () => {
    for (let i = 0; i < 40; i++) await store.learn({ content: `${i}`.padEnd(2 ** 20, 'x') })
    const { socket } = await rawClient(dir)
    const before = process.memoryUsage().external
    socket.pause()
    socket.write(toFrame({ id: 1, do: 'events' }))

    await pause(300)

    // Forty megabytes are in the log; what waits for this client is one of them.
    expect(process.memoryUsage().external - before).toBeLessThan(16 * 2 ** 20)
    await expectUnharmed()
    socket.destroy()
  })

  test('is one of thirty-two; another is told why not, and when one leaves there is room', async () => {
    const clients = await Promise.all(Array.from({ length: 32 }, async () => rawClient(dir)))

    await expect(attach(dir)).rejects.toMatchObject({
      code: 'ATTACH_UNAVAILABLE',
      details: { reason: '32 others are attached already' }
    })
    clients[0]?.socket.destroy()

    await waitFor(async () => {
      const attached = await attach(dir).catch(() => undefined)
      await attached?.close()
      return attached !== undefined
    })
    for (const { socket } of clients) socket.destroy()
  })

  test('does not hold up closing, whatever it does not read', async () => {
    for (let i = 0; i < 20; i++) await store.learn({ content: `${i}`.padEnd(256 * 1024, 'x') })
    const { socket } = await rawClient(dir)
    socket.pause()
    socket.write(toFrame({ id: 1, do: 'events', options: { live: true } }))
    await rawClient(dir)
    await pause(50)

    await store.close()

    expect(readdirSync(dir)).not.toContain('ATTACH')
    socket.destroy()
  })
})

async function expectUnharmed(): Promise<void> {
  await store.learn({ content: 'still here' })
  const attached = await attachTo(dir)
  expect(await attached.counts()).toEqual(await store.counts())
}

async function attachTo(directory: string): ReturnType<typeof attach> {
  const attached = await attach(directory)
  onTestFinished(async () => attached.close())
  return attached
}

async function all(events: AsyncIterable<StoredEvent>): Promise<StoredEvent[]> {
  const found: StoredEvent[] = []
  for await (const event of events) found.push(event)
  return found
}

function addressOf(directory: string): string {
  const { path } = JSON.parse(readFileSync(join(directory, 'ATTACH'), 'utf8'))
  expect(basename(path)).toBe('socket')
  return path
}

interface RawClient {
  socket: Socket
  messages: Message[]
  untilClosed(): Promise<Message[]>
}

/** Somebody who speaks the protocol by hand. Resolves once greeted. */
async function rawClient(directory: string): Promise<RawClient> {
  const { path } = JSON.parse(readFileSync(join(directory, 'ATTACH'), 'utf8'))
  const socket = createConnection({ path })
  const messages: Message[] = []
  const reader = new FrameReader(2 ** 28)
  socket.on('error', () => undefined)
  socket.on('data', (chunk) => messages.push(...reader.push(chunk)))
  const closed = once(socket, 'close')
  onTestFinished(() => {
    socket.destroy()
  })
  await waitFor(() => messages.length > 0)
  return {
    socket,
    messages,
    async untilClosed() {
      await closed
      return messages
    }
  }
}

function frameOf(value: unknown): Buffer {
  // A frame of something that the type does not allow.
  return toFrame(value as Message)
}

async function pause(ms: number): Promise<undefined> {
  await new Promise((resolve) => setTimeout(resolve, ms))
}

async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(5)
}
