// What is at `data.product_list` in this answer?

/** Follows dots through objects; `''` is the whole. `undefined` when the way ends early. */
export function readPath(value: unknown, path: string): unknown {
  if (path === '') return value
  let current = value
  for (const key of path.split('.')) {
    if (typeof current !== 'object' || current === null) return undefined
    current = (current as Record<string, unknown>)[key]
  }
  return current
}
