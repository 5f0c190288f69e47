import { counter, gauge, type Metric, sum, timestamp } from './metric.ts'
import type { Stats } from './types.ts'

export function vectorMetrics(): Metric[] {
  return [
    gauge('vectors.dimensions', '', 'Numbers in a vector; 0 without any.', (s) => {
      return s.vectors.dimensions
    }),
    sum('vectors.indexed', '{vector}', 'Vectors in the graph.', (s) => s.vectors.indexed),
    sum('vectors.pending', '{vector}', 'Vectors found by exact scan until indexed.', (s) => {
      return s.vectors.pending
    }),
    gauge(
      'vectors.pending_limit',
      '{vector}',
      'Pending vectors beyond which writers wait.',
      (s) => {
        return s.vectors.pendingMax
      }
    ),
    sum('vectors.scanned', '{vector}', 'Vectors that each search compares one by one.', (s) => {
      return s.vectors.scanned
    }),
    sum('vectors.segments', '{segment}', 'Segments of the vector index.', (s) => {
      return s.vectors.segments
    }),
    gauge('vectors.position', '', 'Position up to which vectors are in graphs.', (s) => {
      return s.vectors.position
    }),
    gauge('vectors.saved_position', '', 'Checkpoint of the files of vectors.', (s) => {
      return s.vectors.savedPosition
    }),
    sum('vectors.readers', '{thread}', 'Threads that answer searches.', (s) => s.vectors.readers),
    counter('vectors.worker_restarts', '{restart}', 'Threads that died and were replaced.', (s) => {
      return s.vectors.workerRestarts
    }),
    ...recallMetrics()
  ]
}

/** What `checkVectors` found the last time. */
function recallMetrics(): Metric[] {
  return [
    {
      name: 'vectors.recall',
      kind: 'gauge',
      unit: '1',
      help: 'Part of the exact answer that a search found, at the last check.',
      read: ({ vectors: { recall } }) =>
        recall?.recalls.map((one) => ({ labels: { ef: String(one.ef) }, value: one.recall })) ?? []
    },
    {
      name: 'vectors.recall_checked.timestamp',
      kind: 'gauge',
      unit: 's',
      help: 'When the recall was checked, since 1970.',
      read: ({ vectors: { recall } }) => timestamp(recall?.checkedAt ?? 0)
    }
  ]
}

export function indexMetrics(): Metric[] {
  const each = (value: (one: Stats['indexes'][string]) => number) => (stats: Stats) =>
    Object.entries(stats.indexes).map(([field, one]) => ({
      labels: { field, type: one.type },
      value: value(one)
    }))
  return [
    {
      name: 'index.built',
      kind: 'gauge',
      unit: '',
      help: '1 once filters use the index of the field.',
      read: each((one) => +one.built)
    },
    {
      name: 'index.progress',
      kind: 'gauge',
      unit: '1',
      help: 'How much of the index is built, 0 to 1.',
      read: each((one) => one.progress)
    }
  ]
}
