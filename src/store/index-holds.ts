import type { VectorsClient, VectorsPin } from '../projections/vectors/client.ts'

/** What a view holds on to: the index leaves out vectors later that it may still find. */
export interface HeldIndex {
  /** `undefined` while one is made anew. */
  readonly client: VectorsClient | undefined
  pin: VectorsPin | undefined
  /** Not before the view's own. */
  readonly position: number
}

/** Everything that readers hold of the index, of whichever one there was when they began. */
export class IndexHolds {
  /** Each with all its pins: a read that has begun goes on with the first. */
  readonly #held = new Map<HeldIndex, VectorsPin[]>()

  hold(client: VectorsClient | undefined, position: number): HeldIndex {
    const pin = client?.pin()
    const held = { client, pin, position }
    this.#held.set(held, pin === undefined ? [] : [pin])
    return held
  }

  release(held: HeldIndex | undefined): void {
    if (held === undefined) return
    const pins = this.#held.get(held) ?? []
    this.#held.delete(held)
    for (const pin of pins) held.client?.unpin(pin)
  }

  /**
   * Whether every reader has a pin of what it may find, so that the index may leave out what is dead
   * by now. Not so for those who began before this index was made, and for those whose vectors were
   * not all read from the log when they began; once they are, there is a second pin.
   */
  mayLeaveOut(client: VectorsClient): boolean {
    for (const [held, pins] of this.#held) {
      if (held.client !== client || held.pin === undefined) return false
      if (held.pin.ingested >= held.position) continue
      const pin = client.pin()
      if (pin.ingested < held.position) {
        client.unpin(pin)
        return false
      }
      pins.push(pin)
      held.pin = pin
    }
    return true
  }
}
