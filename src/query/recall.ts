import type { RecallReport } from '../telemetry/types.ts'
import { queryInvalid } from './read-options.ts'

/**
 * The smallest `ef` that reached a recall in the last check.
 *
 * What was measured holds for as many matches as were looked for then. More matches are given
 * candidates in proportion, because a graph finds the last of `k` only if it looks beyond it.
 *
 * @throws StoreError `QUERY_INVALID` if there was no check, or none of its `efs` was enough.
 */
export function efForRecall(recall: number, k: number, report: RecallReport | undefined): number {
  if (report === undefined) {
    const expected = 'a number until recall was measured: run checkVectors() or sutra vectors check'
    throw queryInvalid('ef', { recall }, expected)
  }
  const reached = report.recalls.filter((one) => one.recall >= recall)
  if (reached.length > 0) {
    const ef = Math.min(...reached.map((one) => one.ef))
    return k <= report.k ? ef : Math.ceil((ef * k) / report.k)
  }
  const best = Math.max(0, ...report.recalls.map((one) => one.recall))
  const expected = `at most ${best}, the best of the last check; check larger efs, or use exact`
  throw queryInvalid('ef.recall', recall, expected)
}
