/** Runs an operation and tells how long it took, in milliseconds. */
export async function timed<T>(operation: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const started = performance.now()
  const value = await operation()
  return { value, ms: performance.now() - started }
}
