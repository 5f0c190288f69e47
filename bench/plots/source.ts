import type { Machine } from '../machine.ts'

/** Where the figures of a plot come from, in one line under its title. */
export function sourceLine({ machine, date }: { machine: Machine; date: string }): string {
  const { processor, memory, disk, system, commit, load } = machine
  const facts = [processor, memory, disk, system, `commit ${commit}`, `load ${load[0] ?? '?'}`]
  return `${date.slice(0, 10)} · ${facts.join(' · ')}`
}
