/** The command line within this process, which takes a tenth of the time that another one would. */
import { vi } from 'vitest'
import { run } from '#sutra/cli/program.js'

export interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** One at a time: what is printed meanwhile is taken for its output. */
export async function sutra(...args: string[]): Promise<Ran> {
  const ran: Ran = { code: 0, stdout: '', stderr: '' }
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text, encoding, done) => {
      ran[name] += typeof text === 'string' ? text : Buffer.from(text).toString()
      const written = typeof encoding === 'function' ? encoding : done
      written?.()
      return true
    })
  )
  const streams = [process.stdout, process.stderr]
  const before = streams.map((stream) => stream.listeners('error'))
  try {
    ran.code = await run(['node', 'sutra', ...args])
    return ran
  } finally {
    for (const spy of spies) spy.mockRestore()
    // A process of its own takes those with it.
    for (const [i, stream] of streams.entries()) {
      const added = stream.listeners('error').filter((one) => before[i]?.includes(one) === false)
      for (const one of added) stream.off('error', one as () => void)
    }
  }
}
