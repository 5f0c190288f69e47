/** What a run prints. */
import { loadavg } from 'node:os'
import type { BenchReport, Figure, LaneResult } from './harness.ts'
import type { Machine } from './machine.ts'

const NAME_WIDTH = 48

export function printMachine({ load, ...facts }: Machine): void {
  for (const [name, value] of Object.entries(facts)) console.log(`${name.padEnd(10)} ${value}`)
  console.log(`${'load'.padEnd(10)} ${load.join(', ')} (1, 5, 15 minutes)`)
}

export function printReport(name: string, report: BenchReport): void {
  const { title, seed, lanes, figures, notes, fingerprint } = report
  console.log(`\n${name}: ${title}`)
  if (lanes.length > 0) {
    const columns = [
      'operations',
      'p50 µs',
      'p99 µs',
      'max µs',
      'per second',
      'CPU s',
      'ratio',
      'p50 ×'
    ]
    console.log(row('', columns))
  }
  for (const lane of lanes) console.log(row(lane.name, cells(lane)))
  for (const figure of figures) console.log(figureLine(figure))
  for (const note of notes) console.log(`  ${note}`)
  console.log(`  fingerprint ${fingerprint}, seed ${seed}, load ${loadavg()[0]?.toFixed(1)}`)
}

function figureLine({ name, value, unit, ratio }: Figure): string {
  const against = ratio === undefined ? '' : `, ${ratio.toFixed(2)} times`
  return `  ${name.padEnd(NAME_WIDTH)} ${digits(value)} ${unit}${against}`
}

function cells(lane: LaneResult): string[] {
  const { operations, seconds, cpuSeconds, latency, ratio, p50Ratio } = lane
  const us = (value: number | undefined): string => (value === undefined ? '' : digits(value))
  return [
    operations.toLocaleString('en-US'),
    us(latency?.p50),
    us(latency?.p99),
    us(latency?.max),
    digits(operations / seconds),
    cpuSeconds === 0 ? '' : cpuSeconds.toFixed(1),
    ratio?.toFixed(2) ?? '',
    p50Ratio?.toFixed(2) ?? ''
  ]
}

function row(name: string, texts: readonly string[]): string {
  const widths = [11, 9, 9, 10, 11, 6, 6, 6]
  const padded = texts.map((text, i) => text.padStart(widths[i] ?? 0))
  return `  ${name.padEnd(NAME_WIDTH)}${padded.join(' ')}`
}

function digits(value: number): string {
  const fraction = value < 100 ? 1 : 0
  return value.toLocaleString('en-US', {
    minimumFractionDigits: fraction,
    maximumFractionDigits: fraction
  })
}
