/** Files of records, good and bad, and what an import leaves behind: for imports that are cut off. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type ImportReport, isStoreError, type Store, type StoredEvent } from 'sutra-storage'
import type { Random } from '../support/random.ts'

/** Lines of concepts, of associations before and behind their ends, and of what is neither. */
export function randomLines(random: Random, count: number): string {
  const lines: string[] = []
  const key = () => `k${random.below(Math.ceil(count / 2))}`
  for (let i = 0; i < count; i++) {
    const chance = random.next()
    if (chance < 0.5) {
      const content = `${'ü'.repeat(random.below(20))} content ${i}`
      lines.push(JSON.stringify({ kind: 'concept', key: key(), content }))
    } else if (chance < 0.9) {
      const strength = random.below(100) / 100
      // Some come again and again, and their ends come late.
      const often = () => `k${Math.floor(count / 2) - 1 - random.below(3)}`
      const ends =
        random.next() < 0.2
          ? { sourceKey: often(), targetKey: often() }
          : { sourceKey: key(), targetKey: key() }
      lines.push(JSON.stringify({ kind: 'association', ...ends, type: 'next', strength }))
    } else {
      lines.push(random.pick(['', '{', '{"kind":"concept","content":""}', 'nothing', '\u{1f600}']))
    }
  }
  return `${lines.join('\n')}\n`
}

/** Some files in a directory, one of them compressed. */
export async function writeSources(
  random: Random,
  directory: string,
  { files, lines }: { files: number; lines: number }
): Promise<string[]> {
  const paths: string[] = []
  for (let i = 0; i < files; i++) {
    const text = randomLines(random, lines)
    const isPacked = i % 3 === 1
    const path = join(directory, `part-${i}.jsonl${isPacked ? '.gz' : ''}`)
    await writeFile(path, isPacked ? gzipSync(text) : text)
    paths.push(path)
  }
  return paths
}

/** All that an import leaves in a store, but for times, and for the places at which files are cut. */
export async function traceOf(store: Store): Promise<unknown> {
  const events: Omit<StoredEvent, 'time'>[] = []
  for await (const { time: _, headers = {}, ...event } of store.events()) {
    const { at: _at, ...place } = JSON.parse(headers['sutra-import'] ?? '{}') as { at?: unknown }
    events.push({ ...event, headers: { place: JSON.stringify(place) } })
  }
  return { hash: await store.contentHash(), head: store.head, events }
}

/** What a report says, but for how long it took and in how many runs. */
export function resultOf(report: ImportReport): unknown {
  const { seconds: _, resumedFrom: _from, alreadyImported: _already, ...result } = report
  return result
}

export function isAborted(error: unknown): boolean {
  return isStoreError(error, 'ABORTED')
}
