// Migrates a store in a process of its own, which a test kills on the way.
import { migrate } from 'sutra-storage'

await migrate(process.argv[2], { backup: false })
