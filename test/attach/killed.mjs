/** Opens a store that can be attached to, and waits to be killed; or has nothing left to do. */
import { open } from 'sutra-storage'

const [directory, mode] = process.argv.slice(2)
await open(directory, { attach: true })
console.log(JSON.stringify({ ready: true }))
if (mode !== 'idle') setInterval(() => undefined, 1000)
