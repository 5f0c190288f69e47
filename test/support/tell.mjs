import { writeSync } from 'node:fs'

/**
 * Tells the parent process something, a line of JSON each. It is with the system when this
 * returns: `process.stdout` queues what a busy parent has not read yet, and a kill loses that.
 */
export function tell(what) {
  const line = Buffer.from(`${JSON.stringify(what)}\n`)
  for (let at = 0; at < line.length; ) at += writeSync(1, line, at)
}
