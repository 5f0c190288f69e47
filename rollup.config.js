/**
 * Puts the modules that every program loads into a few files: `build/`, as tsc leaves it, becomes
 * `dist/`. A file costs a process four turns through its thread pool before it runs, and there
 * are some 230 of them. What is loaded later stays a file by itself.
 *
 * Each module keeps its path in `dist/` and exports what it did, out of the file that it is in now. So
 * tests and bundled code meet the same classes, whichever way they come.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

const FROM = resolve('build')
/** Whoever starts here loads all that it imports. Modules go together that the same ones load. */
const ROOTS = {
  library: 'index.js',
  tables: 'projections/tables/worker.js',
  vectors: 'projections/vectors/pool-worker.js'
}
/** Has to run before a package is loaded, and a file loads its packages first. */
const FIRST = join(FROM, 'storage/plain-msgpackr.js')

const files = readdirSync(FROM, { recursive: true, encoding: 'utf8' })
const scripts = files.filter((name) => name.endsWith('.js'))

export default {
  input: Object.fromEntries(
    scripts.map((name) => [name.slice(0, -'.js'.length), join(FROM, name)])
  ),
  external: (id) => !isOurs(id),
  plugins: [declarations(), placesOfModules()],
  treeshake: false,
  onwarn(warning) {
    // The helpers that tsc writes for `using` ask for `this` at the top of a module.
    if (warning.code !== 'THIS_IS_UNDEFINED') throw new Error(warning.message)
  },
  output: {
    dir: 'dist',
    format: 'es',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    hoistTransitiveImports: false,
    minifyInternalExports: false,
    manualChunks: chunks()
  }
}

function isOurs(id) {
  return id.startsWith('.') || id.startsWith(FROM + sep)
}

function chunks() {
  const rootsOf = new Map()
  return (id, { getModuleInfo }) => {
    if (rootsOf.size === 0) {
      for (const [root, file] of Object.entries(ROOTS)) {
        const path = join(FROM, file)
        for (const module of loadedBy(path, getModuleInfo)) {
          rootsOf.set(module, [...(rootsOf.get(module) ?? []), root])
        }
        // What takes messages as soon as it is loaded: nobody who needs a neighbour may set it off.
        rootsOf.delete(path)
      }
      rootsOf.set(FIRST, ['first'])
    }
    return rootsOf.get(id)?.join('-')
  }
}

function loadedBy(root, getModuleInfo) {
  const modules = new Set([root])
  // A set also goes through what is added on the way.
  for (const module of modules) {
    for (const id of getModuleInfo(module).importedIds) if (isOurs(id)) modules.add(id)
  }
  return modules
}

/** The types of each module, as they are. */
function declarations() {
  return {
    name: 'declarations',
    generateBundle() {
      for (const fileName of files.filter((name) => name.endsWith('.d.ts'))) {
        this.emitFile({ type: 'asset', fileName, source: readFileSync(join(FROM, fileName)) })
      }
    }
  }
}

/** A module finds the scripts of its workers from where it was, not from the file it is in now. */
function placesOfModules() {
  return {
    name: 'places-of-modules',
    resolveImportMeta(property, { chunkId, moduleId }) {
      const place = relative(FROM, moduleId)
      if (property !== 'url' || dirname(place) === dirname(chunkId)) return null
      const path = relative(dirname(chunkId), place).split(sep).join('/')
      return `new URL('${path}', import.meta.url).href`
    }
  }
}
