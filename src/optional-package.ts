import { StoreError } from './errors.ts'

/**
 * Loads a package that is not installed with this one, because few programs need it.
 *
 * @param operation What needs it, for the message.
 * @throws StoreError `UNSUPPORTED`, with what to install.
 */
export async function loadOptional<T>(
  name: string,
  operation: string,
  load: () => Promise<T>
): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    if (!(cause instanceof Error) || !('code' in cause) || cause.code !== 'ERR_MODULE_NOT_FOUND') {
      throw cause
    }
    const reason = `it needs the package ${name}: npm install ${name}`
    const message = `The ${operation} is not supported: ${reason}`
    throw new StoreError('UNSUPPORTED', message, { operation, reason }, { cause })
  }
}
