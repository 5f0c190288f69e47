/**
 * What happened on each day, counted by type of event: a projection as a program would write it.
 *
 *   npx tsx test/examples/counts-by-day.ts <directory of a store>     prints the last seven days
 */
import { pathToFileURL } from 'node:url'
import { defineProjection, open, type Rows } from 'sutra-storage'

export type Counts = Record<string, number>

export const countsByDay = defineProjection({
  name: 'counts-by-day',
  version: 1,
  types: ['concept-learned', 'concept-revised', 'concept-forgotten', 'association-created'],
  // What the rows are: a key of two parts, sorted by day and then by type, and a number.
  apply({ time, type }, rows: Rows<[day: string, type: string], number>) {
    const day = dayOf(time)
    rows.put([day, type], (rows.get([day, type]) ?? 0) + 1)
  },
  queries: {
    count: (rows, day: string, type: string) => rows.get([day, type]) ?? 0,
    async on(rows, day: string) {
      const counts: Counts = {}
      for await (const [[, type], count] of rows.range({ prefix: [day] })) counts[type] = count
      return counts
    },
    /** The newest days first. */
    async lastDays(rows, limit: number) {
      const days: { day: string; counts: Counts }[] = []
      for await (const [[day, type], count] of rows.range({ reverse: true })) {
        if (days.at(-1)?.day !== day) {
          if (days.length === limit) break
          days.push({ day, counts: {} })
        }
        Object.assign(days.at(-1)?.counts ?? {}, { [type]: count })
      }
      return days
    }
  }
})

/** Of an event, never of the clock: the same log must always give the same rows. */
function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

async function main(directory: string): Promise<void> {
  await using store = await open(directory, { projections: [countsByDay], createIfMissing: false })
  for (const { day, counts } of await store.projection(countsByDay).lastDays(7)) {
    const all = Object.entries(counts).map(([type, count]) => `${count} ${type}`)
    console.log(`${day}  ${all.join(', ')}`)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(process.argv[2] ?? '.')
}
