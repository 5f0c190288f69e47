/** Numbers that keep their width while they change, so that nothing on a screen jumps. */
import { formatCount } from '../output.ts'

/** What is not known, or not yet. */
export const NONE = '–'

const COUNT_DIGITS_MAX = 10_000_000
const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'] as const
const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const THOUSAND = 1000

/** At most ten columns. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return NONE
  const whole = Math.max(0, Math.round(value))
  return whole < COUNT_DIGITS_MAX ? formatCount(whole) : short(whole)
}

/** How often something happens in a second: slow rates keep a decimal. */
export function rate(perSec: number): string {
  if (!Number.isFinite(perSec)) return NONE
  if (perSec <= 0) return '0'
  return perSec < 9.95 ? perSec.toFixed(1) : count(perSec)
}

/** Three significant digits and a unit: at most seven columns up to 277 hours. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return NONE
  if (ms <= 0) return '0 ms'
  if (ms < 0.9995) return `${digits(ms * THOUSAND)} µs`
  if (ms < 999.5) return `${digits(ms)} ms`
  const seconds = ms / THOUSAND
  if (seconds < 99.95) return `${digits(seconds)} s`
  if (seconds < 99.5 * 60) return `${Math.round(seconds / 60)} min`
  return `${Math.round(seconds / 3600)} h`
}

/** With so many decimals. */
export function fixed(value: number, decimals: number): string {
  return Number.isFinite(value) ? value.toFixed(decimals) : NONE
}

/** At most eight columns. */
export function bytes(value: number): string {
  if (!Number.isFinite(value) || value < 0) return NONE
  let power = 0
  let size = Math.round(value)
  while (size >= 1023.5 && power < BYTES.length - 1) {
    size /= 1024
    power += 1
  }
  return `${power === 0 ? size : digits(size)} ${BYTES[power]}`
}

/** A share from 0 to 1, or more, as a percentage of at most seven columns. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return NONE
  const value = share * 100
  return `${value < 99.95 ? value.toFixed(1) : Math.round(value)} %`
}

/** How long a process has been running, in its two largest units. */
export function uptime(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (days > 0) return `${days} d ${hours % 24} h`
  if (hours > 0) return `${hours} h ${minutes % 60} min`
  return minutes > 0 ? `${minutes} min` : `${Math.floor(ms / THOUSAND)} s`
}

/** Three significant digits and a prefix: at most six columns. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return NONE
  let power = 0
  let size = Math.max(0, value)
  // What would be rounded up to a thousand is one of the next unit.
  while (size >= 999.5 && power < PREFIXES.length - 1) {
    size /= THOUSAND
    power += 1
  }
  if (power === 0) return Number.isInteger(size) ? String(size) : digits(size)
  return `${digits(size)} ${PREFIXES[power]}`
}

function digits(value: number): string {
  if (value < 9.995) return value.toFixed(2)
  return value < 99.95 ? value.toFixed(1) : String(Math.round(value))
}
