/** Reads what a plan says from the tables, at their checkpoint. */
import { behind, postingKey } from '../projections/tables/index-keys.ts'
import { typePrefix } from '../projections/tables/keys.ts'
import { type Ordinals, PostingCollector } from '../projections/tables/posting-collector.ts'
import {
  countIn,
  decodePartCounts,
  GROUP_BITS,
  hasEntries
} from '../projections/tables/postings.ts'
import type { TablesSnapshot } from '../projections/tables/snapshot.ts'
import { countBetween } from '../projections/tables/value-counts.ts'
import type { ReadPace } from './pace.ts'
import type { Plan, ValuesPlan } from './selection-plan.ts'

/**
 * Groups of ordinals up to which the rows of a value are read by their keys, 3 to 6 µs each; an
 * iterator costs about 100 to open, and reads only those that are there.
 */
const GROUPS_BY_KEY = 16

/** Values of a list, and groups of a value, that are looked at for an estimate. */
const VALUES_LOOKED_AT = 32
const GROUPS_LOOKED_AT = 8

/**
 * Reading one more entry of an index costs about 20 ns, looking at the row of a concept 10 µs: so
 * many times as many as there are left to look at may be read, to look at fewer.
 */
const ENTRIES_PER_ROW = 500
const ENTRIES_ALWAYS = 10_000

export interface Found extends Ordinals {
  /** Each passes. Else some may not. */
  readonly exact: boolean
}

/** About how many concepts a plan finds; rather more. */
export function estimatePlan(snapshot: TablesSnapshot, plan: Plan): number {
  switch (plan.is) {
    case 'type':
      return plan.types.reduce((sum, type) => sum + snapshot.typeCount(type), 0)
    case 'and':
      return Math.min(...plan.parts.map((part) => estimatePlan(snapshot, part)))
    case 'or':
      return plan.parts.reduce((sum, part) => sum + estimatePlan(snapshot, part), 0)
    case 'values':
      return estimateValues(snapshot, plan)
  }
}

function estimateValues(snapshot: TablesSnapshot, plan: ValuesPlan): number {
  const { points, range, countPrefix } = plan
  if (points === undefined) {
    return countBetween((key) => snapshot.valueCount(key), countPrefix, range.low, range.high)
  }
  const step = Math.ceil(points.length / VALUES_LOOKED_AT)
  const some = points.filter((_, at) => at % step === 0)
  const sum = some.reduce((total, point) => total + estimatePoint(snapshot, plan, point), 0)
  return Math.ceil((sum * points.length) / Math.max(1, some.length))
}

/** Counted in some groups of ordinals, and in the others taken to be alike. */
function estimatePoint(snapshot: TablesSnapshot, plan: ValuesPlan, value: Buffer): number {
  const prefix = Buffer.concat([plan.prefix, value])
  const groups = groupsOf(snapshot)
  const step = Math.ceil(groups / GROUPS_LOOKED_AT)
  let [count, looked] = [0, 0]
  for (let group = 0; group < groups; group += step) {
    const payload = snapshot.posting(postingKey(prefix, group, 0))
    if (payload !== undefined) count += countIn(payload)
    looked += 1
  }
  const scaled = Math.ceil((count * groups) / looked)
  if (step === 1) return scaled
  const read = (key: Buffer): Buffer | undefined => snapshot.valueCount(key)
  const most = countBetween(read, plan.countPrefix, value, value)
  // None where it was looked is not none at all.
  return Math.min(Math.max(scaled, 1), most)
}

/** @returns `undefined`: there are more than `max`. */
export async function readPlan(
  snapshot: TablesSnapshot,
  plan: Plan,
  max: number,
  pace: ReadPace
): Promise<Found | undefined> {
  const found = await readAs(snapshot, plan, max, pace)
  return found && { ...found, exact: found.exact && plan.exact }
}

async function readAs(
  snapshot: TablesSnapshot,
  plan: Plan,
  max: number,
  pace: ReadPace
): Promise<Found | undefined> {
  switch (plan.is) {
    case 'values':
      return readValues(snapshot, plan, max, pace)
    case 'type':
      return readTypes(snapshot, plan.types, max, pace)
    case 'or':
      return readAny(snapshot, plan.parts, max, pace)
    case 'and':
      return readAll(snapshot, plan.parts, max, pace)
  }
}

async function readAny(
  snapshot: TablesSnapshot,
  parts: readonly Plan[],
  max: number,
  pace: ReadPace
): Promise<Found | undefined> {
  let all: Found = { ordinals: new Uint32Array(0), revisions: new Uint32Array(0), exact: true }
  for (const part of parts) {
    const found = await readPlan(snapshot, part, max, pace)
    if (found === undefined) return undefined
    all = { ...union(all, found), exact: all.exact && found.exact }
    if (all.ordinals.length > max) return undefined
  }
  return all
}

/** The one that finds the fewest first; then those that are worth their reading. */
async function readAll(
  snapshot: TablesSnapshot,
  parts: readonly Plan[],
  max: number,
  pace: ReadPace
): Promise<Found | undefined> {
  const sizes = parts.map((part) => ({ part, size: estimatePlan(snapshot, part) }))
  const [first, ...others] = sizes.sort((a, b) => a.size - b.size)
  if (first === undefined) return undefined
  let left = await readPlan(snapshot, first.part, max, pace)
  if (left === undefined) return undefined
  for (const { part, size } of others) {
    const most = Math.max(ENTRIES_ALWAYS, left.ordinals.length * ENTRIES_PER_ROW)
    const found = size > most ? undefined : await readPlan(snapshot, part, most, pace)
    if (found === undefined) left = { ...left, exact: false }
    else left = { ...intersection(left, found), exact: left.exact && found.exact }
  }
  return left
}

async function readValues(
  snapshot: TablesSnapshot,
  { prefix, points, range }: ValuesPlan,
  max: number,
  pace: ReadPace
): Promise<Found | undefined> {
  const collector = new PostingCollector()
  const byKey = groupsOf(snapshot) <= GROUPS_BY_KEY
  for (const point of points ?? []) {
    const own = Buffer.concat([prefix, point])
    const isRead = byKey
      ? await readByKey(snapshot, own, collector, max, pace)
      : await readRange(snapshot, { gte: own, lt: behind(own) }, collector, max, pace)
    if (!isRead) return undefined
  }
  if (points === undefined && !(await readRange(snapshot, range, collector, max, pace))) {
    return undefined
  }
  return { ...(await collector.ordinals(async () => pace.rest())), exact: true }
}

/** @returns Whether all was read: else there is more than `max`. */
async function readByKey(
  snapshot: TablesSnapshot,
  prefix: Buffer,
  collector: PostingCollector,
  max: number,
  pace: ReadPace
): Promise<boolean> {
  const groups = groupsOf(snapshot)
  for (let group = 0; group < groups; group++) {
    const key = postingKey(prefix, group, 0)
    const payload = snapshot.posting(key)
    if (pace.step()) await pace.rest()
    if (payload === undefined) continue
    if (collector.count + countIn(payload) > max) return false
    if (hasEntries(payload)) {
      collector.take(key, payload)
      continue
    }
    for (const [at, count] of decodePartCounts(payload).entries()) {
      if (count === 0) continue
      const partKey = postingKey(prefix, group, at + 1)
      collector.take(partKey, snapshot.postingPart(partKey))
      if (pace.step()) await pace.rest()
    }
  }
  return true
}

async function readRange(
  snapshot: TablesSnapshot,
  range: { gte?: Buffer; lt?: Buffer },
  collector: PostingCollector,
  max: number,
  pace: ReadPace
): Promise<boolean> {
  const { gte, lt } = range
  for await (const rows of snapshot.postings({ ...(gte && { gte }), ...(lt && { lt }) })) {
    for (const [key, payload] of rows) {
      collector.take(key, payload)
      if (collector.count > max) return false
      if (pace.step()) await pace.rest()
    }
  }
  return true
}

async function readTypes(
  snapshot: TablesSnapshot,
  types: readonly string[],
  max: number,
  pace: ReadPace
): Promise<Found | undefined> {
  if (types.reduce((sum, type) => sum + snapshot.typeCount(type), 0) > max) return undefined
  const collector = new PostingCollector()
  for (const type of types) {
    const prefix = typePrefix(type)
    const isRead =
      groupsOf(snapshot) <= GROUPS_BY_KEY
        ? await readByKey(snapshot, prefix, collector, max, pace)
        : await readRange(snapshot, { gte: prefix, lt: behind(prefix) }, collector, max, pace)
    if (!isRead) return undefined
  }
  return { ...(await collector.ordinals(async () => pace.rest())), exact: true }
}

function groupsOf(snapshot: TablesSnapshot): number {
  return (snapshot.counts().ordinals >>> GROUP_BITS) + 1
}

export function union(a: Ordinals, b: Ordinals): Ordinals {
  return merged(a, b, true)
}

function intersection(a: Ordinals, b: Ordinals): Ordinals {
  return merged(a, b, false)
}

function merged(a: Ordinals, b: Ordinals, keepsAll: boolean): Ordinals {
  const most = keepsAll
    ? a.ordinals.length + b.ordinals.length
    : Math.min(a.ordinals.length, b.ordinals.length)
  const ordinals = new Uint32Array(most)
  const revisions = new Uint32Array(most)
  let [i, j, to] = [0, 0, 0]
  const end = Number.POSITIVE_INFINITY
  while (i < a.ordinals.length || j < b.ordinals.length) {
    const left = a.ordinals[i] ?? end
    const right = b.ordinals[j] ?? end
    if (keepsAll || left === right) {
      ordinals[to] = Math.min(left, right)
      revisions[to] = (left <= right ? a.revisions[i] : b.revisions[j]) ?? 0
      to += 1
    } else if (left === end || right === end) break
    if (left <= right) i += 1
    if (right <= left) j += 1
  }
  return { ordinals: ordinals.subarray(0, to), revisions: revisions.subarray(0, to) }
}
