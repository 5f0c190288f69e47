/** Adds up what the sampling profiler of V8 saw in each thread of a process, by part of the source. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface ThreadProfile {
  readonly name: string
  /** Milliseconds by part, the longest first. Waiting is none. */
  readonly parts: readonly (readonly [string, number])[]
  readonly busyMs: number
}

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string }; children?: number[] }[]
  samples: number[]
  /** Microseconds before each sample. */
  timeDeltas: number[]
}

const IDLE = 'waiting'

/** What V8 counts for itself, wherever it was called from. */
const OF_V8: Readonly<Record<string, string>> = {
  '(idle)': IDLE,
  '(garbage collector)': 'garbage collection',
  '(program)': 'native code, not told apart'
}

/** @param directory Where a process was told to leave its profiles, one for each thread. */
export async function readProfiles(directory: string): Promise<ThreadProfile[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.cpuprofile'))
  const threads: ThreadProfile[] = []
  for (const name of names.sort((a, b) => threadOf(a) - threadOf(b))) {
    // Node wrote it, in the format of the profiler.
    const profile = JSON.parse(await readFile(join(directory, name), 'utf8')) as CpuProfile
    threads.push(summed(threadOf(name), profile))
  }
  return threads
}

/** `CPU.<day>.<time>.<process>.<thread>.<number>.cpuprofile` */
function threadOf(file: string): number {
  return Number(file.split('.')[4])
}

function summed(thread: number, { nodes, samples, timeDeltas }: CpuProfile): ThreadProfile {
  const partOfNode = partsOf(nodes)
  const parts = new Map<string, number>()
  for (const [i, node] of samples.entries()) {
    const part = partOfNode.get(node) ?? 'unknown'
    parts.set(part, (parts.get(part) ?? 0) + Math.max(0, timeDeltas[i] ?? 0) / 1000)
  }
  parts.delete(IDLE)
  const busyMs = [...parts.values()].reduce((sum, ms) => sum + ms, 0)
  const sorted = [...parts].sort(([, a], [, b]) => b - a)
  return { name: thread === 0 ? 'main thread' : workerName(thread, nodes), parts: sorted, busyMs }
}

/** A function without a file is built in: its time is that of whoever called it. */
function partsOf(nodes: CpuProfile['nodes']): Map<number, string> {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((c) => [c, id])))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const partOf = (id: number | undefined): string => {
    const node = id === undefined ? undefined : byId.get(id)
    if (node === undefined || id === undefined) return OF_V8['(program)'] ?? ''
    const { functionName, url } = node.callFrame
    return OF_V8[functionName] ?? (url === '' ? partOf(parents.get(id)) : partOfFile(url))
  }
  return new Map(nodes.map(({ id }) => [id, partOf(id)]))
}

function partOfFile(url: string): string {
  const [, name] = /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? []
  if (name !== undefined) return `package ${name}`
  const [, ours] = /\/build\/([^/]+(?:\/(?:tables|vectors)(?=\/))?)/.exec(url) ?? []
  if (ours !== undefined) return ours.replace(/\.js$/, '')
  if (url.endsWith('/records.mjs')) return 'making the records'
  return url.startsWith('node:') ? 'Node itself' : 'the benchmark'
}

/** The thread's first file of ours says what it is for. */
function workerName(thread: number, nodes: CpuProfile['nodes']): string {
  const urls = nodes.map(({ callFrame }) => callFrame.url)
  const script = urls.find((url) => /\/build\/.*\/worker\.js$/.test(url))
  const [, path] = /\/build\/(.*)\.js$/.exec(script ?? '') ?? []
  return path === undefined ? `thread ${thread}` : `thread of ${path}`
}
