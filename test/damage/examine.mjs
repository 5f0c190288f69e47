// Opens a store that may be damaged and says what became of it. LevelDB may end the process.
import { open } from 'sutra-storage'

const [directory, stateHash] = process.argv.slice(2)
const tell = (outcome) => process.stdout.write(`${JSON.stringify({ outcome })}\n`)

try {
  const store = await open(directory)
  let healed = false
  store.telemetry$.subscribe(({ type }) => {
    if (type === 'damage-found') healed = true
  })
  try {
    const { ok } = await store.verify()
    if (!ok) tell('told')
    else if ((await store.stateHash()) !== stateHash) tell('wrong')
    else tell(healed ? 'healed' : 'harmless')
  } finally {
    await store.close()
  }
} catch (error) {
  tell(error.name === 'StoreError' ? `refused ${error.code}` : `failed ${error.stack}`)
}
