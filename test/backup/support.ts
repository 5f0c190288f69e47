/** Backups, and the stores that are made of them. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { open, type Receipt, type Store } from 'sutra-storage'
import { look, type Seen } from '../support/sample.ts'

/** What was learned, in the order of its positions: a model of the log in one line an event. */
export interface Learned {
  receipt: Receipt
  contents: Record<string, string>
}

/** The contents that a store must hold whose last commit ends at or before a position. */
export function contentsAt(learned: readonly Learned[], position: number): string[] {
  const kept = learned.filter(({ receipt }) => receipt.last <= position)
  kept.sort((a, b) => a.receipt.first - b.receipt.first)
  return Object.values(Object.assign({}, ...kept.map(({ contents }) => contents)))
    .map(String)
    .sort()
}

export async function contentsOf(store: Store): Promise<string[]> {
  const contents: string[] = []
  for await (const { content } of store.concepts()) contents.push(content)
  return contents.sort()
}

/** Learns `n` commits at once, of one to three concepts, so that frames hold several commits. */
export async function learnWave(store: Store, wave: number, n: number): Promise<Learned[]> {
  return Promise.all(
    Array.from({ length: n }, async (_, i) => {
      const keys = Array.from({ length: 1 + (i % 3) }, (_, j) => `k${(wave * 7 + i * 3 + j) % 40}`)
      const contents = Object.fromEntries(keys.map((key) => [key, `${key} ${wave}.${i}`]))
      const commands = Object.entries(contents).map(([key, content]) => {
        return { do: 'learn', id: { key }, content } as const
      })
      return { receipt: await store.commit(commands), contents }
    })
  )
}

export async function lookInto(directory: string): Promise<Seen> {
  await using store = await open(directory, { createIfMissing: false })
  return await look(store)
}

/** Every file with its size, time and bytes: what must not change when something is refused. */
export async function filesOf(directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const name of await readdir(directory, { recursive: true })) {
    const path = join(directory, name)
    const { size, mtimeMs } = await stat(path)
    const bytes = (await stat(path)).isFile() ? (await readFile(path)).toString('latin1') : ''
    files[name] = `${size} ${mtimeMs} ${bytes}`
  }
  return files
}
