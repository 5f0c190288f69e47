/** House rules, in place of one more tool. Each says why it is one. */
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, test } from 'vitest'

interface Source {
  /** Relative to `src/`, with forward slashes. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

interface Import {
  readonly specifier: string
  /** Vanishes when compiled: the two files need each other's words, not each other's code. */
  readonly isType: boolean
  /** Waits until somebody asks for it. */
  readonly isLater: boolean
}

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'))
  .sort()
  .map((path): Source => {
    const text = readFileSync(`src/${path}`, 'utf8')
    return { path, text, imports: importsOf(text) }
  })

describe('packages', () => {
  // Where a package has one importer, replacing it means editing one file.
  const IMPORTERS: Readonly<Record<string, readonly string[]>> = {
    '@node-rs/crc32': ['storage/crc32c.ts'],
    'ansi-escapes': ['cli/watch/screen.ts'],
    '@opentelemetry/api': ['telemetry/'],
    'apache-arrow': ['import/arrow.ts', 'export/arrow.ts'],
    'classic-level': ['storage/level.ts'],
    'cli-progress': ['cli/progress.ts'],
    commander: ['cli/'],
    // Whole files of zstd, and what the formats of columns pack with it inside.
    fzstd: ['import/zstd.ts', 'import/parquet.ts', 'import/arrow.ts'],
    'hdr-histogram-js': ['telemetry/latency-samples.ts'],
    hyparquet: ['import/parquet.ts', 'import/parquet-decimals.ts', 'export/parquet.ts'],
    'hyparquet-writer': ['export/parquet.ts'],
    msgpackr: ['storage/codec.ts'],
    // What runs of it; elsewhere its types alone.
    rxjs: ['rxjs.ts', 'pipeline/', 'telemetry/', 'store.ts', 'types.ts'],
    usearch: ['projections/vectors/vector-index.ts'],
    'xxhash-wasm': ['import/zstd.ts']
  }

  test('each package is imported where it is expected and nowhere else', () => {
    const strays = packageImports().filter(
      ({ path, name }) => !(IMPORTERS[name] ?? []).some((owner) => isWithin(path, owner))
    )

    expect(strays).toEqual([])
  })

  test('each dependency is imported somewhere', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
      dependencies: Record<string, string>
      peerDependencies: Record<string, string>
    }
    const declared = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })

    const used = new Set(packageImports().map(({ name }) => name))

    expect([...used].sort()).toEqual(declared.sort())
    expect(Object.keys(IMPORTERS).sort()).toEqual(declared.sort())
  })

  test('what a program may do without is loaded only once it is used', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
      peerDependencies: Record<string, string>
      peerDependenciesMeta: Record<string, { optional: boolean }>
    }
    const peers = Object.keys(manifest.peerDependencies)

    const eager = sources.filter(({ imports }) =>
      imports.some((one) => peers.includes(one.specifier) && !one.isType && !one.isLater)
    )

    expect(eager.map(({ path }) => path)).toEqual([])
    expect(peers.every((name) => manifest.peerDependenciesMeta[name]?.optional)).toBe(true)
  })

  test('what takes long to load as a whole is loaded in parts', () => {
    const whole = sources.filter(({ imports }) =>
      imports.some(
        ({ specifier, isType }) => ['rxjs', 'hdr-histogram-js'].includes(specifier) && !isType
      )
    )

    expect(whole.map(({ path }) => path)).toEqual([])
  })

  test('usearch is loaded only once vectors are used', () => {
    const eager = sources.filter(({ imports }) =>
      imports.some((one) => one.specifier === 'usearch' && !one.isType && !one.isLater)
    )

    // `await import('usearch')` alone remains: where it has no binary, the rest of the store works.
    expect(eager.map(({ path }) => path)).toEqual([])
  })
})

describe('import directions', () => {
  /**
   * What each part may import, from the floor up. A part only ever names parts that stand above
   * it in this list, so there is no circle, and the list reads as the order to learn them in.
   */
  const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
    'assert.ts': [],
    'errors.ts': [],
    'ids.ts': ['errors.ts'],
    'turn.ts': [],
    'keep-alive.ts': [],
    'on-abort.ts': [],
    'rxjs.ts': [],
    'optional-package.ts': ['errors.ts'],
    telemetry: ['assert.ts', 'errors.ts', 'rxjs.ts', 'optional-package.ts'],
    'options.ts': ['errors.ts', 'telemetry'],
    'event-types.ts': ['ids.ts'],
    'projection-types.ts': ['ids.ts', 'event-types.ts'],
    'subscription-types.ts': ['ids.ts', 'event-types.ts', 'telemetry'],
    'types.ts': [
      'ids.ts',
      'options.ts',
      'telemetry',
      'event-types.ts',
      'projection-types.ts',
      'subscription-types.ts'
    ],
    storage: ['assert.ts', 'errors.ts', 'turn.ts'],
    checks: ['errors.ts', 'ids.ts', 'on-abort.ts', 'options.ts', 'types.ts', 'storage'],
    log: [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'turn.ts',
      'on-abort.ts',
      'types.ts',
      'storage',
      'checks'
    ],
    projections: [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'options.ts',
      'telemetry',
      'turn.ts',
      'keep-alive.ts',
      'on-abort.ts',
      'types.ts',
      'storage',
      'log'
    ],
    pipeline: [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'rxjs.ts',
      'options.ts',
      'telemetry',
      'turn.ts',
      'keep-alive.ts',
      'on-abort.ts',
      'types.ts',
      'storage',
      'log',
      'projections'
    ],
    append: [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'options.ts',
      'turn.ts',
      'on-abort.ts',
      'types.ts',
      'storage',
      'checks',
      'log',
      'projections'
    ],
    query: [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'options.ts',
      'telemetry',
      'turn.ts',
      'types.ts',
      'storage',
      'checks',
      'log',
      'projections'
    ],
    'rdf.ts': [],
    import: [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'options.ts',
      'turn.ts',
      'on-abort.ts',
      'types.ts',
      'rdf.ts',
      'storage',
      'optional-package.ts'
    ],
    'telemetry-store': [
      'errors.ts',
      'ids.ts',
      'on-abort.ts',
      'options.ts',
      'telemetry',
      'types.ts',
      'storage',
      'query'
    ],
    export: [
      'errors.ts',
      'ids.ts',
      'options.ts',
      'types.ts',
      'optional-package.ts',
      'rdf.ts',
      'storage',
      'checks',
      'projections',
      'query'
    ],
    store: [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'rxjs.ts',
      'options.ts',
      'telemetry',
      'turn.ts',
      'types.ts',
      'storage',
      'checks',
      'log',
      'projections',
      'pipeline',
      'append',
      'query',
      'telemetry-store',
      'export'
    ],
    // Other processes look on through the same methods that the caller has: it needs no more than types.
    attach: ['errors.ts', 'telemetry', 'turn.ts', 'on-abort.ts', 'types.ts', 'storage'],
    'store.ts': [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'rxjs.ts',
      'options.ts',
      'telemetry',
      'types.ts',
      'projections',
      'append',
      'query',
      'import',
      'store',
      'telemetry-store'
    ],
    'open.ts': [
      'errors.ts',
      'options.ts',
      'telemetry',
      'types.ts',
      'projections',
      'query',
      'store',
      'telemetry-store',
      'attach',
      'store.ts'
    ],
    'index.ts': [
      'assert.ts',
      'errors.ts',
      'ids.ts',
      'options.ts',
      'telemetry',
      'event-types.ts',
      'types.ts',
      'open.ts'
    ],
    cli: ['index.ts']
  }

  /** Narrower than the folder: all that may be imported of it, and whether as types alone. */
  const ONLY: readonly { from: string; to: string; files: readonly string[]; types: boolean }[] = [
    // The stages in front of the projections know what one is, not which ones there are.
    { from: 'pipeline', to: 'projections', files: ['projections/projection.ts'], types: true },
    // Reading is on the main thread and in worker threads; only workers and the log touch LevelDB.
    // The writer beside the codec writes cursors: one for each association that is told.
    {
      from: 'query',
      to: 'storage',
      files: ['storage/codec.ts', 'storage/message-writer.ts'],
      types: false
    },
    { from: 'append', to: 'storage', files: ['storage/codec.ts'], types: false },
    // A subscription keeps how far it has come in a small file of its own.
    {
      from: 'pipeline',
      to: 'storage',
      files: ['storage/codec.ts', 'storage/files.ts', 'storage/slot-file.ts'],
      types: false
    },
    // Kept telemetry lies in stores, which are opened as anybody would: it is given how.
    {
      from: 'telemetry-store',
      to: 'storage',
      files: ['storage/codec.ts', 'storage/files.ts', 'storage/owner.ts', 'storage/slot-file.ts'],
      types: false
    },
    { from: 'telemetry-store', to: 'query', files: ['query/read-options.ts'], types: false },
    // What else may lie in the directory of a store.
    {
      from: 'store',
      to: 'telemetry-store',
      files: ['telemetry-store/layout.ts', 'telemetry-store/recorder.ts'],
      types: false
    },
    { from: 'checks', to: 'storage', files: ['storage/codec.ts'], types: false },
    // Files of columns are read and written in threads of their own.
    { from: 'import', to: 'storage', files: ['storage/worker-link.ts'], types: false },
    { from: 'export', to: 'storage', files: ['storage/worker-link.ts'], types: false },
    // An export walks over states in blocks: ten million concepts one by one would take a promise each.
    {
      from: 'export',
      to: 'query',
      files: ['query/scan.ts', 'query/pace.ts', 'query/counts.ts', 'query/stored-vectors.ts'],
      types: false
    },
    {
      from: 'export',
      to: 'projections',
      files: ['projections/pinned.ts', 'projections/state.ts', 'projections/bit-set.ts'],
      types: false
    },
    { from: 'export', to: 'checks', files: ['checks/metadata.ts'], types: false },
    // Frames of the socket are MessagePack; ATTACH is replaced as a whole.
    {
      from: 'attach',
      to: 'storage',
      files: ['storage/codec.ts', 'storage/files.ts'],
      types: false
    },
    // What it is asked for must be something that there is.
    {
      from: 'attach',
      to: 'telemetry',
      files: ['telemetry/types.ts', 'telemetry/kinds.ts'],
      types: false
    },
    // A query meets events as the shapes that the tables keep of them.
    { from: 'query', to: 'log', files: ['log/event.ts'], types: true },
    { from: 'types.ts', to: 'telemetry', files: ['telemetry/types.ts'], types: true }
  ]

  test('the allowed directions have no circle', () => {
    const parts = Object.keys(MAY_IMPORT)

    const upwards = parts.flatMap((part, at) =>
      (MAY_IMPORT[part] ?? [])
        .filter((other) => !parts.slice(0, at).includes(other))
        .map((other) => `${part} -> ${other}`)
    )

    expect(upwards).toEqual([])
  })

  test('no part imports what stands above it', () => {
    const strays = localImports().filter(({ path, target }) => {
      const [from, to] = [partOf(path), partOf(target)]
      return from !== to && MAY_IMPORT[from]?.includes(to) !== true
    })

    expect(strays.map(({ path, target }) => `${path} -> ${target}`)).toEqual([])
  })

  test('where only a part of a part may be imported, the rest is left alone', () => {
    const strays = localImports().filter(({ path, target, isType }) =>
      ONLY.some(
        ({ from, to, files, types }) =>
          from === partOf(path) &&
          to === partOf(target) &&
          (!files.includes(target) || (types && !isType))
      )
    )

    expect(strays.map(({ path, target }) => `${path} -> ${target}`)).toEqual([])
  })

  test('what is allowed is needed, so that the list stays the truth', () => {
    const used = new Set(
      localImports().map(({ path, target }) => `${partOf(path)} -> ${partOf(target)}`)
    )
    const basic = ['assert.ts', 'errors.ts', 'ids.ts', 'options.ts', 'types.ts', 'telemetry']

    const idle = Object.entries(MAY_IMPORT).flatMap(([part, others]) =>
      others
        .filter((other) => !basic.includes(other) && !used.has(`${part} -> ${other}`))
        .map((other) => `${part} -> ${other}`)
    )

    expect(idle).toEqual([])
  })
})

describe('what keeps no process alive', () => {
  /**
   * Timers, threads and sockets that the process does not live for, and why nobody waits in vain for
   * them: a program that has nothing else to do would end, in the middle, with code 13. Where callers
   * wait for such a thing, `keepAlive` or a wake holds the process; see test/vectors/lone-waiter.mjs.
   */
  const UNREFERENCED: Readonly<Record<string, string>> = {
    'attach/server.ts': 'listens for others: what they ask is work of its own',
    'attach/session.ts': 'hangs up on another process that is late',
    'pipeline/subscriptions/keeper.ts': 'writes what `keep` and `close` write at once',
    'pipeline/timers.ts': 'a batch that somebody waits for is due at once, and whoever waits lives',
    'projections/tables/pool.ts': 'puts idle sessions to sleep',
    'projections/tables/session.ts': 'rests of a thread, which lives as long as its port',
    'projections/vectors/graph-saver.ts': 'saves of graphs: `save` does that itself',
    'projections/vectors/index-merger.ts': 'woken when there is anything that somebody waits for',
    'projections/vectors/retry.ts': 'writers that wait for room keep the process alive',
    'storage/worker-link.ts': 'a question under way is waited for',
    'store/scrub.ts': 'nobody asked for it; `stop` wakes it',
    'store/watch.ts': 'tells telemetry how it goes',
    'telemetry-store/recorder.ts': 'writes what `close` writes at once',
    'telemetry/latency.ts': 'says which slot of the window it is'
  }

  test('is known, each with the reason why nobody waits for it in vain', () => {
    const found = sources.filter(({ text }) => /\.unref\(|\bref: false/.test(text))

    expect(found.map(({ path }) => path)).toEqual(Object.keys(UNREFERENCED))
  })
})

describe('files', () => {
  /** Longer than a reader likes, each for a reason. */
  const LONG: Readonly<Record<string, string>> = {
    'append/resolve.ts': 'one command, one function; split, no reader would find the other half',
    'options.ts': 'every option with its default and its bounds on one page',
    'telemetry/events.ts':
      'every kind of telemetry with its fields on one page, which docs/telemetry.md is made from',
    'query/reader.ts': 'one method for each method of the public `Reader`, nothing else',
    'types.ts': 'the public API on one page'
  }
  const LINES_MAX = 400

  test('no file is longer than 400 lines without a reason', () => {
    const long = sources.filter(({ text }) => text.split('\n').length - 1 > LINES_MAX)

    expect(long.map(({ path }) => path).filter((path) => LONG[path] === undefined)).toEqual([])
  })

  test('nothing is printed outside of the command line', () => {
    const printing = sources.filter(
      ({ path, text }) => !path.startsWith('cli/') && /\bconsole\.|process\.std(out|err)/.test(text)
    )

    expect(printing.map(({ path }) => path)).toEqual([])
  })

  test('nothing is left to be done later', () => {
    const unfinished = sources.filter(({ text }) => /\b(TODO|FIXME|XXX|HACK)\b/.test(text))

    expect(unfinished.map(({ path }) => path)).toEqual([])
  })

  test('no check of the compiler or the linters is silenced without a reason', () => {
    const careless = sources.filter(
      ({ text }) =>
        /@ts-(ignore|nocheck|expect-error)|eslint-disable/.test(text) ||
        /biome-ignore(?!(-all)? [\w/]+: \w)/.test(text)
    )

    expect(careless.map(({ path }) => path)).toEqual([])
  })
})

test('the native string decoder of msgpackr stays off, and the environment as it was', async () => {
  const before = process.env['MSGPACKR_NATIVE_ACCELERATION_DISABLED']
  await import('#sutra/storage/codec.js')

  // A formatter that sorts the two imports of codec.ts turns it on again without a word.
  const { isNativeAccelerationEnabled } = await import('msgpackr')

  expect(isNativeAccelerationEnabled).toBe(false)
  expect(process.env['MSGPACKR_NATIVE_ACCELERATION_DISABLED']).toBe(before)
})

function importsOf(text: string): Import[] {
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s)?(?:[^'"]*?\sfrom\s+)?'([^']+)'|\b(typeof )?import\('([^']+)'\)/gm
  )
  // What is imported later, when it is asked for, is imported all the same.
  return Array.from(statements, ([, type, specifier, inType, later]) => ({
    specifier: specifier ?? later ?? '',
    isType: type !== undefined || inType !== undefined,
    isLater: later !== undefined
  }))
}

function packageImports(): { path: string; name: string }[] {
  return sources.flatMap(({ path, imports }) =>
    imports
      .map(({ specifier }) => specifier)
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
      .map((name) => ({ path, name: packageOf(name) }))
  )
}

/** Without the path within it. */
function packageOf(specifier: string): string {
  const [first = '', second = ''] = specifier.split('/')
  return first.startsWith('@') ? `${first}/${second}` : first
}

function localImports(): { path: string; target: string; isType: boolean }[] {
  return sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier, isType }) => ({
        path,
        target: posix.normalize(posix.join(posix.dirname(path), specifier)),
        isType
      }))
  )
}

/** The folder, or the file itself for those that stand beside the folders. */
function partOf(path: string): string {
  return path.split('/')[0] ?? path
}

function isWithin(path: string, owner: string): boolean {
  return owner.endsWith('/') ? path.startsWith(owner) : path === owner
}
