/**
 * `npm run test:crash`: the long form of every harness. Each size can be set by its variable;
 * those that are not get what the README's table of guarantees rests on. Takes an hour or two.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const SIZES: Readonly<Record<string, string>> = {
  // Kills while writing, and a hundred in the middle of long work: four kinds of it.
  SUTRA_KILLS: '400',
  SUTRA_WORK_KILLS: '25',
  SUTRA_IMPORT_KILLS: '25',
  SUTRA_SUBSCRIPTION_KILLS: '60',
  SUTRA_SUBSCRIPTION_RUNS: '60',
  SUTRA_PROJECTION_KILLS: '20',
  SUTRA_TELEMETRY_KILLS: '10',
  SUTRA_MIGRATION_KILLS: '16',
  SUTRA_MODEL_ROUNDS: '40',
  // Of a backup and a restore.
  SUTRA_TEST_KILLS: '40',
  SUTRA_TEST_FAULTS: '24',
  // Of each of seven plans, on each file system that can be made here.
  SUTRA_CUTS: '72',
  SUTRA_STATES: '4000',
  SUTRA_DAMAGE: 'all',
  SUTRA_FAULTS: 'all',
  // A life is about a hundred operations.
  SUTRA_MODEL_RUNS: '1000',
  SUTRA_SEARCH_RUNS: '60',
  SUTRA_FUZZ: '1000000',
  SUTRA_SAME: '50',
  SUTRA_PLANTED: 'all'
}
const FILES = [
  ...['crash', 'faults', 'damage', 'fuzz', 'model', 'backup'].map((folder) => `test/${folder}`),
  'test/pipeline/subscriptions.model.test.ts',
  'test/telemetry-store/kill.test.ts',
  'test/migrations/migrate.test.ts',
  'test/projections/custom.model.test.ts',
  'test/vectors/search.property.test.ts'
]

for (const [name, value] of Object.entries(SIZES)) process.env[name] ??= value
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
const chosen = process.argv.slice(2)
const args = [vitest, 'run', '--typecheck.enabled=false', ...(chosen.length > 0 ? chosen : FILES)]
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
process.exitCode = status ?? 1
