// What may not reach Postgres? `\u0000` and half surrogate pairs: neither text nor jsonb takes them.

/** Escapes that can be the trouble; a page without them needs no walk. */
const SUSPECT = /\\u0000|\\ud[89a-f]|[\0\ud800-\udfff]/i

/** The parsed `value` of `json`, with such characters removed or replaced by U+FFFD. */
export function storable(value: unknown, json: string): unknown {
  return SUSPECT.test(json) ? clean(value) : value
}

function clean(value: unknown): unknown {
  if (typeof value === 'string') {
    return value.replaceAll('\0', '').toWellFormed()
  }
  if (Array.isArray(value)) return value.map(clean)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [clean(key) as string, clean(inner)]),
  )
}
