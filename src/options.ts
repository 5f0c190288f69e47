/**
 * Every option of a store with its default and its bounds, checked before anything is opened. Long,
 * so that one page tells what can be asked for; the README's table is made from it.
 */
import { StoreError, show } from './errors.ts'
import { type ResolvedRule, resolveRules } from './telemetry/alert-rules.ts'
import type { AlertOptions } from './telemetry/alert-types.ts'
import type { OpenTelemetryOptions } from './telemetry/open-telemetry-options.ts'

const KiB = 1024
const MiB = 1024 * KiB
const DAY_MS = 24 * 60 * 60 * 1000

export type VectorMetric = 'cosine' | 'ip' | 'l2sq'
export type Quantization = 'f32' | 'f16' | 'bf16' | 'i8'

export interface VectorOptions {
  /** Numbers in every embedding. Fixed once declared. */
  dimensions: number
  metric?: VectorMetric
  /** Name of the embedding model; another name on reopening is `MODEL_CONFLICT`. */
  model?: string
  /** Of the graph alone: the exact vectors are kept beside it and hits are ranked by them. */
  quantization?: Quantization
  connectivity?: number
  expansionAdd?: number
  expansionSearch?: number
  /** Memory for exact vectors, beside those that are in no file yet. May differ at every open. */
  cacheBytes?: number
}

export interface PipelineOptions {
  intervalMs?: { min?: number; base?: number; max?: number }
  /**
   * Acknowledged events that the tables do not hold yet, at most; then writers wait. A commit of more
   * than so many comes alone, once there are none.
   */
  queueEventsMax?: number
  /** Their encoded size in bytes, at most. */
  queueBytesMax?: number
  /** Events projected in one atomic batch, about. */
  batchEventsMax?: number
  /** Weight of the newest sample in the moving averages. */
  emaAlpha?: number
  /** Queue utilization of the early warning. */
  warnAt?: number
}

export interface TelemetryOptions {
  /** From one `metrics` event to the next, in milliseconds, while somebody has subscribed. 0: none. */
  metricsMs?: number
  /**
   * What an operation may take before a `slow-operation` event tells of it, in milliseconds; bulk
   * work, such as a batch of a projection or of an import, ten times as much. 0: any time.
   */
  slowMs?: number
  /** How far back the recent latencies of `stats()` reach, in milliseconds. */
  windowMs?: number
  /**
   * Keeps telemetry in a store of its own, in the directory `telemetry` beside the log, so that
   * yesterday's incident can be looked at: `store.storedTelemetry()`, `sutra telemetry`. Default
   * `false`. Nothing is kept while the store is open for reading alone.
   */
  store?: boolean | TelemetryStoreOptions
}

export interface TelemetryStoreOptions {
  /** Where it is kept instead, such as on another disk. For this store alone. */
  directory?: string
  /**
   * What is older is not read any more while the store is open, and is removed, in milliseconds. Up to
   * an eighth more is on disk, and while it is closed, what was there.
   */
  keepMs?: number
  /** Bytes on disk beyond which the oldest is removed. */
  maxBytes?: number
  /** How long a window is of which commits, reads and batches are summed up, in milliseconds. */
  summaryMs?: number
}

export interface ResolvedTelemetryStore extends Required<Omit<TelemetryStoreOptions, 'directory'>> {
  /** `undefined`: beside the log. */
  readonly directory: string | undefined
}

export interface Limits {
  contentBytes: number
  metadataBytes: number
  keyBytes: number
  commitCommands: number
  commitBytes: number
  pathDepth: number
  pathExplored: number
  searchK: number
}

export type IndexType = 'string' | 'number' | 'boolean'

export type Embed = (texts: string[], context: { signal: AbortSignal }) => Promise<Float32Array[]>

/** What `defineProjection` gives: see types.ts. */
export interface DeclaredProjection {
  readonly name: string
  readonly version: number
}

export interface StoreOptions {
  vectors?: VectorOptions
  embed?: Embed
  /**
   * Paths of metadata fields to index, 64 at most, each with the type of the values that are found
   * through it: `where` then looks only at what can match. Left out, they are what they were;
   * `{}` removes them. What is new is built in the background; until then filters look at all.
   */
  indexes?: Record<string, IndexType>
  durability?: 'fsync' | 'interval' | 'os'
  /** In `interval` mode, how old an acknowledged commit may be before it is on disk. */
  durabilityIntervalMs?: number
  /** Free bytes of the disk below which writes are refused; at most a sixteenth of it. 0: never. */
  diskReserveBytes?: number
  /** How fast the files are checked in the background, bytes a second. 0: not at all. */
  scrubBytesPerSec?: number
  pipeline?: PipelineOptions
  cache?: { bytes?: number }
  telemetry?: TelemetryOptions
  /** Rules beside the built-in ones, and who is called when one of them raises an alert. */
  alerts?: AlertOptions
  limits?: Partial<Limits>
  /**
   * Lets other processes of the same user look on while the store is open, through a socket in its
   * directory: `attach(directory)` in programs, `sutra stats --watch` and `sutra events --follow` on
   * the command line. Default `false`.
   */
  attach?: boolean
  /**
   * Spans and metrics through the package `@opentelemetry/api`, which the program installs: those of
   * the global providers with `true`, or of the ones that are named. Default `false`.
   */
  openTelemetry?: boolean | OpenTelemetryOptions
  /** Projections of the program's own. Rows of others that are stored are left alone. */
  projections?: readonly DeclaredProjection[]
  readOnly?: boolean
  createIfMissing?: boolean
}

export interface ResolvedPipeline {
  readonly intervalMs: { readonly min: number; readonly base: number; readonly max: number }
  readonly queueEventsMax: number
  readonly queueBytesMax: number
  readonly batchEventsMax: number
  readonly emaAlpha: number
  readonly warnAt: number
}

export interface ResolvedVectors extends Required<Omit<VectorOptions, 'model' | 'cacheBytes'>> {
  readonly model: string | undefined
}

export interface ResolvedOptions {
  /** What the caller said about vectors, bounds checked, defaults not yet filled in. */
  readonly vectors: VectorOptions | undefined
  readonly embed: Embed | undefined
  /** `undefined`: as they were. */
  readonly indexes: Readonly<Record<string, IndexType>> | undefined
  readonly durability: 'fsync' | 'interval' | 'os'
  readonly durabilityIntervalMs: number
  readonly diskReserveBytes: number
  readonly scrubBytesPerSec: number
  readonly pipeline: ResolvedPipeline
  readonly cacheBytes: number
  readonly telemetry: ResolvedTelemetry
  readonly alerts: {
    readonly rules: readonly ResolvedRule[]
    readonly onAlert: AlertOptions['onAlert']
  }
  readonly limits: Readonly<Limits>
  readonly attach: boolean
  /** `undefined`: not asked for. */
  readonly openTelemetry: OpenTelemetryOptions | undefined
  readonly projections: readonly DeclaredProjection[]
  readonly readOnly: boolean
  readonly createIfMissing: boolean
}

type ResolvedTelemetry = Readonly<Required<Omit<TelemetryOptions, 'store'>>> & {
  /** `undefined`: it is not kept. */
  readonly store: ResolvedTelemetryStore | undefined
}

export interface NumberRule {
  readonly value: number
  readonly min: number
  readonly max: number
  readonly unit: string
  readonly integer: boolean
}

export interface ChoiceRule<T extends string = string> {
  readonly value: T
  readonly choices: readonly T[]
}

type NumberOption =
  | 'durabilityIntervalMs'
  | 'diskReserveBytes'
  | 'scrubBytesPerSec'
  | `vectors.${'dimensions' | 'connectivity' | 'expansionAdd' | 'expansionSearch' | 'cacheBytes'}`
  | `pipeline.intervalMs.${'min' | 'base' | 'max'}`
  | `pipeline.${'queueEventsMax' | 'queueBytesMax' | 'batchEventsMax' | 'emaAlpha' | 'warnAt'}`
  | 'cache.bytes'
  | `telemetry.${'metricsMs' | 'slowMs' | 'windowMs'}`
  | `telemetry.store.${'keepMs' | 'maxBytes' | 'summaryMs'}`
  | `limits.${keyof Limits}`

interface ChoiceOptions {
  durability: ChoiceRule<'fsync' | 'interval' | 'os'>
  'vectors.metric': ChoiceRule<VectorMetric>
  'vectors.quantization': ChoiceRule<Quantization>
}

/** The one place where defaults and bounds of numbers live; the README table is made from it. */
export const NUMBER_RULES: Readonly<Record<NumberOption, NumberRule>> = {
  durabilityIntervalMs: integer(100, 1, 60_000, 'ms'),
  diskReserveBytes: integer(64 * MiB, 0, 1024 * 1024 * MiB, 'bytes'),
  scrubBytesPerSec: integer(4 * MiB, 0, 1024 * MiB, 'bytes/s'),
  'vectors.dimensions': integer(0, 1, 4096, 'numbers'),
  'vectors.connectivity': integer(16, 2, 128, 'edges'),
  'vectors.expansionAdd': integer(128, 1, 4096, 'candidates'),
  'vectors.expansionSearch': integer(64, 1, 4096, 'candidates'),
  'vectors.cacheBytes': integer(256 * MiB, 0, 65_536 * MiB, 'bytes'),
  'pipeline.intervalMs.min': integer(1, 1, 100, 'ms'),
  'pipeline.intervalMs.base': integer(10, 1, 100, 'ms'),
  'pipeline.intervalMs.max': integer(100, 1, 100, 'ms'),
  'pipeline.queueEventsMax': integer(100_000, 100, 10_000_000, 'events'),
  'pipeline.queueBytesMax': integer(64 * MiB, 1 * MiB, 4096 * MiB, 'bytes'),
  'pipeline.batchEventsMax': integer(20_000, 1, 1_000_000, 'events'),
  'pipeline.emaAlpha': fraction(0.3, 1e-6, 1),
  'pipeline.warnAt': fraction(0.7, 0.01, 0.99),
  'cache.bytes': integer(512 * MiB, 1 * MiB, 64 * 1024 * MiB, 'bytes'),
  'telemetry.metricsMs': integer(10_000, 0, 3_600_000, 'ms'),
  'telemetry.slowMs': integer(100, 0, 3_600_000, 'ms'),
  'telemetry.windowMs': integer(60_000, 1000, 3_600_000, 'ms'),
  'telemetry.store.keepMs': integer(7 * DAY_MS, 60_000, 3650 * DAY_MS, 'ms'),
  'telemetry.store.maxBytes': integer(256 * MiB, 8 * MiB, 1024 * 1024 * MiB, 'bytes'),
  'telemetry.store.summaryMs': integer(10_000, 1000, 3_600_000, 'ms'),
  'limits.contentBytes': integer(10 * MiB, 1, 32 * MiB, 'bytes'),
  'limits.metadataBytes': integer(64 * KiB, 1, 16 * MiB, 'bytes'),
  'limits.keyBytes': integer(512, 1, 4096, 'bytes'),
  'limits.commitCommands': integer(1000, 1, 100_000, 'commands'),
  'limits.commitBytes': integer(64 * MiB, 1 * KiB, 64 * MiB, 'bytes'),
  'limits.pathDepth': integer(20, 1, 1000, 'hops'),
  'limits.pathExplored': integer(1_000_000, 1, 1_000_000_000, 'concepts'),
  'limits.searchK': integer(1000, 1, 100_000, 'matches')
}

export const CHOICE_RULES: Readonly<ChoiceOptions> = {
  durability: { value: 'fsync', choices: ['fsync', 'interval', 'os'] },
  'vectors.metric': { value: 'cosine', choices: ['cosine', 'ip', 'l2sq'] },
  'vectors.quantization': { value: 'f16', choices: ['f32', 'f16', 'bf16', 'i8'] }
}

/** Names allowed at each level: a misspelt durability that fell back silently would lose data. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  '': [
    'vectors',
    'embed',
    'indexes',
    'durability',
    'durabilityIntervalMs',
    'diskReserveBytes',
    'scrubBytesPerSec',
    'pipeline',
    'cache',
    'telemetry',
    'alerts',
    'limits',
    'attach',
    'openTelemetry',
    'projections',
    'readOnly',
    'createIfMissing'
  ],
  vectors: [
    'dimensions',
    'metric',
    'model',
    'quantization',
    'connectivity',
    'expansionAdd',
    'expansionSearch',
    'cacheBytes'
  ],
  pipeline: [
    'intervalMs',
    'queueEventsMax',
    'queueBytesMax',
    'batchEventsMax',
    'emaAlpha',
    'warnAt'
  ],
  'pipeline.intervalMs': ['min', 'base', 'max'],
  openTelemetry: ['tracerProvider', 'meterProvider'],
  cache: ['bytes'],
  telemetry: ['metricsMs', 'slowMs', 'windowMs', 'store'],
  'telemetry.store': ['directory', 'keepMs', 'maxBytes', 'summaryMs'],
  alerts: ['defaults', 'rules', 'onAlert'],
  limits: Object.keys(NUMBER_RULES)
    .filter((name) => name.startsWith('limits.'))
    .map((name) => name.slice('limits.'.length))
}

/**
 * Fills in defaults and checks bounds, once, at the public boundary.
 * Everything behind it takes {@link ResolvedOptions} and checks nothing again.
 *
 * @throws StoreError `OPTION_INVALID` for an unknown name, a wrong type or a value out of range.
 */
export function resolveOptions(options: StoreOptions = {}): ResolvedOptions {
  checkNames('', options)
  const { vectors, limits = {}, cache = {}, telemetry = {}, alerts = {} } = options
  const pipeline = resolvePipeline(options.pipeline ?? {})
  if (options.embed !== undefined && typeof options.embed !== 'function') {
    throw optionInvalid('embed', options.embed, 'a function')
  }

  return Object.freeze({
    vectors: vectors === undefined ? undefined : resolveVectors(vectors),
    embed: options.embed,
    indexes: options.indexes === undefined ? undefined : resolveIndexes(options.indexes),
    durability: choice('durability', options.durability),
    durabilityIntervalMs: number('durabilityIntervalMs', options.durabilityIntervalMs),
    diskReserveBytes: number('diskReserveBytes', options.diskReserveBytes),
    scrubBytesPerSec: number('scrubBytesPerSec', options.scrubBytesPerSec),
    pipeline,
    cacheBytes: number('cache.bytes', section('cache', cache).bytes),
    telemetry: resolveTelemetry(section('telemetry', telemetry)),
    alerts: resolveAlerts(section('alerts', alerts), pipeline.warnAt),
    limits: resolveLimits(section('limits', limits)),
    attach: flag('attach', options.attach, false),
    openTelemetry: resolveOpenTelemetry(options.openTelemetry),
    projections: resolveProjections(options.projections ?? []),
    readOnly: flag('readOnly', options.readOnly, false),
    createIfMissing: flag('createIfMissing', options.createIfMissing, true)
  })
}

function resolveVectors(vectors: VectorOptions): VectorOptions {
  section('vectors', vectors)
  if (vectors.dimensions === undefined) {
    throw optionInvalid('vectors.dimensions', undefined, describe('vectors.dimensions'))
  }
  number('vectors.dimensions', vectors.dimensions)
  choice('vectors.metric', vectors.metric)
  choice('vectors.quantization', vectors.quantization)
  number('vectors.connectivity', vectors.connectivity)
  number('vectors.expansionAdd', vectors.expansionAdd)
  number('vectors.expansionSearch', vectors.expansionSearch)
  number('vectors.cacheBytes', vectors.cacheBytes)
  if (vectors.model !== undefined && (typeof vectors.model !== 'string' || vectors.model === '')) {
    throw optionInvalid('vectors.model', vectors.model, 'a non-empty string')
  }
  return vectors
}

/** What a first declaration of vectors means, with every default filled in. */
export function completeVectors(vectors: VectorOptions): ResolvedVectors {
  return {
    dimensions: vectors.dimensions,
    metric: choice('vectors.metric', vectors.metric),
    model: vectors.model,
    quantization: choice('vectors.quantization', vectors.quantization),
    connectivity: number('vectors.connectivity', vectors.connectivity),
    expansionAdd: number('vectors.expansionAdd', vectors.expansionAdd),
    expansionSearch: number('vectors.expansionSearch', vectors.expansionSearch)
  }
}

function resolvePipeline(pipeline: PipelineOptions): ResolvedPipeline {
  section('pipeline', pipeline)
  const interval = section('pipeline.intervalMs', pipeline.intervalMs ?? {})
  const intervalMs = {
    min: number('pipeline.intervalMs.min', interval.min),
    base: number('pipeline.intervalMs.base', interval.base),
    max: number('pipeline.intervalMs.max', interval.max)
  }
  if (intervalMs.min > intervalMs.base || intervalMs.base > intervalMs.max) {
    throw optionInvalid('pipeline.intervalMs', interval, 'min <= base <= max')
  }
  return {
    intervalMs,
    queueEventsMax: number('pipeline.queueEventsMax', pipeline.queueEventsMax),
    queueBytesMax: number('pipeline.queueBytesMax', pipeline.queueBytesMax),
    batchEventsMax: number('pipeline.batchEventsMax', pipeline.batchEventsMax),
    emaAlpha: number('pipeline.emaAlpha', pipeline.emaAlpha),
    warnAt: number('pipeline.warnAt', pipeline.warnAt)
  }
}

function resolveTelemetry(telemetry: TelemetryOptions): ResolvedTelemetry {
  return {
    metricsMs: number('telemetry.metricsMs', telemetry.metricsMs),
    slowMs: number('telemetry.slowMs', telemetry.slowMs),
    windowMs: number('telemetry.windowMs', telemetry.windowMs),
    store: resolveTelemetryStore(telemetry.store)
  }
}

function resolveTelemetryStore(asked: TelemetryOptions['store']): ResolvedTelemetry['store'] {
  if (asked === undefined || asked === false) return undefined
  if (asked !== true && (typeof asked !== 'object' || asked === null)) {
    throw optionInvalid('telemetry.store', asked, 'true, false or an object')
  }
  const store = section('telemetry.store', asked === true ? {} : asked)
  const { directory } = store
  if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
    throw optionInvalid('telemetry.store.directory', directory, 'a non-empty string')
  }
  return {
    directory,
    keepMs: number('telemetry.store.keepMs', store.keepMs),
    maxBytes: number('telemetry.store.maxBytes', store.maxBytes),
    summaryMs: number('telemetry.store.summaryMs', store.summaryMs)
  }
}

function resolveAlerts(alerts: AlertOptions, warnAt: number): ResolvedOptions['alerts'] {
  const { onAlert } = alerts
  flag('alerts.defaults', alerts.defaults, true)
  if (onAlert !== undefined && typeof onAlert !== 'function') {
    throw optionInvalid('alerts.onAlert', onAlert, 'a function')
  }
  return { rules: resolveRules(alerts, warnAt), onAlert }
}

function resolveLimits(limits: Partial<Limits>): Limits {
  const resolve = (name: keyof Limits) => number(`limits.${name}`, limits[name])
  return Object.freeze({
    contentBytes: resolve('contentBytes'),
    metadataBytes: resolve('metadataBytes'),
    keyBytes: resolve('keyBytes'),
    commitCommands: resolve('commitCommands'),
    commitBytes: resolve('commitBytes'),
    pathDepth: resolve('pathDepth'),
    pathExplored: resolve('pathExplored'),
    searchK: resolve('searchK')
  })
}

function resolveOpenTelemetry(
  asked: boolean | OpenTelemetryOptions | undefined
): OpenTelemetryOptions | undefined {
  if (asked === undefined || typeof asked === 'boolean') return asked === true ? {} : undefined
  if (typeof asked !== 'object' || asked === null) {
    throw optionInvalid('openTelemetry', asked, 'true, false or an object')
  }
  const { tracerProvider, meterProvider } = section('openTelemetry', asked)
  if (tracerProvider !== undefined && typeof tracerProvider?.getTracer !== 'function') {
    throw optionInvalid('openTelemetry.tracerProvider', tracerProvider, 'a TracerProvider')
  }
  if (meterProvider !== undefined && typeof meterProvider?.getMeter !== 'function') {
    throw optionInvalid('openTelemetry.meterProvider', meterProvider, 'a MeterProvider')
  }
  return asked
}

const INDEX_TYPES: readonly string[] = ['string', 'number', 'boolean'] satisfies IndexType[]
/** Each costs every change of a concept a look at its metadata, and a row that is always read. */
const INDEXES_MAX = 64
const FIELD_BYTES_MAX = 512

function resolveIndexes(indexes: Record<string, IndexType>): Record<string, IndexType> {
  if (typeof indexes !== 'object' || indexes === null || Array.isArray(indexes)) {
    throw optionInvalid('indexes', indexes, 'an object')
  }
  const entries = Object.entries(indexes)
  if (entries.length > INDEXES_MAX) {
    throw optionInvalid('indexes', entries.length, `at most ${INDEXES_MAX} fields`)
  }
  for (const [field, type] of entries) {
    // No metadata has a field of that name, nor of one that is not well-formed.
    const isField = field !== '' && field !== '__proto__' && field.isWellFormed()
    if (!isField || field.startsWith('@') || Buffer.byteLength(field) > FIELD_BYTES_MAX) {
      const expected = `the path of a metadata field, of at most ${FIELD_BYTES_MAX} bytes`
      throw optionInvalid('indexes', field, expected)
    }
    if (!INDEX_TYPES.includes(type)) {
      throw optionInvalid(`indexes.${field}`, type, INDEX_TYPES.join(', '))
    }
  }
  // In one order, whatever the order they were given in.
  return Object.freeze(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))))
}

/** What each of them holds is checked where it is used, and so when the store is opened. */
function resolveProjections(
  projections: readonly DeclaredProjection[]
): readonly DeclaredProjection[] {
  if (Array.isArray(projections)) return Object.freeze([...projections])
  throw optionInvalid('projections', projections, 'an array of what defineProjection gives')
}

function section<T extends object>(path: string, value: T): T {
  if (typeof value !== 'object' || value === null) throw optionInvalid(path, value, 'an object')
  checkNames(path, value)
  return value
}

function checkNames(path: string, value: object): void {
  if (typeof value !== 'object' || value === null) {
    throw optionInvalid('options', value, 'an object')
  }
  for (const name of Object.keys(value)) {
    if (NAMES[path]?.includes(name) !== true) {
      const full = path === '' ? name : `${path}.${name}`
      throw optionInvalid(full, 'present', 'absent: no such option')
    }
  }
}

function number(name: NumberOption, received: unknown): number {
  const rule: NumberRule = NUMBER_RULES[name]
  if (received === undefined) return rule.value
  const whole = !rule.integer || Number.isInteger(received)
  if (typeof received === 'number' && whole && received >= rule.min && received <= rule.max) {
    return received
  }
  throw optionInvalid(name, received, describe(name))
}

function describe(name: NumberOption): string {
  const rule: NumberRule = NUMBER_RULES[name]
  return `${rule.integer ? 'an integer' : 'a number'} from ${rule.min} to ${rule.max}`
}

function choice<N extends keyof ChoiceOptions>(
  name: N,
  received: unknown
): ChoiceOptions[N]['value'] {
  const rule: ChoiceRule = CHOICE_RULES[name]
  const value = received === undefined ? rule.value : received
  // The rule's own list is the proof that the value has the narrower type.
  if (rule.choices.some((one) => one === value)) return value as ChoiceOptions[N]['value']
  throw optionInvalid(name, received, `one of ${rule.choices.join(', ')}`)
}

function flag(name: string, received: unknown, value: boolean): boolean {
  if (received === undefined) return value
  if (typeof received === 'boolean') return received
  throw optionInvalid(name, received, 'true or false')
}

function integer(value: number, min: number, max: number, unit: string): NumberRule {
  return { value, min, max, unit, integer: true }
}

function fraction(value: number, min: number, max: number): NumberRule {
  return { value, min, max, unit: 'fraction', integer: false }
}

export function optionInvalid(
  option: string,
  received: unknown,
  expected: string
): StoreError<'OPTION_INVALID'> {
  const message = `Option '${option}' must be ${expected}, received ${show(received)}`
  return new StoreError('OPTION_INVALID', message, { option, received, expected })
}
