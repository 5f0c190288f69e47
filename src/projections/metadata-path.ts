/** Reads one field of metadata. Filters and indexes go through here, so that they cannot disagree. */

export type Metadata = Readonly<Record<string, unknown>>

/**
 * Path `a.b` is the own field named `a.b`, else field `b` of the object in field `a`. Arrays are
 * not walked, inherited fields never seen: a path `constructor` must not find the one that every
 * object inherits.
 */
export function metadataReader(path: string): (metadata: Metadata) => unknown {
  if (!path.includes('.')) return (metadata) => own(metadata, path)
  const steps = path.split('.')
  return (metadata) => {
    if (Object.hasOwn(metadata, path)) return metadata[path]
    let value: unknown = metadata
    for (const step of steps) {
      value = own(value, step)
      if (value === undefined) return undefined
    }
    return value
  }
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  // Any object that is no array may be read by name; `hasOwn` decides whether the name is there.
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
}
