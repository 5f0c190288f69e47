import { UsageError } from './session.ts'

/**
 * Refuses names that nothing has: whoever misspelt one would wait for it in vain.
 *
 * @throws UsageError with those that there are.
 */
export function checkKnown(
  option: string,
  names: readonly string[],
  known: readonly string[],
  isKnown: (name: string) => boolean = (name) => known.includes(name)
): void {
  const other = names.find((name) => !isKnown(name))
  if (other === undefined) return
  throw new UsageError(`${option} '${other}' is none of ${known.join(', ')}`)
}
