import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { addBackup } from './commands/backup.ts'
import { addEvents } from './commands/events.ts'
import { addExport } from './commands/export.ts'
import { addGet } from './commands/get.ts'
import { addImport } from './commands/import.ts'
import { addMetrics } from './commands/metrics.ts'
import { addMigrate } from './commands/migrate.ts'
import { addNeighbors } from './commands/neighbors.ts'
import { addPath } from './commands/path.ts'
import { addRebuild } from './commands/rebuild.ts'
import { addRepair } from './commands/repair.ts'
import { addRestore } from './commands/restore.ts'
import { addSearch } from './commands/search.ts'
import { addStats } from './commands/stats.ts'
import { addTelemetry } from './commands/telemetry.ts'
import { addVectors } from './commands/vectors.ts'
import { addVerify } from './commands/verify.ts'
import { Session } from './session.ts'

const COMMANDS = [
  addImport,
  addExport,
  addGet,
  addNeighbors,
  addPath,
  addSearch,
  addEvents,
  addStats,
  addMetrics,
  addTelemetry,
  addVectors,
  addVerify,
  addRepair,
  addRebuild,
  addMigrate,
  addBackup,
  addRestore
]

/** Runs one command line to its end, store closed and output written. Returns the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const session = new Session()
  try {
    await buildProgram(session).parseAsync(argv)
    await session.printer.flush()
    return session.exitCode
  } catch (error) {
    // Commander has printed what there is to say: help that was asked for, or what is wrong.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return session.report(error)
  } finally {
    session.end()
  }
}

function buildProgram(session: Session): Command {
  const program = new Command('sutra')
    .description('An embedded, event-sourced knowledge-graph and vector store')
    .version(packageVersion())
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'sutra: '))
    })
  for (const add of COMMANDS) add(program, session)
  return program
}

function packageVersion(): string {
  const file = new URL('../../package.json', import.meta.url)
  // Our own package.json, which the package manager has read before.
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}
