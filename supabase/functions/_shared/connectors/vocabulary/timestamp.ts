// When was that, in one spelling? Platforms write offsets with and without a colon.
import { z } from 'zod'

const RFC_3339 = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/i

// An offset can move a time out of the four-digit years, where neither RFC 3339 nor Postgres follows.
const FIRST_MS = Date.parse('0001-01-01T00:00:00Z')
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** RFC 3339 in UTC with milliseconds; null when the text is not a time with an offset. */
export function timestampText(value: unknown): string | null {
  if (typeof value !== 'string' || !RFC_3339.test(value)) return null
  const ms = Date.parse(value.replace(' ', 'T').replace(/([+-]\d\d)(\d\d)$/, '$1:$2'))
  return ms >= FIRST_MS && ms <= LAST_MS ? new Date(ms).toISOString() : null
}

/** A record field that carries a time; its output is RFC 3339 in UTC. */
export const timestamp = z.unknown().transform((value, context) => {
  const text = timestampText(value)
  if (text !== null) return text
  context.issues.push({
    code: 'custom',
    message: 'must be a time with an offset',
    input: value,
  })
  return z.NEVER
})
