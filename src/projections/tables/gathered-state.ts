import type { ConceptId } from '../../ids.ts'
import type { AssociationChanged, AssociationRemoved } from '../../log/event.ts'
import type { KnownState } from '../after-gap.ts'
import { associationKeyOf, otherOrdinalOf } from './association-row.ts'
import type { RowBatch } from './row-batch.ts'
import type { TreeEditor } from './tree-editor.ts'

/** What stands in the tables as a batch and those before it left them: events behind a gap ask for it. */
export class GatheredState implements KnownState {
  readonly #rows: RowBatch
  readonly #editor: TreeEditor

  constructor(rows: RowBatch, editor: TreeEditor) {
    this.#rows = rows
    this.#editor = editor
  }

  isAlive(ordinal: number): boolean {
    return this.#rows.concept(ordinal) !== undefined
  }

  livingOrdinal(id: ConceptId): number | undefined {
    const ordinal = this.#rows.ordinalOf(id)
    return ordinal !== undefined && this.isAlive(ordinal) ? ordinal : undefined
  }

  hasAssociation(event: AssociationChanged | AssociationRemoved): boolean {
    const found = this.#editor.find('out', event.source.ordinal, associationKeyOf(event, 'out'))
    // Under the same id may stand an association to the dead concept that had it before.
    return found !== undefined && otherOrdinalOf(found) === event.target.ordinal
  }
}
