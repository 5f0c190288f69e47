/** The events of an open store, as its caller asks for them; live ones end when it closes. */
import { observeEvents, readEvents } from '../pipeline/events.ts'
import type { Observable } from '../rxjs.ts'
import type { OperationWatch } from '../telemetry/operation-watch.ts'
import type { EventsOptions, StoredEvent } from '../types.ts'
import type { Engine } from './engine.ts'

export function eventsOf(
  { parts, closing }: Engine,
  operations: OperationWatch,
  options: EventsOptions,
  method: 'events' | 'events$' = 'events'
): AsyncIterable<StoredEvent> {
  return operations.stream(method, readEvents(parts.log, options, closing.signal))
}

export function events$Of(
  engine: Engine,
  operations: OperationWatch,
  options: EventsOptions
): Observable<StoredEvent> {
  return observeEvents(options, (asked) => eventsOf(engine, operations, asked, 'events$'))
}
