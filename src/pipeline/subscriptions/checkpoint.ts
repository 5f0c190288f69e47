/**
 * What the store keeps about one subscription, in a file of its own under `subscriptions/`. The file's
 * name is made of the subscription's, so that it is found without reading the others.
 */
import { hash, randomBytes } from 'node:crypto'
import { StoreError } from '../../errors.ts'
import { pack, unpack } from '../../storage/codec.ts'

export const SUBSCRIPTIONS_DIRECTORY = 'subscriptions'
/** Room for `QUARANTINE_MAX` entries of twenty bytes, and the rest. */
export const SLOT_BYTES = 32_768
export const QUARANTINE_MAX = 1000

const CHECKPOINT_FORMAT = 1
const FILE_NAME = /^[a-z0-9._-]{0,40}-[0-9a-f]{16}$/

/** An event that was set aside, and where the log says so. */
export interface Quarantined {
  position: number
  noted: number
}

export interface Checkpoint {
  name: string
  /** The store that the position belongs to. */
  storeId: string
  /**
   * Another one since every reset: an event that is set aside behind it is noted again, while a crash
   * between note and checkpoint never notes it twice.
   */
  epoch: string
  /** Everything up to here is handled, or set aside. */
  position: number
  /**
   * Time of the last event up to `position`, by which another history is told; 0 where it is not
   * known.
   */
  time: number
  /** Whether the subscription ended in peace: nothing behind `position` was handled then. */
  isClean: boolean
  quarantined: readonly Quarantined[]
}

export function newEpoch(): string {
  return randomBytes(8).toString('hex')
}

/** Readable, and apart from every other name on disks that take `A` and `a` for one. */
export function fileNameOf(name: string): string {
  const readable = name.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, '_')
  return `${readable.slice(0, 40)}-${hash('sha256', name, 'hex').slice(0, 16)}`
}

export function isCheckpointFile(file: string): boolean {
  return FILE_NAME.test(file)
}

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const { name, storeId, epoch, position, time, isClean, quarantined } = checkpoint
  const aside = quarantined.map((one) => [one.position, one.noted])
  return pack([CHECKPOINT_FORMAT, name, storeId, epoch, position, time, isClean, aside])
}

/** @throws Error that says what is wrong with it. */
export function decodeCheckpoint(record: Uint8Array): Checkpoint {
  const fields = unpack(record)
  if (!Array.isArray(fields)) throw new Error('it is no list')
  const [format, name, storeId, epoch, position, time, isClean, aside] = fields as unknown[]
  if (format !== CHECKPOINT_FORMAT) throw new Error(`its format ${String(format)} is not known`)
  const areTexts = [name, storeId, epoch].every((one) => typeof one === 'string')
  const areNumbers = [position, time].every(isWhole)
  if (!areTexts || !areNumbers || typeof isClean !== 'boolean' || !Array.isArray(aside)) {
    throw new Error('a field is not of its type')
  }
  const quarantined = aside.map((one: unknown): Quarantined => {
    if (!Array.isArray(one) || !isWhole(one[0]) || !isWhole(one[1])) {
      throw new Error('an event that was set aside has no position')
    }
    return { position: one[0], noted: one[1] }
  })
  // The types of all of them were looked at just now.
  return { name, storeId, epoch, position, time, isClean, quarantined } as Checkpoint
}

export function subscriptionDamaged(
  subscription: string,
  reason: string,
  cause?: unknown
): StoreError<'SUBSCRIPTION_DAMAGED'> {
  const file = `${SUBSCRIPTIONS_DIRECTORY}/${fileNameOf(subscription)}`
  const message =
    `The checkpoint of subscription '${subscription}' in ${file} cannot be used: ${reason}. ` +
    'Remove it with unsubscribe(name), then subscribe from where the handler has come'
  return new StoreError('SUBSCRIPTION_DAMAGED', message, { subscription, file, reason }, { cause })
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
