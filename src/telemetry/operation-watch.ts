import { OPERATION_CHANNELS, type OperationGroup, type OperationMessage } from './channels.ts'

/** One call of a method of the store. */
export interface OperationCall {
  readonly group: OperationGroup
  /** Name of the method. */
  readonly operation: string
  /** Of how many parts it consists; below two it is no batch. */
  readonly batchSize?: number | undefined
  /** What it starts goes on after it and is no part of it, such as the work of an open store. */
  readonly isDetached?: boolean
}

/** Makes a span of every operation. */
export interface OperationTracer {
  run<T>(call: OperationCall, work: () => Promise<T>): Promise<T>
  iterate<T>(call: OperationCall, items: AsyncIterable<T>): AsyncGenerator<T, void>
}

/**
 * Tells whoever watches of each operation: tracing channels, and spans if they were asked for.
 * Callers ask `watches` first, so that nothing is made when nobody does.
 */
export class OperationWatch {
  readonly #directory: string
  readonly #tracer: OperationTracer | undefined

  constructor(directory: string, tracer?: OperationTracer) {
    this.#directory = directory
    this.#tracer = tracer
  }

  watches(group: OperationGroup): boolean {
    return this.#tracer !== undefined || OPERATION_CHANNELS[group].hasSubscribers
  }

  /** @param operation Name of the method: there are several for changes of one kind. */
  commit<T>(operation: string, commands: unknown, work: () => Promise<T>): Promise<T> {
    if (!this.watches('commit')) return work()
    // What is no array is refused by the work itself.
    const batchSize = Array.isArray(commands) ? commands.length : undefined
    return this.run({ group: 'commit', operation, batchSize }, work)
  }

  task<T>(operation: string, work: () => Promise<T>): Promise<T> {
    return this.watches('task') ? this.run({ group: 'task', operation }, work) : work()
  }

  /** Starts the work in the caller's turn, so that it is a child of what the caller is in. */
  run<T>(call: OperationCall, work: () => Promise<T>): Promise<T> {
    const tracer = this.#tracer
    const traced = tracer === undefined ? work : () => tracer.run(call, work)
    const channels = OPERATION_CHANNELS[call.group]
    if (!channels.hasSubscribers) return traced()
    return channels.tracePromise(traced, this.#messageOf(call))
  }

  /** Begins when the first item is asked for, ends with the last one or with whoever stops. */
  iterate<T>(call: OperationCall, items: AsyncIterable<T>): AsyncGenerator<T, void> {
    const traced = this.#tracer?.iterate(call, items) ?? items
    return this.#publish(call, traced)
  }

  async *#publish<T>(call: OperationCall, items: AsyncIterable<T>): AsyncGenerator<T, void> {
    const channels = OPERATION_CHANNELS[call.group]
    const message = this.#messageOf(call)
    channels.start.publish(message)
    channels.end.publish(message)
    try {
      yield* items
    } catch (error) {
      message.error = error
      channels.error.publish(message)
      throw error
    } finally {
      channels.asyncStart.publish(message)
      channels.asyncEnd.publish(message)
    }
  }

  #messageOf({ operation, batchSize }: OperationCall): OperationMessage {
    const message = { operation, directory: this.#directory }
    return batchSize === undefined ? message : { ...message, batchSize }
  }
}

/** Tells nobody: of a store that holds telemetry of another one. */
export class NoWatch extends OperationWatch {
  override watches(): boolean {
    return false
  }
}
