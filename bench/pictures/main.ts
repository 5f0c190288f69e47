/** Takes the pictures of the command line that README.md shows: of real output, beside a real load. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { toNumber } from '#sutra/cli/arguments.js'
import { drawTerminal } from './svg.ts'
import { TerminalRun, type TerminalSize } from './terminal.ts'

interface Picture {
  name: string
  args: readonly string[]
  size: TerminalSize
  /** Whether there is enough to see. */
  isReady: (lines: string[], seconds: number) => boolean
}

const values = new Command('npm run pictures --')
  .description('Take the pictures of the command line, of real output.')
  .option('--to <directory>', 'for the pictures', 'docs/pictures')
  .option('--seconds <count>', 'how long to wait before a picture is taken', toNumber, 60)
  .parse()
  .opts<{ to: string; seconds: number }>()
/** What a picture of events should have some of. */
const KINDS = ['-learned', '-created', '-reinforced', '-forgotten']
const isFull = (lines: string[]): boolean => lines.slice(0, -1).every((line) => line !== '')

const PICTURES: readonly Picture[] = [
  {
    name: 'stats-watch',
    args: ['stats', '--watch', '--dir', 'knowledge'],
    size: { columns: 100, rows: 30 },
    isReady: (_, seconds) => seconds >= values.seconds
  },
  {
    name: 'events-follow',
    args: ['events', '--follow', '--dir', 'knowledge', '--last', '3'],
    size: { columns: 100, rows: 14 },
    isReady: (lines) => isFull(lines) && KINDS.every((kind) => lines.join().includes(kind))
  }
]
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const LOAD = fileURLToPath(new URL('load.mjs', import.meta.url))

const home = await mkdtemp(join(tmpdir(), 'sutra-pictures-'))
try {
  await mkdir(values.to, { recursive: true })
  const load = spawn(process.execPath, [LOAD, join(home, 'knowledge')], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  await once(load.stdout, 'data')
  for (const picture of PICTURES) {
    const path = join(values.to, `${picture.name}.svg`)
    await writeFile(path, await take(picture))
    console.log(`drawn: ${path}`)
  }
  load.stdin.end()
  await once(load, 'close')
} finally {
  await rm(home, { recursive: true, force: true })
}

async function take({ args, size, isReady }: Picture): Promise<string> {
  // From within, so that the picture shows a short name and none of this machine.
  const command = ['sh', '-c', `cd ${home} && exec ${process.execPath} ${MAIN} ${args.join(' ')}`]
  const run = new TerminalRun(command, size)
  const started = performance.now()
  try {
    await run.until((lines) => isReady(lines, (performance.now() - started) / 1000))
    return drawTerminal(await run.cells(), `sutra ${args.join(' ')}`)
  } finally {
    await run.kill()
  }
}
