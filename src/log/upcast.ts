/**
 * Events of older versions, laid out as the newest version is: the log keeps what was written, and
 * whoever reads it meets one shape only.
 *
 * A step turns `[code, version, …fields]` of one version into that of the next. Steps are pure,
 * chained until the newest version is reached, and never edited once they are released.
 */
type Layout = readonly unknown[]
type Step = (layout: Layout) => unknown[]

/** By code and the version that a step begins with. */
const STEPS: ReadonlyMap<string, Step> = new Map<string, Step>([
  // concept-forgotten 2 names the caller's key. Version 1 did not, and nobody can tell it now.
  ['4/1', ([code, , ordinal, id, version]) => [code, 2, ordinal, id, version, null]]
])

/** The same event in the layout of version `to`; `undefined` where no steps lead there. */
export function upcast(layout: Layout, to: number): Layout | undefined {
  let upcasted = layout
  while (upcasted[1] !== to) {
    const step = STEPS.get(`${upcasted[0]}/${upcasted[1]}`)
    if (step === undefined) return undefined
    upcasted = step(upcasted)
  }
  return upcasted
}
