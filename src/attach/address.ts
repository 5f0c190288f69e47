/**
 * ATTACH: the file that says where the process that has a store open can be spoken to.
 *
 * The socket lies in a folder that only its owner may enter, from before it is there: so nobody
 * else can connect in the instant between making it and setting its mode. The folder is in the
 * store's directory, or, where that has too long a name for a socket, in the system's temporary one.
 *
 * ATTACH is written before the folder is made, and the folder has a name that is never used again. So
 * whatever a process leaves that dies on the way is named by ATTACH, and the next owner removes it.
 * Only the owner of the directory writes ATTACH; nothing but looking on depends on it.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { StoreError } from '../errors.ts'
import { isMissing, namesIn, parseJson, replaceFile } from '../storage/files.ts'

const ATTACH_FILE = 'ATTACH'
/** And what a process leaves that dies while it writes one. */
const ATTACH_FILES = /^ATTACH(\.[0-9a-f]+\.tmp)?$/
const SOCKET = 'socket'
const FOLDER = /^(attach|sutra-[0-9a-f]{8})-[0-9a-f]{12}$/

/** The system copies the path into 104 bytes or more; a longer one it would cut off in silence. */
const PATH_BYTES_MAX = 100

/** Where to connect to: the path of a socket, or the name of a pipe on Windows. */
export interface Address {
  readonly path: string
  /** What holds the socket and nothing else; absent for a pipe. */
  readonly folder: string | undefined
}

/** Decides on an address, removes what a dead owner left, and writes the new one down. */
export async function makeAddress(directory: string, storeId: string): Promise<Address> {
  const address = newAddress(directory, storeId)
  await removeAddress(directory)
  const content = JSON.stringify({ path: address.path, pid: process.pid })
  await replaceFile(join(directory, ATTACH_FILE), `${content}\n`)
  if (address.folder !== undefined) await mkdir(address.folder, { mode: 0o700 })
  return address
}

/** Removes ATTACH and the socket that it names. */
export async function removeAddress(directory: string): Promise<void> {
  const path = await readAddress(directory)
  const folder = path === undefined ? undefined : dirname(path)
  // A file that was tampered with must not make us remove anything else.
  const isOurs =
    folder !== undefined &&
    basename(path ?? '') === SOCKET &&
    FOLDER.test(basename(folder)) &&
    [directory, tmpdir()].includes(dirname(folder))
  if (isOurs) await rm(folder, { recursive: true, force: true })
  const files = (await namesIn(directory)).filter((name) => ATTACH_FILES.test(name))
  for (const name of files) await rm(join(directory, name), { force: true })
}

/** The path that ATTACH names; `undefined` where there is none, or none that can be read. */
export async function readAddress(directory: string): Promise<string | undefined> {
  let text: string
  try {
    text = await readFile(join(directory, ATTACH_FILE), 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  return parseAddress(text)
}

/** What is cut short by a power cut, or is none of ours, names no process that could be asked. */
function parseAddress(text: string): string | undefined {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || !('path' in value)) return undefined
  return typeof value.path === 'string' ? value.path : undefined
}

function newAddress(directory: string, storeId: string): Address {
  const random = randomBytes(6).toString('hex')
  if (process.platform === 'win32') {
    return { path: `\\\\.\\pipe\\sutra-${storeId}-${random}`, folder: undefined }
  }
  const folders = [
    join(directory, `attach-${random}`),
    join(tmpdir(), `sutra-${storeId.slice(0, 8)}-${random}`)
  ]
  for (const folder of folders) {
    const path = join(folder, SOCKET)
    if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { path, folder }
  }
  const reason = `'${directory}' and '${tmpdir()}' are too long for the path of a socket`
  throw new StoreError('IO_FAILED', `The store cannot be attached to: ${reason}`, {
    operation: 'attach',
    reason
  })
}
