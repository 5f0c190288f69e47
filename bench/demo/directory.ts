import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const MARK = 'MADE-BY-THE-DEMO.txt'

/** Empties the demo's directory, but never one that holds something else. */
export async function prepareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  const found = await readdir(directory)
  if (found.length > 0 && !(await exists(join(directory, MARK)))) {
    throw new Error(`${directory} holds files that the demo did not make; name another directory`)
  }
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory)
  await writeFile(join(directory, MARK), 'Removed and made again by each `npm run demo`.\n')
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false
  )
}
