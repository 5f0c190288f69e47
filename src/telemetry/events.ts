/**
 * Every kind of telemetry and its fields, on one page. docs/telemetry.md is made from this file, so each
 * kind and each field has its sentence here, with its unit.
 *
 * Events are flat (but for `metrics`) and plain: they survive MessagePack and JSON as they are, except that
 * JSON has no `Infinity`. Fields may be added to a kind at any time, and kinds to the stream, so tolerate
 * unknown ones. What a field means changes only together with `v`.
 */
import type { AlertMetric, AlertSeverity } from './alert-types.ts'
import type { Operation, PathStrategy, ProjectionState, SearchStrategy, Stats } from './types.ts'

/** What every event carries. */
interface TelemetryBase<T extends string> {
  /** The kind of event. */
  type: T
  /** When it happened, in milliseconds since 1970. */
  time: number
  /** Version of this kind of event: what its fields mean. */
  v: 1
}

/** The fields of each kind, beside those that all of them have. */
export interface TelemetryFields {
  /** The store was opened. Told to every subscriber, as is all that was met while opening. */
  opened: {
    /** Head of the log, as a position. */
    position: number
    /** How long opening took, in milliseconds. */
    ms: number
    /** Events that the tables did not hold and that were read into memory. */
    recovered: number
  }
  /** What opening did to bring everything up to the head. Told to every subscriber. */
  recovery: {
    /** Head of the log, as a position. */
    position: number
    /** Highest position that HEAD named as surviving a power cut. */
    durableHead: number
    /** Checkpoint of the tables that were found, as a position; 0 for none. */
    checkpoint: number
    /** Frames of the log that were read, and whose chain was checked. */
    framesRead: number
    /** Frames of a torn tail that were dropped. They were never acknowledged as durable. */
    framesDropped: number
    /** Events that the tables were behind the log. */
    tablesBehind: number
    /** Events that the files of vectors were behind the log; 0 without vectors. */
    vectorsBehind: number
    /** Events projected before the store was open, because they were too many for memory. */
    projected: number
    /** Whether the tables are made anew from the log. */
    rebuilding: boolean
    /** How long opening took, in milliseconds. */
    ms: number
  }
  /** The store was closed; the last event of the stream. */
  closed: {
    /** Head of the log, as a position. */
    position: number
  }
  /** One commit was acknowledged. */
  commit: {
    /** `import` for a batch of an import. */
    origin: 'commit' | 'import'
    /** Commands in it. */
    commands: number
    /** Events that came of them. */
    events: number
    /** From the call to the acknowledgement, in microseconds, with all waiting for others and for room. */
    us: number
    /** Its first position. */
    first: number
    /** Its last position; below `first` when it changed nothing. */
    last: number
    /** What the acknowledgement promises. */
    durability: 'fsync' | 'interval' | 'os'
    /** `duplicate` when its idempotency key was used before. */
    outcome: 'appended' | 'duplicate'
    /** Acknowledged events that the tables do not hold yet. */
    backlog: number
  }
  /** A commit was refused or failed; the caller has the error. */
  'commit-failed': {
    /** Code of the error; the name of its class where it has none. */
    code: string
    /** Whether it is known that nothing was written. */
    outcome: 'none' | 'unknown'
    /** Commands in it. */
    commands: number
    /** From the call to the error, in microseconds. */
    us: number
  }
  /** A commit was taken out of the line by its signal. */
  'commit-aborted': {
    /** Commands in it. */
    commands: number
  }
  /** One frame was written: the commits that shared it are about to be acknowledged. */
  'group-commit': {
    /** Commits in the frame. */
    commits: number
    /** Events in the frame. */
    events: number
    /** Size of the frame in bytes. */
    bytes: number
    /** Time for encoding and writing it, with its sync, in microseconds. */
    us: number
    /** Its first position. */
    first: number
    /** Its last position. */
    last: number
  }
  /** A projection applied one batch. */
  'batch-applied': {
    /** Name of the projection. */
    projection: string
    /** First position of the batch. */
    from: number
    /** Last position of the batch. */
    to: number
    /** Events in the batch. */
    events: number
    /** Time for applying and writing it, in milliseconds. */
    ms: number
  }
  /** A projection is behind; told once a second until it has caught up, then once with zeros. */
  'projection-lag': {
    /** Name of the projection. */
    projection: string
    /** What it is doing. */
    state: ProjectionState
    /** Position up to which it is complete. */
    position: number
    /** Events that it does not hold yet. */
    lagEvents: number
    /** Age of the oldest of them, in milliseconds. */
    lagMs: number
  }
  /** A projection met an error and stays where it is. */
  'projection-stopped': {
    /** Name of the projection. */
    projection: string
    /** Position up to which it is complete. */
    position: number
    /** What went wrong. */
    error: string
  }
  /** A projection that had stopped by itself goes on. */
  'projection-resumed': {
    /** Name of the projection. */
    projection: string
    /** Position up to which it is complete. */
    position: number
  }
  /** Opening dropped frames at the end of the log that were never acknowledged as durable. */
  'torn-tail-dropped': {
    /** Position of the first event that was dropped. */
    position: number
    /** Frames that were dropped. */
    frames: number
    /** What was wrong with the first of them. */
    reason: string
  }
  /** Damage was found in files. Tables and vectors heal from the log by themselves. */
  'damage-found': {
    /** What is damaged: `log`, `tables`, `vectors`, `recall`, `telemetry`, `files` or `subscription <name>`. */
    part: string
    /** What is wrong. */
    reason: string
    /** First position that is affected, where that is known. */
    from?: number
    /** Last position that is affected, where that is known. */
    to?: number
  }
  /** Damage could not be healed. */
  'heal-failed': {
    /** What is damaged. */
    part: string
    /** What went wrong. */
    reason: string
  }
  /** The disk became too full to write, or has room again. */
  'disk-low': {
    /** Whether writes are refused from now on. */
    low: boolean
    /** Free bytes of the file system. */
    freeBytes: number
    /** Bytes that are kept free of it. */
    reserveBytes: number
  }
  /** A projection is being made anew from the log. */
  'rebuild-started': {
    /** Name of the projection. */
    projection: string
    /** Why. */
    reason: string
  }
  /** A projection was made anew and has taken the place of the old one. */
  rebuilt: {
    /** Name of the projection. */
    projection: string
    /** Position up to which it is complete. */
    position: number
    /** How long it took, in milliseconds. */
    ms: number
  }
  /** The index of vectors was opened from its files. */
  'index-loaded': {
    /** Vectors in it. */
    vectors: number
    /** How long it took, in milliseconds. */
    ms: number
  }
  /** Vectors of the index were saved to files. */
  'index-saved': {
    /** Vectors that were saved. */
    vectors: number
    /** Bytes that were written. */
    bytes: number
    /** How long it took, in milliseconds. */
    ms: number
  }
  /** Segments of the index were merged into one. */
  'index-merged': {
    /** Segments that were merged. */
    segments: number
    /** Vectors that live on. */
    vectors: number
    /** Dead vectors that were left out. */
    dropped: number
    /** How long it took, in milliseconds. */
    ms: number
  }
  /** The index could not be saved; it will be tried again. */
  'index-save-failed': {
    /** What went wrong. */
    reason: string
  }
  /** Vectors could not be brought into the graph; searches compare them until it is tried again. */
  'index-build-failed': {
    /** What went wrong. */
    reason: string
    /** Attempts that failed since one succeeded. */
    failures: number
    /** When it is tried again, in milliseconds from now. */
    retryMs: number
  }
  /** Vectors were brought into the graph. */
  'index-built': {
    /** Vectors that were added. */
    vectors: number
    /** How long it took, in milliseconds. */
    ms: number
  }
  /** Indexes of metadata fields are built: filters use them from now on. */
  'fields-indexed': {
    /** Paths of the fields. */
    fields: string[]
    /** How long it took, in milliseconds. */
    ms: number
  }
  /** A read was answered. */
  query: {
    /** Which one. */
    kind: Operation
    /** From the call to the answer, in microseconds. */
    us: number
    /** Concepts, associations, paths or matches that were found. */
    results: number
    /** Associations away from where it began, at most: `maxDepth` of a path, hops of `expand`. */
    depth?: number
    /** Of the first result, 0 to 1; of a path, the product along it. Absent without a result. */
    confidence?: number
    /** Of a search: matches asked for. */
    k?: number
    /** Of a search: how the matches were found in the end. */
    strategy?: SearchStrategy
    /** Of a search: candidates that the graph considered the last time, if it was asked. */
    ef?: number
    /** Of a search: how similar the first match is, as `Match` has it. */
    similarity?: number
  }
  /** Paths between two concepts were looked for. A `query` of kind `path` goes with it. */
  path: {
    /** From the call to the answer, in microseconds. */
    us: number
    /** Concepts that were reached, counted anew from each end and for each further path. */
    explored: number
    /** Associations in the best path; -1 when there is none. */
    length: number
    /** Paths that were found. */
    paths: number
    /** How they were looked for. */
    strategy: PathStrategy
    /** What makes one path better than another. */
    order: 'hops' | 'confidence'
    /** Product of the confidences along the best path; 0 when there is none. */
    confidence: number
    /** Associations in a path, at most. */
    maxDepth: number
  }
  /** An operation took longer than `telemetry.slowMs` allows. */
  'slow-operation': {
    /** Which one. */
    operation: Operation
    /** How long it took, in microseconds. */
    us: number
    /** What it may take, in microseconds. */
    thresholdUs: number
    /** What was done, in words. */
    what: string
  }
  /** All statistics, every `telemetry.metricsMs`. */
  metrics: {
    /** What `store.stats()` says. */
    stats: Stats
  }
  /** Health of the pipeline got worse, or got better and stayed so for a while. */
  'health-changed': {
    /** 0 (at a standstill) to 1 (well). */
    healthScore: number
    /** What to do, in words. */
    recommendation: string
  }
  /** A rule found its metric beyond its threshold for long enough. */
  'alert-raised': {
    /** Name of the rule. */
    name: string
    /** How much it matters. */
    severity: AlertSeverity
    /** What the rule watches. */
    metric: AlertMetric
    /** Which one of several, such as the name of a projection; empty where there is one. */
    of: string
    /** What was measured, in the metric's unit. */
    value: number
    /** The threshold that was passed. */
    threshold: number
    /** Since when the metric was beyond it, in milliseconds since 1970. */
    since: number
    /** Why, in words. */
    message: string
  }
  /** An alert is over: its metric came back behind `clearAt` and stayed there for long enough. */
  'alert-cleared': {
    /** Name of the rule. */
    name: string
    /** How much it mattered. */
    severity: AlertSeverity
    /** What the rule watches. */
    metric: AlertMetric
    /** Which one of several, such as the name of a projection; empty where there is one. */
    of: string
    /** What was measured last, in the metric's unit. */
    value: number
    /** The threshold that was passed when it was raised. */
    threshold: number
    /** Since when the metric was beyond it, in milliseconds since 1970. */
    since: number
    /** How long it was raised, in milliseconds. */
    ms: number
    /** Why it was raised, in words. */
    message: string
  }
  /** LevelDB wrote a memtable to a file or merged files, as its own log tells, within a second or two. */
  compaction: {
    /** Which of the two databases. */
    database: 'log' | 'tables'
    /** `flush`: a memtable became a file. `merge`: files of two levels became files of the lower one. */
    kind: 'flush' | 'merge'
    /** Level that the files were taken from; 0 for a flush. */
    level: number
    /** Files that were merged; 0 for a flush. */
    files: number
    /** Bytes that were written. */
    bytes: number
    /** How long it took, in milliseconds. */
    ms: number
  }
  /** A write to the log failed: nothing is written until the store is opened again. */
  poisoned: {
    /** Highest position that survives a power cut. */
    durableHead: number
    /** What went wrong. */
    error: string
  }
  /** Rows of a forgotten concept are being erased in the background. */
  sweep: {
    /** Internal number of the concept. */
    ordinal: number
    /** Rows that were erased so far. */
    erased: number
    /** Whether all are. */
    done: boolean
  }
  /** The handler of a subscription failed and gets the event, or the batch, again. */
  'subscription-retrying': {
    /** Name of the subscription. */
    subscription: string
    /** Of the event, or of the first one of the batch. */
    position: number
    /** How often the handler was given it so far. */
    attempt: number
    /** How long it waits before the next time, in milliseconds. */
    delayMs: number
    /** What went wrong. */
    error: string
  }
  /** The handler of a subscription failed too often at an event, which was put into quarantine. */
  'subscription-quarantined': {
    /** Name of the subscription. */
    subscription: string
    /** Of the event. */
    position: number
    /** How often the handler was given it. */
    attempts: number
    /** What went wrong the last time. */
    error: string
  }
  /** A subscription stopped by itself. What it did not handle is in the log. */
  'subscription-stopped': {
    /** Name of the subscription. */
    subscription: string
    /** Everything up to here is handled, passed over or in quarantine. */
    position: number
    /** Why it stopped. */
    error: string
  }
  /** A subscription has come to the head: once after it began, went on or was reset. */
  'subscription-caught-up': {
    /** Name of the subscription. */
    subscription: string
    /** The head, as a position. */
    position: number
  }
  /**
   * Closing went on without code of the program's own that did not end. Nothing is lost: what it was
   * given is not taken for done, and is given again after the next open.
   */
  'close-gave-up': {
    /** `projection` or `subscription`, a space and its name. */
    part: string
    /** Everything up to here is done. */
    position: number
    /** How long was waited for it, in milliseconds. */
    ms: number
  }
  /** What happened too often to be kept one by one. In kept telemetry alone (`telemetry.store`). */
  summary: {
    /** Kind of the events that are summed up. */
    of: TelemetryKind
    /** Which one of several, such as the operation or the projection; empty where there is one. */
    name: string
    /** When the window began, in milliseconds since 1970. It ends at `time`. */
    since: number
    /** Events in it. */
    count: number
    /** What they were about, in all: events of commits and batches, results, concepts explored. */
    items: number
    /** The same, of the one that had most of it. */
    itemsMax: number
    /** Size of what was written, in bytes; 0 where that is not told. */
    bytes: number
    /** How long they took on average, in microseconds; of `projection-lag`, how old the events were. */
    meanUs: number
    /** Median of that, in microseconds. */
    p50Us: number
    /** 95th percentile of that, in microseconds. */
    p95Us: number
    /** 99th percentile of that, in microseconds. */
    p99Us: number
    /** The longest, in microseconds. */
    maxUs: number
  }
  /** Events could not be kept and are lost, because keeping them failed or fell behind. */
  'telemetry-dropped': {
    /** Events that were lost since this was told before. */
    events: number
  }
  /** Telemetry cannot be kept at present. The store goes on, and it is tried again. */
  'telemetry-store-failed': {
    /** What went wrong. */
    error: string
  }
}

export type TelemetryKind = keyof TelemetryFields

/** What the store tells about itself, on `telemetry$`. */
export type TelemetryEvent = {
  [T in TelemetryKind]: TelemetryBase<T> & TelemetryFields[T]
}[TelemetryKind]

/** As it is told to the hub, which adds the version. */
export type NewTelemetryEvent = {
  [T in TelemetryKind]: Omit<TelemetryBase<T>, 'v'> & TelemetryFields[T]
}[TelemetryKind]
