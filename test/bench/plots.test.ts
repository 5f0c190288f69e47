import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BenchContext, type BenchReport } from '../../bench/harness.ts'
import { describeMachine } from '../../bench/machine.ts'
import { renderChart } from '../../bench/plots/chart.ts'
import { drawPlots } from '../../bench/plots/draw.ts'
import { latencyChart } from '../../bench/plots/latency.ts'
import { peersChart } from '../../bench/plots/peers.ts'
import { ratiosChart } from '../../bench/plots/ratios.ts'
import { type Result, writeResult } from '../../bench/results.ts'
import { temporaryPath } from '../support/temp.ts'

describe('plots', () => {
  test('are drawn of the results that there are', async () => {
    const directory = await temporaryPath('results')
    await writeResult(directory, resultOf('reads', reads()))

    const paths = await drawPlots(directory)

    const names = ['latency', 'ratios'].map((name) => join(directory, `${name}.svg`))
    expect(paths).toEqual(expect.arrayContaining(names))
    expect(paths).not.toContain(join(directory, 'scale.svg'))
    for (const name of names) expect(await readFile(name, 'utf8')).toMatch(/^<svg /)
  })

  test('say what is measured, in which unit, where, and beside what', () => {
    const result = resultOf('reads', reads())

    const svg = renderChart(latencyChart(result, undefined))

    const texts = textsIn(svg)
    expect(texts).toContain('Reads of some concepts: latency by percentile')
    expect(texts.some((text) => text.startsWith('µs'))).toBe(true)
    expect(texts).toContain('bare classic-level: getSync, random id')
    expect(texts.some((text) => text.includes(result.machine.system))).toBe(true)
    expect(texts.some((text) => text.startsWith('2026-01-02'))).toBe(true)
  })

  test('have other colours on a dark page, for every colour that they are drawn in', () => {
    const svg = renderChart(latencyChart(resultOf('reads', reads()), undefined))

    const texts = Array.from(svg.matchAll(/<text[^>]* fill="(#\w+)"/g), ([, color]) => color)
    const lines = Array.from(
      svg.matchAll(/ stroke="(#\w+)" stroke-width="[^0]/g),
      ([, color]) => color
    )
    const colors = new Set([...texts, ...lines])
    expect(colors.size).toBeGreaterThan(5)
    const known = Array.from(svg.matchAll(/\[fill="(#\w+)"\]\{fill:/g), ([, color]) => color)
    expect([...colors].filter((color) => !known.includes(color))).toEqual([])
  })

  test('compare medians where there are any, and rates elsewhere', () => {
    const context = new BenchContext('smoke', 1)
    const [slow, fast] = [context.lane('bare'), context.lane('bare, stretches')]
    slow.timed(8)
    fast.took(1000, 10)
    context.lane('store.get', slow).timed(2)
    context.lane('store.import', fast).took(1000, 20)

    const chart = ratiosChart([resultOf('some', context.report())])

    const texts = textsIn(renderChart(chart ?? expect.unreachable()))
    expect(texts).toEqual(
      expect.arrayContaining(['some: store.get', '4', 'some: store.import', '2'])
    )
  })

  test('leave out a peer that could not be loaded, and a bar that it has no value for', () => {
    const chart = peersChart({
      header: ['wordnet: 3 concepts', 'questions', 'a machine, 2026-01-02'],
      recall: 0.99,
      results: [
        peer('ours', { get: 2.5, path: 120 }),
        peer('other', { get: 30 }),
        { ...peer('broken', {}), load: { error: 'it fell over' } }
      ]
    })

    const texts = textsIn(renderChart(chart ?? expect.unreachable()))
    expect(texts.filter((text) => text === 'other')).toHaveLength(8)
    expect(texts).not.toContain('broken')
    expect(texts).toEqual(expect.arrayContaining(['2.5', '30', '0.12']))
  })
})

function reads(): BenchReport {
  const context = new BenchContext('smoke', 1)
  context.title('Reads of some concepts')
  for (const kind of ['get, random id', 'get, one of 64 hot ids', 'out-neighbours']) {
    const bare = context.lane(`${kind}: classic-level`)
    const store = context.lane(`${kind}: store`, bare)
    for (let n = 1; n <= 10; n++) {
      bare.timed(n)
      store.timed(2 * n)
    }
  }
  return context.report()
}

function resultOf(name: string, report: BenchReport): Result {
  return { name, mode: 'smoke', date: '2026-01-02T03:04:05Z', machine: describeMachine(), report }
}

type Peers = Parameters<typeof peersChart>[0]['results'][number]

function peer(name: string, p50Us: Record<string, number>): Peers {
  const tasks = Object.entries(p50Us).map(([task, us]) => [
    task,
    { asked: 1, p50Us: us, p99Us: us, meanUs: us, wrong: 0 }
  ])
  const load = {
    readySeconds: 1,
    seconds: 2,
    parts: {},
    diskBytes: 1e6,
    peakBytes: 1,
    baseBytes: 1
  }
  return {
    name,
    title: name,
    versions: {},
    durability: 'none',
    note: '',
    load,
    tasks: Object.fromEntries(tasks) as Peers['tasks'],
    trouble: []
  }
}

function textsIn(svg: string): string[] {
  return Array.from(svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g), ([, text]) =>
    (text ?? '').replaceAll('&amp;', '&')
  )
}
