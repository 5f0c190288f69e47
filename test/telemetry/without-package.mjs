// Opens a store where @opentelemetry/api is not installed.
import { existsSync } from 'node:fs'
import { register } from 'node:module'

const hooks = `export async function resolve(specifier, context, next) {
  if (specifier !== '@opentelemetry/api') return next(specifier, context)
  throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' })
}`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

const { open } = await import('sutra-storage')
const [directory] = process.argv.slice(2)
try {
  await open(directory, { openTelemetry: true })
} catch ({ code, message }) {
  console.log(JSON.stringify({ code, message, exists: existsSync(directory) }))
}
const store = await open(directory)
await store.close()
console.log(JSON.stringify({ without: 'works' }))
