// Repairs a store in a process of its own, which a test kills on the way or refuses things to.
import { repair } from 'sutra-storage'

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

try {
  const { changed } = await repair(process.argv[2])
  tell({ changed })
} catch ({ code, details, message }) {
  tell({ code, details, message })
}
