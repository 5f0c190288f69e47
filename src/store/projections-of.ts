import type { Projections } from '../types.ts'
import type { Engine } from './engine.ts'

interface Guards {
  /** @throws StoreError `STORE_CLOSED` */
  toRead(operation: string): void
  /** @throws StoreError `STORE_CLOSED`, `STORE_READ_ONLY` */
  toWrite(operation: string): void
}

/** `store.projections`: each method checks whether the store is open, and hands on what it got. */
export function projectionsOf(engine: Engine, { toRead, toWrite }: Guards): Projections {
  return Object.freeze<Projections>({
    list() {
      toRead('projections.list')
      return engine.projections.list()
    },
    async hash(name, options = {}) {
      toRead('projections.hash')
      return engine.projections.hash(name, options)
    },
    async compare(name, options = {}) {
      toWrite('projections.compare')
      return engine.projections.compare(name, options)
    },
    async promote(name, options = {}) {
      toWrite('projections.promote')
      await engine.projections.promote(name, options)
    },
    async cancel(name) {
      toWrite('projections.cancel')
      await engine.projections.cancel(name)
    },
    async drop(name) {
      toWrite('projections.drop')
      await engine.projections.drop(name)
    }
  })
}
