/**
 * A worker of the pool. It holds nothing that cannot be made again: files and graphs are opened when
 * they are first needed, and a graph that grows here goes on from where it was saved last.
 */
import { workerData } from 'node:worker_threads'
import { endWorker, runInBackground, serve } from '../../storage/worker-link.ts'
import { Builder, check, flush, merge, seal, sealGraph } from './build-tasks.ts'
import { IndexDamage } from './index-files.ts'
import type { Notice, Task, Tasks } from './protocol.ts'
import { among, OpenSets, search, vectors } from './read-tasks.ts'
import { GraphFactory, type GraphShape, preload } from './vector-index.ts'

/** An answer, or what is wrong with the files: classes do not survive the way between threads. */
export type Outcome = { reply: Tasks[keyof Tasks]['reply'] } | { damage: string }

export interface PoolWorkerData {
  niceness: number
  /** It will be asked for a graph: the engine is loaded before that. */
  isReader: boolean
}

// Only the pool starts this module.
const { niceness, isReader } = workerData as PoolWorkerData
runInBackground(niceness)
if (isReader) preload()

const sets = new OpenSets()
const builder = new Builder(sets)
const factories = new Map<string, GraphFactory>()

serve(
  async (body): Promise<Outcome | undefined> => {
    if (body === 'end') {
      endWorker()
      return undefined
    }
    try {
      // What the main thread sends has the shape of its own type.
      return { reply: await perform(body as Task) }
    } catch (error) {
      if (error instanceof IndexDamage) return { damage: error.message }
      throw error
    }
  },
  (told) => {
    const notice = told as Notice
    sets.take(notice)
    if (notice.do === 'forget') builder.forget(notice.segments)
  }
)

async function perform(task: Task): Promise<Tasks[keyof Tasks]['reply']> {
  switch (task.do) {
    case 'hello':
      await factoryFor(task.ask.shape)
      return undefined
    case 'view':
      sets.graph(task.ask.graph, await factoryFor(task.ask.shape))
      return undefined
    case 'search':
      return search(sets, await factoryFor(sets.get(task.ask.set).shape), task.ask)
    case 'among':
      return among(sets, task.ask)
    case 'vectors':
      return vectors(sets, task.ask)
    case 'ingest': {
      // It brings LevelDB and the log along, which readers start faster without.
      const { ingest } = await import('./ingest-task.ts')
      return ingest(task.ask)
    }
    case 'compare': {
      const { compare } = await import('./compare-task.ts')
      return compare(sets.get(task.ask.set), task.ask)
    }
    case 'flush':
      await flush(task.ask)
      return undefined
    case 'seal':
      return seal(task.ask)
    case 'build':
      return builder.build(task.ask, await factoryFor(sets.get(task.ask.set).shape))
    case 'save-graph':
      return builder.saveGraph(task.ask)
    case 'seal-graph':
      return sealGraph(task.ask, await factoryFor(task.ask.shape))
    case 'merge':
      return merge(sets, task.ask)
    case 'check':
      await check(task.ask)
      return undefined
  }
}

async function factoryFor(shape: GraphShape): Promise<GraphFactory> {
  const { dimensions, metric, quantization, connectivity, expansionAdd, expansionSearch } = shape
  const key = [dimensions, metric, quantization, connectivity, expansionAdd, expansionSearch].join()
  let factory = factories.get(key)
  if (factory === undefined) {
    factory = await GraphFactory.load(shape)
    factories.set(key, factory)
  }
  return factory
}
