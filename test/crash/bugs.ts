/** Bugs that somebody could write, as changes of what tsc leaves. */
export interface Bug {
  name: string
  /** Below `build/`. */
  file: string
  /** Matches once. */
  from: RegExp
  to: string
  /** The test file that must fail, and which of its tests. */
  harness: string
  only?: string
  env?: NodeJS.ProcessEnv
  /** Caught within seconds: planted in every run. */
  quick?: true
}

const STATES = { SUTRA_STATES: '300', SUTRA_TEST_SEED: '1' }

export const BUGS: readonly Bug[] = [
  {
    name: 'acknowledging before fsync',
    file: 'log/level-log.js',
    from: /\{ sync: options\.durable \}/,
    to: '{ sync: false }',
    harness: 'test/faults/durability.test.ts',
    quick: true
  },
  {
    name: 'acknowledging before fsync, seen by crash states',
    file: 'log/level-log.js',
    from: /\{ sync: options\.durable \}/,
    to: '{ sync: false }',
    harness: 'test/crash/states.test.ts',
    only: 'without vectors',
    env: STATES
  },
  {
    name: 'a sync that leaves out the log files rotated away from',
    file: 'log/level-log.js',
    from: /await this\.#syncRotated\(\);/,
    to: '',
    harness: 'test/faults/durability.test.ts',
    quick: true
  },
  {
    name: 'no checksum of a frame',
    file: 'log/frame.js',
    from: /if \(frameChecksum\(([^)]*)\) !== checksum\)/,
    to: 'if (false)',
    harness: 'test/damage/log.test.ts',
    quick: true
  },
  {
    name: 'no poison after a failed write',
    file: 'log/level-log.js',
    from: /this\.#poison \?\?= error;/,
    to: '',
    harness: 'test/faults/log-writes.test.ts',
    only: 'commits that are not durable',
    quick: true
  },
  {
    name: 'HEAD written before the frame',
    file: 'log/level-log.js',
    from: /await this\.#level\.put\(frame\.key/,
    to: 'if (options.durable) this.#headFile.write({ position: last, checksum: frame.checksum });\n$&',
    harness: 'test/crash/states.test.ts',
    only: 'without vectors',
    env: STATES
  },
  {
    name: 'the chain not compared',
    file: 'log/frame.js',
    from: /return frame\.previous === before\.checksum \|\|/,
    to: 'return true ||',
    harness: 'test/damage/log.test.ts'
  },
  {
    name: 'a torn tail dropped below HEAD',
    file: 'log/level-log.js',
    from: /error\.details\.from <= promised/,
    to: 'false',
    harness: 'test/damage/log.test.ts'
  },
  {
    name: 'a checkpoint written before its rows',
    file: 'projections/tables/row-batch.js',
    from: /\n {4}put\(key, payload\) \{/,
    to: "$&\n        if (key.toString('latin1').endsWith('checkpoint')) void this.#level.put(key, sealRow(key, payload), { sync: false });",
    harness: 'test/crash/states.test.ts',
    only: 'without vectors',
    env: STATES
  },
  {
    name: 'no checksum of a row',
    file: 'projections/tables/rows.js',
    from: /if \(value\.readUInt32LE\(end\) !== crc32\(payload, crc32\(key\)\)\)/,
    to: 'if (false)',
    harness: 'test/damage/tables.test.ts'
  },
  {
    name: 'a missing batch of the tables not noticed',
    file: 'projections/tables/generation.js',
    from: /if \(isNext && /,
    to: 'if (true || ',
    harness: 'test/damage/tables.test.ts'
  },
  {
    name: 'OWNER not taken',
    file: 'storage/owner.js',
    from: /await takeOver\(path, temporary\);/,
    to: '',
    harness: 'test/storage/owner.test.ts'
  },
  {
    name: 'the overlay trimmed too early',
    file: 'projections/overlay.js',
    from: /current\.events > 0 && current\.last <= checkpoint/,
    to: 'current.events > 0 && current.first <= checkpoint',
    harness: 'test/model/store.model.test.ts',
    only: 'does what the model does',
    // It takes two lives, for which the usual seconds are too few on a busy machine.
    env: { SUTRA_TEST_SEED: '1', SUTRA_MODEL_SECONDS: '30' }
  },
  {
    name: 'projections ahead of the durable head',
    file: 'pipeline/durable-limit.js',
    from: /Math\.min\(this\.#source\.head\(\), this\.#source\.durableHead\(\)\)/,
    to: 'this.#source.head()',
    harness: 'test/invariants/projections.test.ts'
  },
  {
    name: 'a file replaced without syncing what is in it',
    file: 'storage/files.js',
    from: /(await handle\.writeFile\(content\);\s*)await handle\.sync\(\);/,
    to: '$1',
    harness: 'test/crash/states.test.ts',
    only: 'without vectors',
    env: STATES
  },
  {
    name: 'no checksum of the blocks of an index',
    file: 'projections/vectors/index-files.js',
    from: /if \(bad !== -1\)/,
    to: 'if (false)',
    harness: 'test/damage/vectors.test.ts'
  }
]
