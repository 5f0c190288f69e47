import type { Progress, Store } from 'sutra-storage'
import { type Bar, megabytes, milliseconds, number, type Screen } from './screen.ts'
import { timed } from './timed.ts'

/** Makes everything derived again from the log alone, and compares. */
export async function showRebuild(screen: Screen, store: Store): Promise<void> {
  screen.heading('Rebuilding tables and vectors from the log alone')
  const before = await timed(() => store.stateHash())
  screen.fact('state hash before', shortHash(before.value, before.ms))

  const rebuilt = await timed(() => rebuildWithBars(screen, store))
  screen.fact('rebuilt', `${number(store.head)} events in ${milliseconds(rebuilt.ms)}`)

  const after = await timed(() => store.stateHash())
  screen.fact('state hash after', shortHash(after.value, after.ms))
  screen.check('the rebuilt state is the same', before.value === after.value)
}

/** One bar for each phase that the store tells of. */
async function rebuildWithBars(screen: Screen, store: Store): Promise<void> {
  let bar: Bar | undefined
  let current = ''
  const onProgress = ({ phase, done, total = store.head }: Progress): void => {
    if (phase !== current) {
      bar?.stop()
      current = phase
      bar = screen.bar(`rebuilding ${phase}`, total)
    }
    bar?.update(done)
  }
  try {
    await store.rebuild({ onProgress })
  } finally {
    bar?.stop()
  }
}

export async function showDisk(screen: Screen, store: Store): Promise<void> {
  screen.heading('What it takes on disk')
  await store.checkpoint()
  const { concepts } = await store.counts()
  const { logBytes, tablesBytes, vectorsBytes } = store.stats().disk
  const row = (name: string, bytes: number): string[] => [
    name,
    megabytes(bytes),
    number(bytes / concepts)
  ]
  screen.table([
    ['part', 'size', 'bytes a concept'],
    row('log (the original)', logBytes),
    row('tables (derived)', tablesBytes),
    row('vectors (derived)', vectorsBytes),
    row('together', logBytes + tablesBytes + vectorsBytes)
  ])
}

function shortHash(hash: string, ms: number): string {
  return `${hash.slice(0, 40)} (${milliseconds(ms)})`
}
