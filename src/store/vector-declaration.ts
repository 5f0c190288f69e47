import type { Stage } from '../append/stage.ts'
import { StoreError } from '../errors.ts'
import type { VectorsDeclared } from '../log/event.ts'
import type { LevelLog } from '../log/level-log.ts'
import { completeVectors, type ResolvedOptions, type VectorOptions } from '../options.ts'

interface Agreement {
  log: LevelLog
  stage: Stage
  declared: VectorsDeclared | undefined
  options: ResolvedOptions
}

/** What may differ at every open: it steers searching, not what is stored. */
const RUN_TIME: readonly string[] = ['expansionSearch', 'cacheBytes']

/**
 * Compares the options with what the log declares, and declares vectors where that is new.
 *
 * @throws StoreError `OPTION_CONFLICT`, `MODEL_CONFLICT`, `STORE_READ_ONLY`.
 */
export async function agreeOnVectors(agreement: Agreement): Promise<VectorsDeclared | undefined> {
  const { declared, options } = agreement
  const asked = options.vectors
  if (asked === undefined) return declared
  if (declared !== undefined) {
    compare(declared, asked)
    return declared
  }
  if (options.readOnly) {
    throw new StoreError('STORE_READ_ONLY', 'A read-only store cannot declare vectors', {
      operation: 'vectors'
    })
  }
  return declare(agreement, asked)
}

async function declare({ log, stage }: Agreement, asked: VectorOptions): Promise<VectorsDeclared> {
  const event: VectorsDeclared = {
    type: 'vectors-declared',
    space: 'default',
    ...completeVectors(asked)
  }
  const first = log.head + 1
  const time = Date.now()
  // If the process dies here, the next open finds the declaration in the log, or declares again.
  const { bytes } = await log.append([{ time, first, meta: undefined, events: [event] }], {
    durable: true
  })
  stage.replay(event, { position: first, time }, bytes)
  return event
}

function compare(declared: VectorsDeclared, asked: VectorOptions): void {
  for (const [name, received] of Object.entries(asked)) {
    if (RUN_TIME.includes(name)) continue
    const before: unknown = declared[name as keyof VectorOptions & keyof VectorsDeclared]
    if (before === received) continue
    if (name === 'model') {
      const message = `The vectors are of model '${declared.model}', received '${received}'`
      throw new StoreError('MODEL_CONFLICT', message, {
        declared: declared.model,
        received: String(received)
      })
    }
    const option = `vectors.${name}`
    const message = `'${option}' was declared as ${before}, received ${received}`
    throw new StoreError('OPTION_CONFLICT', message, { option, declared: before, received })
  }
}
