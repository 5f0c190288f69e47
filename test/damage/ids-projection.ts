import { defineProjection, type ProjectionDefinition, type Rows } from 'sutra-storage'

/** A projection of a program's own, to be damaged: where each id was learned. */
export const ids: ProjectionDefinition<'concept-learned', string, number> = defineProjection({
  name: 'ids',
  version: 1,
  types: ['concept-learned'],
  apply({ data, position }, rows: Rows<string, number>) {
    rows.put(data.id, position)
  },
  queries: {}
})
