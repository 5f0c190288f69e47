/** One state of something, the one before it behind it. */
export interface Version<T> {
  position: number
  /** `undefined`: forgotten or removed. */
  state: T | undefined
  previous: Version<T> | undefined
}

/** The newest version at or before a position. */
export function versionAt<T>(
  newest: Version<T> | undefined,
  position: number
): Version<T> | undefined {
  let version = newest
  while (version !== undefined && version.position > position) version = version.previous
  return version
}

/** The oldest one. */
export function firstOf<T>(newest: Version<T>): Version<T> {
  let version = newest
  while (version.previous !== undefined) version = version.previous
  return version
}
