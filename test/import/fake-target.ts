import { setTimeout } from 'node:timers/promises'
import { type Command, ConceptId, type IdInput, StoreError } from 'sutra-storage'
import type {
  CheckedName,
  ImportTarget,
  LenientOptions,
  LenientResult
} from '#sutra/import/target.js'
import type { Limits } from '#sutra/options.js'

const LIMITS: Limits = {
  contentBytes: 10 * 2 ** 20,
  metadataBytes: 64 * 2 ** 10,
  keyBytes: 512,
  commitCommands: 1000,
  commitBytes: 64 * 2 ** 20,
  pathDepth: 20,
  pathExplored: 1_000_000,
  searchK: 1000
}

export interface FakeOptions {
  limits?: Partial<Limits>
  /** How long a commit takes, in milliseconds. */
  delayMs?: number | ((call: number) => number)
  /** Runs at the start of each commit; what it throws fails the commit. */
  onCommit?: (call: number) => void
}

/** A store in memory that keeps the promises of `ImportTarget`: staged in order, lenient, atomic. */
export class FakeTarget implements ImportTarget {
  readonly limits: Readonly<Limits>
  position = 0
  readonly closing: AbortSignal = new AbortController().signal
  readonly concepts = new Map<string, string>()
  readonly associations = new Set<string>()
  /** Commands that were accepted, in order. */
  readonly accepted: Command[] = []
  readonly commitSizes: number[] = []
  readonly resumable = new Set<string>()
  /** Headers of the commits by their keys. */
  readonly headers = new Map<string, Readonly<Record<string, string>>>()
  calls = 0
  inFlight = 0
  inFlightMax = 0
  readonly #options: FakeOptions

  constructor(options: FakeOptions = {}) {
    this.#options = options
    this.limits = { ...LIMITS, ...options.limits }
  }

  async commitLenient(
    commands: readonly Command[],
    options: LenientOptions
  ): Promise<LenientResult> {
    const call = this.calls++
    if (options.signal?.aborted) throw aborted()
    if (commands.length > this.limits.commitCommands) throw tooMany(commands.length, this.limits)
    this.#options.onCommit?.(call)
    // Staging is synchronous, as it is in the store: later calls see it at once.
    const rejected = this.#stage(commands, options)
    const { idempotencyKey: key, headersOf } = options
    if (key !== undefined) this.headers.set(key, headersOf?.(rejected) ?? {})
    this.commitSizes.push(commands.length)
    this.inFlight += 1
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight)
    const { delayMs = 0 } = this.#options
    await setTimeout(typeof delayMs === 'number' ? delayMs : delayMs(call))
    this.inFlight -= 1
    return { rejected }
  }

  commitOf(idempotencyKey: string): number | undefined {
    const index = [...this.headers.keys()].indexOf(idempotencyKey)
    return index < 0 ? undefined : index
  }

  async headersAt(position: number): Promise<Readonly<Record<string, string>>> {
    return [...this.headers.values()][position] ?? {}
  }

  #stage(commands: readonly Command[], options: LenientOptions): LenientResult['rejected'] {
    const dry = options.dryRun === true
    const concepts = dry ? new Map(this.concepts) : this.concepts
    const associations = dry ? new Set(this.associations) : this.associations
    const rejected: LenientResult['rejected'] = []
    commands.forEach((command, index) => {
      const name = command.do === 'associate' ? nameOf(command) : undefined
      const error =
        (name && options.order?.hold(index, name)) ??
        apply(command, concepts, associations, options.createMissing === true)
      if (name && error instanceof StoreError) options.order?.leftOut(index, name, error)
      if (error !== undefined) rejected.push({ command: index, error })
      else if (!dry) {
        this.accepted.push(command)
        this.position += 1
      }
    })
    return rejected
  }
}

function apply(
  command: Command,
  concepts: Map<string, string>,
  associations: Set<string>,
  createMissing: boolean
): StoreError | undefined {
  if (command.do === 'learn') {
    if (command.content === '' && command.stub !== true) {
      const details = { field: 'content', received: '', expected: 'a non-empty string' }
      return new StoreError('COMMAND_INVALID', 'content must not be empty', details)
    }
    const id = command.id === undefined ? ConceptId.fromContent(command.content) : idOf(command.id)
    if (command.ifExists === 'fail' && concepts.has(id)) {
      return new StoreError('CONCEPT_EXISTS', `Concept ${id} exists`, { id, version: 1 })
    }
    if (command.ifExists !== 'keep' || !concepts.has(id)) concepts.set(id, command.content)
    return undefined
  }
  if (command.do !== 'associate') throw new Error(`An import does not ${command.do}`)
  const ends = [idOf(command.source), idOf(command.target)]
  for (const id of ends) {
    if (concepts.has(id)) continue
    if (createMissing) concepts.set(id, '')
    else return new StoreError('CONCEPT_NOT_FOUND', `Concept ${id} does not exist`, { id })
  }
  const name = [...ends, command.type, command.key].join(' ')
  if (command.ifExists === 'fail' && associations.has(name)) {
    const [source = '', target = ''] = ends
    const details = { source, target, type: command.type, version: 1 }
    return new StoreError('ASSOCIATION_EXISTS', `Association ${name} exists`, details)
  }
  associations.add(name)
  return undefined
}

function nameOf({ source, target, type, key }: Extract<Command, { do: 'associate' }>): CheckedName {
  return { source: { id: idOf(source) }, target: { id: idOf(target) }, name: type, key }
}

function idOf(input: IdInput): ConceptId {
  return typeof input === 'string' ? input : ConceptId.fromKey(input.key)
}

function aborted(): StoreError {
  return new StoreError('ABORTED', 'The commit was aborted', { operation: 'commit' })
}

function tooMany(value: number, { commitCommands: max }: Limits): StoreError {
  const details = { limit: 'commitCommands', value, max }
  return new StoreError('LIMIT_EXCEEDED', `A commit of ${value} commands exceeds ${max}`, details)
}
