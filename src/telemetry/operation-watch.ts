import { OPERATION_CHANNELS, type OperationGroup, type OperationMessage } from './channels.ts'

/** One call of a method of the store. */
export interface OperationCall {
  readonly group: OperationGroup
  /** Name of the method. */
  readonly operation: string
  /** Of how many parts it consists; below two it is no batch. */
  readonly batchSize?: number | undefined
  /** What of the store it is about, such as a projection of the program's own. */
  readonly collection?: string
  /** What it starts goes on after it and is no part of it, such as the work of an open store. */
  readonly isDetached?: boolean
}

/** What the handler of a subscription is given at once. */
export interface ConsumedEvents {
  readonly subscription: string
  /** Of the only event, or of the first one of a batch. */
  readonly position: number
  readonly type: string
  /** `undefined` for a handler that takes one event. */
  readonly count: number | undefined
  readonly attempt: number
  readonly redelivered: boolean
}

/** Makes a span of every operation. */
export interface OperationTracer {
  /** Runs a handler, in a span that is nobody's child. */
  consume(events: ConsumedEvents, work: () => Promise<void>): Promise<void>
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

  /** Who runs handlers of subscriptions; `undefined`: nobody looks on. */
  get consumer(): OperationTracer['consume'] | undefined {
    const tracer = this.#tracer
    return tracer === undefined ? undefined : async (events, work) => tracer.consume(events, work)
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

  /** A read that gives what it finds one by one, and of which nothing is made when nobody watches. */
  stream<T>(operation: string, items: AsyncIterable<T>): AsyncIterable<T> {
    return this.watches('query') ? this.iterate({ group: 'query', operation }, items) : items
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

  #messageOf({ operation, batchSize, collection }: OperationCall): OperationMessage {
    return {
      operation,
      directory: this.#directory,
      ...(batchSize === undefined ? {} : { batchSize }),
      ...(collection === undefined ? {} : { collection })
    }
  }
}

/** Tells nobody: of a store that holds telemetry of another one. */
export class NoWatch extends OperationWatch {
  override watches(): boolean {
    return false
  }
}
