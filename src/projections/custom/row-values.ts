/**
 * Values of rows as MessagePack that gives them back as they were. The general encoder takes whatever
 * it is given and changes in silence what it has no form for: numbers of typed arrays are cut to
 * bytes, with those of other rows behind them, sets become arrays, functions are left out.
 */
import { types } from 'node:util'
import { StoreError, show } from '../../errors.ts'
import { isPlain, unpackExactly } from '../../storage/codec.ts'
import { MessageWriter, TYPED_ARRAYS } from '../../storage/message-writer.ts'

const ROW_VALUE_BYTES_MAX = 1024 * 1024
/** Deep enough for any row; what refers to itself gets here too. */
const DEPTH_MAX = 256

const writer = new MessageWriter()
/** Names and indexes that lead to the value at hand, for whoever has to look for it. */
const path: (string | number)[] = []

/**
 * A copy of the value.
 *
 * @throws TypeError for what could not be given back as it is.
 * @throws StoreError `LIMIT_EXCEEDED`
 */
export function encodeRowValue(value: unknown): Buffer {
  if (value === undefined) throw new TypeError('A row must have a value, received undefined')
  writer.begin()
  write(value, 0)
  if (writer.at > ROW_VALUE_BYTES_MAX) throw tooLarge(writer.at)
  return writer.finishSmall()
}

export function decodeRowValue(payload: Buffer): unknown {
  return unpackExactly(payload)
}

function write(value: unknown, depth: number): void {
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) throw refuse('text that is not well-formed', depth)
      writer.text(value)
      return
    case 'number':
      writer.number(value)
      return
    case 'boolean':
      writer.boolean(value)
      return
    case 'object':
      if (value === null) writer.nil()
      else writeObject(value, depth)
      return
    case 'bigint':
      if (!isInt64(value)) throw refuse(`the number ${value}n, of more than 64 bits,`, depth)
      writer.value(value)
      return
    case 'undefined':
      writer.value(value)
      return
    case 'function':
    case 'symbol':
      throw refuse(`a ${typeof value}`, depth)
  }
}

function writeObject(value: object, depth: number): void {
  if (writer.at > ROW_VALUE_BYTES_MAX) throw tooLarge(writer.at)
  if (Array.isArray(value)) writeArray(value, depth)
  else if (isPlain(value)) writeMembers(value, depth)
  else if (types.isUint8Array(value)) writer.bytes(value)
  else if (isTypedArray(value)) writer.typedArray(value)
  // Of another realm or a class of its own it would be text.
  else if (types.isDate(value)) writer.value(new Date(Date.prototype.getTime.call(value)))
  else throw refuse(`an object of class ${classOf(value)}`, depth)
}

function writeArray(value: readonly unknown[], depth: number): void {
  if (depth === DEPTH_MAX) throw tooDeep(depth)
  writer.array(value.length)
  for (let i = 0; i < value.length; i++) {
    const member = value[i]
    path[depth] = i
    if (member === undefined && !(i in value)) throw refuse('a hole in an array', depth + 1)
    write(member, depth + 1)
  }
}

function writeMembers(value: Record<string, unknown>, depth: number): void {
  if (depth === DEPTH_MAX) throw tooDeep(depth)
  if (Object.getOwnPropertySymbols(value).length > 0) throw refuse('a symbol as name', depth)
  const names = Object.keys(value)
  writer.map(names.length)
  for (const name of names) {
    path[depth] = name
    // The decoder names it otherwise, so that it sets no prototype.
    if (name === '__proto__') throw refuse('a member of this name', depth + 1)
    if (!name.isWellFormed()) throw refuse('a name that is not well-formed', depth + 1)
    writer.text(name)
    write(value[name], depth + 1)
  }
}

function isTypedArray(value: object): value is NodeJS.TypedArray {
  return types.isTypedArray(value) && TYPED_ARRAYS.includes(value[Symbol.toStringTag])
}

function isInt64(value: bigint): boolean {
  return value >= -0x8000000000000000n && value <= 0xffffffffffffffffn
}

function classOf(value: object): string {
  return typeof value.constructor === 'function' ? value.constructor.name : show(value)
}

function tooDeep(depth: number): TypeError {
  return refuse(`nesting deeper than ${DEPTH_MAX}, or itself`, depth)
}

function refuse(reason: string, depth: number): TypeError {
  const where = path
    .slice(0, depth)
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
  const at = depth === 0 ? '' : ` at '${where.join('').replace(/^\./, '').slice(0, 200)}'`
  return new TypeError(
    `The value of a row holds ${reason}${at}, which could not be given back as it was`
  )
}

function tooLarge(bytes: number): StoreError<'LIMIT_EXCEEDED'> {
  const message = `The row takes ${bytes} bytes, the limit is ${ROW_VALUE_BYTES_MAX}`
  const details = { limit: 'rowValueBytes', value: bytes, max: ROW_VALUE_BYTES_MAX }
  return new StoreError('LIMIT_EXCEEDED', message, details)
}
