/** Directories for tests, under the system's temporary directory. */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFinished } from 'vitest'

const lasting: string[] = []

// The test runner ends its processes without their `exit` event.
afterAll(() => lasting.forEach(remove))

/** A path that does not exist yet, removed when the present test ends. */
export async function temporaryPath(name = 'store'): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'sutra-test-'))
  onTestFinished(() => remove(parent))
  return join(parent, name)
}

/** The same for hooks and templates: removed when the test file ends. */
export async function lastingPath(name = 'store'): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'sutra-test-'))
  lasting.push(parent)
  return join(parent, name)
}

function remove(parent: string): void {
  rmSync(parent, { recursive: true, force: true, maxRetries: 3 })
}
