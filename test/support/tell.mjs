import { writeSync } from 'node:fs'

const pause = new Int32Array(new SharedArrayBuffer(4))

/**
 * Tells the parent process something, a line of JSON each. It is with the system when this
 * returns: `process.stdout` queues what a busy parent has not read yet, and a kill loses that.
 */
export function tell(what) {
  const line = Buffer.from(`${JSON.stringify(what)}\n`)
  for (let at = 0; at < line.length; ) at += writeOrWait(line, at)
}

/** A pipe that is full says so instead of waiting: the parent is behind, and will read. */
function writeOrWait(line, at) {
  try {
    return writeSync(1, line, at)
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error
    Atomics.wait(pause, 0, 0, 1)
    return 0
  }
}
