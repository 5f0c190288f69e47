import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { open, type Store } from 'sutra-storage'
import { milliseconds, number, type Screen } from './screen.ts'

const KILL_AFTER_MS = 1500
const PATIENCE_MS = 30_000
const READ_BATCH = 500

/** Kills a writing process with SIGKILL and compares what it was promised with what is there. */
export async function showCrash(screen: Screen, directory: string): Promise<void> {
  screen.heading('Killing a process in the middle of writing')
  const crashed = join(directory, 'crash')
  const acknowledged = await writeUntilKilled(crashed)
  screen.fact('killed by SIGKILL', `after ${number(acknowledged.length)} acknowledged commits`)

  const started = performance.now()
  await using store = await open(crashed)
  screen.fact('reopened in', milliseconds(performance.now() - started))
  const whole = await countWhole(store, acknowledged)
  const { concepts, associations } = await store.counts()
  const surplus = associations - whole
  screen.fact('never acknowledged', `${number(surplus)} commits on disk whose receipt was cut off`)
  screen.check(
    `${number(whole)} of ${number(acknowledged.length)} acknowledged commits are there, whole`,
    acknowledged.length > 0 && whole === acknowledged.length
  )
  screen.check(
    `no half commit: ${number(concepts)} concepts, ${number(associations)} associations`,
    concepts === 2 * associations
  )
  const { ok, frames } = await store.verify()
  screen.check(`the log is whole: ${number(frames)} frames, their checksums and chain`, ok)
}

/** @returns Names of the commits that the child had acknowledged before it died. */
async function writeUntilKilled(directory: string): Promise<string[]> {
  const script = fileURLToPath(new URL('crash-child.ts', import.meta.url))
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), script, directory],
    { stdio: ['ignore', 'pipe', 'pipe'] }
  )
  let output = ''
  let complaints = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    // The clock starts at the first receipt, so that the kill falls into the writing.
    if (output === '') setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  await once(child, 'close')
  clearTimeout(patience)
  if (child.signalCode !== 'SIGKILL' || output === '') {
    throw new Error(`The process to be killed ended by itself: ${firstError(complaints)}`)
  }
  // What stands behind the last line end is a receipt that was cut off.
  return output.split('\n').slice(0, -1)
}

async function countWhole(store: Store, names: readonly string[]): Promise<number> {
  let whole = 0
  for (let at = 0; at < names.length; at += READ_BATCH) {
    const batch = names.slice(at, at + READ_BATCH)
    const ends = batch.flatMap((name) => [{ key: `${name}-a` }, { key: `${name}-b` }])
    const concepts = await store.getMany(ends)
    for (const [i, name] of batch.entries()) {
      const [source, target] = [{ key: `${name}-a` }, { key: `${name}-b` }]
      const association = await store.association({ source, target, type: 'belongs-to' })
      const contents = [concepts[2 * i]?.content, concepts[2 * i + 1]?.content]
      const right =
        contents[0] === `First half of ${name}` && contents[1] === `Second half of ${name}`
      if (right && association !== undefined) whole++
    }
  }
  return whole
}

function firstError(complaints: string): string {
  return complaints.split('\n').find((line) => /error/i.test(line)) ?? 'without a message'
}
