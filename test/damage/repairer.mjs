// Repairs a store in a process of its own, which a test kills on the way.
import { repair } from 'sutra-storage'

await repair(process.argv[2])
