/**
 * Events that a handler could not do. The log says that each was set aside, and when; the checkpoint
 * says which of them still are.
 */
import { StoreError } from '../../errors.ts'
import { optionInvalid } from '../../options.ts'
import type { QuarantinedEvent, StoredEvent } from '../../types.ts'
import type { Quarantined } from './checkpoint.ts'
import type { CheckpointKeeper } from './keeper.ts'

/** An event of the log about a subscription. */
export type SubscriptionNote =
  | {
      type: 'event-quarantined'
      subscription: string
      position: number
      attempts: number
      error: string
    }
  | {
      type: 'event-released'
      subscription: string
      position: number
      outcome: 'handled' | 'discarded'
    }

export interface QuarantineHost {
  /** Appends an event about the subscription, once for a key. Resolves with its position, durable. */
  note(note: SubscriptionNote, key: string): Promise<number>
  /** `undefined` where the event is lost. */
  eventAt(position: number): Promise<StoredEvent | undefined>
  /** The same for whoever asks for many: what stands in the frame that was read last costs nothing. */
  eventCursor(): QuarantineHost['eventAt']
}

export class Quarantine {
  readonly #host: QuarantineHost
  readonly #keeper: CheckpointKeeper

  constructor(host: QuarantineHost, keeper: CheckpointKeeper) {
    this.#host = host
    this.#keeper = keeper
  }

  get size(): number {
    return this.#entries.length
  }

  /**
   * Sets an event aside and moves the checkpoint behind it. If the process dies before the note, the
   * event is delivered again; if it dies between note and checkpoint, too, and the key finds the note
   * that is there: a poison event is never noted twice.
   *
   * @param to The checkpoint behind it, and the time there.
   */
  async add(
    event: Pick<StoredEvent, 'position'>,
    why: { attempts: number; error: string },
    to: { position: number; time: number }
  ): Promise<void> {
    const { position } = event
    const { name, epoch } = this.#keeper.checkpoint
    const note = { type: 'event-quarantined', subscription: name, position, ...why } as const
    const noted = await this.#host.note(note, `quarantine:${name}:${epoch}:${position}`)
    await this.#keeper.keep({
      ...to,
      quarantined: [...this.#without(position), { position, noted }]
    })
  }

  /**
   * Takes an event out. If the process dies between note and checkpoint, it is still in here, and
   * taking it out again adds no second note.
   */
  async release(position: number, outcome: 'handled' | 'discarded'): Promise<void> {
    const { noted } = this.find(position)
    const { name, epoch } = this.#keeper.checkpoint
    const note = { type: 'event-released', subscription: name, position, outcome } as const
    await this.#host.note(note, `release:${name}:${epoch}:${position}:${noted}`)
    await this.#keeper.keep({ quarantined: this.#without(position) })
  }

  /** @throws StoreError `OPTION_INVALID` */
  find(position: number): Quarantined {
    const found = this.#entries.find((one) => one.position === position)
    if (found !== undefined) return found
    throw optionInvalid('position', position, 'the position of an event that is in quarantine')
  }

  /** @throws StoreError `LOG_DAMAGED` where the event is lost. */
  async read(position: number): Promise<StoredEvent> {
    const event = await this.#host.eventAt(position)
    if (event !== undefined) return event
    const details = { from: position, to: position, reason: 'the event is lost in a gap' }
    throw new StoreError('LOG_DAMAGED', `The event at ${position} is lost in a gap`, details)
  }

  /** In the order of their positions. */
  async *list(): AsyncGenerator<QuarantinedEvent, void> {
    const entries = this.#entries.toSorted((a, b) => a.position - b.position)
    // Either go forward, nearly always: notes are written in the order of the events.
    const [notes, events] = [this.#host.eventCursor(), this.#host.eventCursor()]
    for (const { position, noted } of entries) {
      const [note, event] = [await notes(noted), await events(position)]
      const { attempts, error } = note?.data ?? {}
      yield {
        position,
        noted,
        ...(note === undefined ? {} : { time: note.time }),
        ...(typeof attempts === 'number' ? { attempts } : {}),
        ...(typeof error === 'string' ? { error } : {}),
        ...(event === undefined ? {} : { event })
      }
    }
  }

  get #entries(): readonly Quarantined[] {
    return this.#keeper.checkpoint.quarantined
  }

  #without(position: number): Quarantined[] {
    return this.#entries.filter((one) => one.position !== position)
  }
}
