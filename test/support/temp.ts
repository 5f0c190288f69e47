/** Directories for tests: made under the system's temporary directory, removed when the test ends. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A path that does not exist yet, in a directory that goes when the present test ends. */
export async function temporaryPath(name = 'store'): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'sutra-test-'))
  onTestFinished(async () => rm(parent, { recursive: true, force: true, maxRetries: 3 }))
  return join(parent, name)
}
