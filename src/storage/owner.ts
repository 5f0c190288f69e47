/**
 * OWNER: the file that says which thread of which process has a directory open.
 *
 * LevelDB's own lock is a POSIX record lock: a second open in the same process, even a failed one,
 * releases it. So OWNER is taken first, exclusively, and LevelDB is touched only by its holder.
 *
 * Taking over from a dead owner must have one winner. Every OWNER carries a random token, and the
 * right to replace the OWNER with token X is the file `OWNER.claim.X`, created exclusively:
 * 1. the winner creates the claim, reads OWNER again and finds X still there;
 * 2. it renames its own OWNER over the dead one; 3. it removes the claim.
 * A contender that comes late creates the claim after step 3, but then finds another token than X
 * and backs off. One that died between 1 and 3 leaves a claim that names it: it is itself a dead
 * owner, whose claim is claimed in the same way. Whoever owns the directory removes what the dead left.
 */
import { randomBytes } from 'node:crypto'
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { StoreError } from '../errors.ts'
import { isMissing, isUnwritable, namesIn, parseJson } from './files.ts'
import { bootId, currentTask, hasProc, processExists, startTime } from './processes.ts'

const OWNER = 'OWNER'
const TOKEN = /^[0-9a-z]+$/
const TEMPORARY = /^OWNER\.[0-9a-f]{24}\.tmp$/
/** In the place of a number of the kernel's: no boot has it. */
const TORN = 'torn'
/** Nobody takes that long to write a file of a line. */
const WRITING_MS = 60_000

interface Owner {
  pid: number
  thread: number
  /** The kernel's number of the thread, where it tells; threads die without their process. */
  task: number | null
  /** When the process or thread started, in the kernel's own count; tells reused numbers apart. */
  started: string | null
  boot: string | null
  since: string
  token: string
}

/** A directory that is ours until `release`. */
export class Ownership {
  readonly #path: string
  /** `undefined` where nothing was written. */
  readonly #token: string | undefined

  /** Whether an owner died here, and did not end what it was at. */
  readonly followsDead: boolean
  /** Whether the next owner is to find that as well, because this one does not see to what was left. */
  leavesTrace = false

  private constructor(path: string, token: string | undefined, followsDead: boolean) {
    this.#path = path
    this.#token = token
    this.followsDead = followsDead
  }

  /**
   * Takes the directory.
   *
   * @throws StoreError `STORE_LOCKED` while its owner lives.
   */
  static async take(directory: string): Promise<Ownership> {
    const path = join(directory, OWNER)
    const self = describeSelf()
    const temporary = `${path}.${self.token}.tmp`
    try {
      await writeFile(temporary, JSON.stringify(self), { flag: 'wx' })
      const followsDead = await takeOver(path, temporary)
      await rm(temporary, { force: true })
      await removeLeftovers(path)
      return new Ownership(path, self.token, followsDead)
    } catch (error) {
      await giveUp(path, temporary, self.token)
      throw error
    }
  }

  /**
   * Takes the directory to read in it. Where nothing can be written, it is enough that nobody has
   * it: on read-only media nobody will, and a directory of another user is at that one's mercy.
   *
   * @throws StoreError `STORE_LOCKED` while its owner lives.
   */
  static async takeToRead(directory: string): Promise<Ownership> {
    try {
      return await Ownership.take(directory)
    } catch (error) {
      if (!isUnwritable(error)) throw error
    }
    const path = join(directory, OWNER)
    const owner = await readOwner(path)
    if (owner !== undefined && isAlive(owner)) throw locked(owner)
    return new Ownership(path, undefined, false)
  }

  /** The directory is free again, for this thread at least, also if this fails. */
  async release(): Promise<void> {
    if (this.#token === undefined) return
    try {
      const isKept = this.followsDead && this.leavesTrace
      await removeOwn(this.#path, this.#token, isKept)
    } catch (error) {
      abandoned.add(this.#token)
      throw error
    }
  }
}

/** Of this thread: files with these tokens could not be removed, and say nothing any more. */
const abandoned = new Set<string>()

/**
 * Removes a file of the protocol, if it is ours and nobody has put another one there.
 *
 * @param isKept Leaves it as one of nobody who lives.
 */
async function removeOwn(path: string, token: string, isKept = false): Promise<void> {
  const owner = await readOwner(path)
  if (owner?.token !== token) return
  if (isKept) {
    await disown(path)
    return
  }
  try {
    await rm(path, { force: true })
  } catch (error) {
    // Then others come in as well.
    await disown(path).catch(() => undefined)
    throw error
  }
}

/** Nobody's from now on. As no two claims may name the same token, not even that of nobody comes twice. */
async function disown(path: string): Promise<void> {
  await writeFile(path, randomBytes(6).toString('hex'))
}

/** Leaves nothing that would keep others out. What made taking the directory fail is told. */
async function giveUp(path: string, temporary: string, token: string): Promise<void> {
  try {
    await rm(temporary, { force: true })
    const names = await namesIn(dirname(path))
    const claims = names.filter((name) => name.startsWith(`${OWNER}.claim.`))
    for (const name of [...claims, OWNER]) await removeOwn(join(dirname(path), name), token)
  } catch {
    // Only now: who follows a dead owner must not have its own file removed by this.
    abandoned.add(token)
  }
}

/** Whether a name in a store's directory belongs to the ownership protocol. */
export function isOwnerFile(name: string): boolean {
  return name === OWNER || name.startsWith(`${OWNER}.`)
}

/** Resolves with whether a dead owner was followed. */
async function takeOver(path: string, temporary: string): Promise<boolean> {
  for (;;) {
    if (await linkIfFree(temporary, path)) return false
    const current = await readOwner(path)
    if (current === undefined) continue
    if (isAlive(current)) throw locked(current)
    if (await claim(path, temporary, current.token)) {
      const still = await readOwner(path)
      if (still?.token === current.token) {
        await rename(temporary, path)
        return true
      }
      await rm(claimPath(path, current.token), { force: true })
    }
  }
}

/** Whether the right to replace the dead owner with this token is ours now. */
async function claim(path: string, temporary: string, token: string): Promise<boolean> {
  const own = claimPath(path, token)
  if (await linkIfFree(temporary, own)) return true
  const rival = await readOwner(own)
  if (rival === undefined) return false
  if (isAlive(rival)) throw locked(rival)
  // The rival died with the claim in its hands: whoever claims the claim removes it.
  if (await claim(path, temporary, rival.token)) {
    // Another one may have removed it already, and hold a claim of that name by now.
    const still = await readOwner(own)
    if (still?.token === rival.token) await rm(own, { force: true })
    await rm(claimPath(path, rival.token), { force: true })
  }
  return false
}

function claimPath(path: string, token: string): string {
  return `${path}.claim.${token}`
}

/** To be called by the owner: every claim is for a file that is not there any more. */
async function removeLeftovers(path: string): Promise<void> {
  const directory = dirname(path)
  for (const name of await namesIn(directory)) {
    const file = join(directory, name)
    const isClaim = name.startsWith(`${OWNER}.claim.`)
    if (isClaim || (TEMPORARY.test(name) && (await isLeftOver(file, path)))) {
      await rm(file, { force: true })
    }
  }
}

/** Whether nobody will link this file any more. One that lives is about to find out who owns. */
async function isLeftOver(temporary: string, owner: string): Promise<boolean> {
  const writer = await readOwner(temporary)
  if (writer === undefined) return false
  if (writer.boot !== TORN) return !isAlive(writer)
  // Not written to its end: long ago, by one who died over it, or by one who is at it now. The file
  // system's own clock tells.
  try {
    return (await stat(owner)).mtimeMs - (await stat(temporary)).mtimeMs > WRITING_MS
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

// A hard link appears with its whole content at once, unlike a file that is created, then written.
async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

async function readOwner(path: string): Promise<Owner | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  return parseOwner(text) ?? tornOwner(text)
}

function parseOwner(text: string): Owner | undefined {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, token } = value as Partial<Owner>
  // The token becomes part of a file's name.
  if (typeof pid !== 'number' || typeof token !== 'string' || !TOKEN.test(token)) return undefined
  return value as Owner
}

/** A link shows whole content, so a torn OWNER comes from a power cut: no process outlived it. */
function tornOwner(text: string): Owner {
  const token = `torn${Buffer.from(text).toString('hex').slice(0, 24)}`
  return { pid: 0, thread: 0, task: null, started: null, boot: TORN, since: '', token }
}

function locked(owner: Owner): StoreError<'STORE_LOCKED'> {
  const { pid, since } = owner
  return new StoreError('STORE_LOCKED', `The directory is owned by process ${pid} since ${since}`, {
    pid,
    since
  })
}

function describeSelf(): Owner {
  const task = currentTask()
  return {
    pid: process.pid,
    thread: threadId,
    task,
    started: startTime(process.pid, task),
    boot: bootId(),
    since: new Date().toISOString(),
    token: randomBytes(12).toString('hex')
  }
}

function isAlive(owner: Owner): boolean {
  if (abandoned.has(owner.token)) return false
  const boot = bootId()
  if (owner.boot !== null && boot !== null && owner.boot !== boot) return false
  if (!processExists(owner.pid)) return false
  const started = startTime(owner.pid, owner.task)
  // Where the kernel tells nothing, a living process with that number is taken for the owner.
  if (owner.started === null || !hasProc()) return true
  return started === owner.started
}
