import { InvalidArgumentError } from 'commander'
import type { Source } from './source.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const DATE = /^(\d{4})-(\d\d)-(\d\d)/
const AGO = /^(\d+(?:\.\d+)?)([smhd])$/

/** A point in time: so long ago (`90s`, `15m`, `2h`, `3d`), or a date as ISO 8601 writes it. */
export function toTime(text: string, now: number = Date.now()): number {
  const [, amount, unit] = AGO.exec(text) ?? []
  const factor = unit === undefined ? undefined : UNITS[unit]
  if (amount !== undefined && factor !== undefined) return now - Number(amount) * factor
  const [, year, month, day] = DATE.exec(text) ?? []
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  // `Date.parse` takes the 31st of February for a day in March.
  const time = Number(day) <= days ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return time
  throw new InvalidArgumentError(
    'Expected a time: 90s, 15m, 2h or 3d for so long ago, or 2026-01-31T12:00Z.'
  )
}

/** The first position whose event is not older. Times never decrease along the log, so it is bisected. */
export async function positionAt(
  source: Source,
  time: number,
  signal: AbortSignal
): Promise<number> {
  let low = 1
  let high = (await source.stats({ signal })).position + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const found = await firstFrom(source, middle, signal)
    if (found === undefined || found.time >= time) high = middle
    // Positions in between may be lost: what was found is behind all of them.
    else low = found.position + 1
  }
  return low
}

async function firstFrom(
  source: Source,
  from: number,
  signal: AbortSignal
): Promise<{ position: number; time: number } | undefined> {
  for await (const { position, time } of source.events({ from, signal })) return { position, time }
  return undefined
}
