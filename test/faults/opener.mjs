// Opens a store and tells what came of it.
import { open } from 'sutra-storage'

const [directory] = process.argv.slice(2)
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)

try {
  const store = await open(directory)
  tell({ head: store.head })
  await store.close()
} catch ({ code, details }) {
  tell({ code, details })
}
