import { StoreError } from '../errors.ts'
import type { VectorMetric } from '../options.ts'
import { commandOf, type Scope, wrongType } from './values.ts'

/** What a vector of this store must be like; `undefined` while none are declared. */
export interface VectorShape {
  dimensions: number
  metric: VectorMetric
}

/**
 * Checks a vector and copies it into f32.
 *
 * @throws StoreError `VECTORS_NOT_DECLARED`, `VECTOR_DIMENSION_MISMATCH`, `VECTOR_INVALID`.
 */
export function checkVector(
  scope: Scope,
  value: unknown,
  shape: VectorShape | undefined
): Float32Array {
  if (!(value instanceof Float32Array) && !Array.isArray(value)) {
    throw wrongType('embedding', 'a Float32Array or an array of numbers', value)
  }
  if (shape === undefined) {
    throw new StoreError('VECTORS_NOT_DECLARED', 'This store was opened without vectors', {
      operation: 'embedding'
    })
  }
  if (value.length !== shape.dimensions) {
    const expected = shape.dimensions
    const message = `The vector has ${value.length} dimensions, expected ${expected}`
    throw new StoreError('VECTOR_DIMENSION_MISMATCH', message, {
      ...commandOf(scope),
      expected,
      received: value.length
    })
  }
  const vector = new Float32Array(value.length)
  let isZero = true
  for (let i = 0; i < value.length; i++) {
    const number: unknown = value[i]
    if (typeof number !== 'number') throw wrongType(`embedding[${i}]`, 'a number', number)
    vector[i] = number
    // A finite double may still be infinite as f32; one such vector spoils every search.
    if (!Number.isFinite(vector[i])) throw refuse(scope, `${number} at ${i} is no finite f32`, i)
    if (vector[i] !== 0) isZero = false
  }
  if (isZero && shape.metric === 'cosine') throw refuse(scope, 'its norm is zero')
  return vector
}

function refuse(scope: Scope, reason: string, index?: number): StoreError<'VECTOR_INVALID'> {
  return new StoreError('VECTOR_INVALID', `The vector is invalid: ${reason}`, {
    ...commandOf(scope),
    reason,
    ...(index === undefined ? {} : { index })
  })
}
