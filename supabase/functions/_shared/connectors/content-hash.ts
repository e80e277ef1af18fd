// Did this record change since we stored it? A short fingerprint that ignores the order of keys.
import { createHash } from 'node:crypto'

/**
 * Sixteen bytes of SHA-256 over what the row would hold, as 22 characters of base64url. The columns are
 * in it beside the raw record, so a mapping that changed in the code rewrites the rows it changes.
 *
 * @throws NestedTooDeep
 */
export function contentHash(columns: unknown, raw: unknown): string {
  return createHash('sha256')
    .update(stable(columns) + '\n' + stable(raw))
    .digest('base64url')
    .slice(0, 22)
}

/** Far beyond what a platform means, and well within what JSON.stringify and Postgres can take. */
const MAX_DEPTH = 500

/** A record no table can hold. */
export class NestedTooDeep extends Error {
  override readonly name = 'NestedTooDeep'

  constructor() {
    super(`is nested more than ${MAX_DEPTH} levels deep`)
  }
}

/** JSON with sorted keys: platforms and JSON libraries do not promise an order. */
function stable(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw new NestedTooDeep()
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value) ?? 'null'
  }
  if (Array.isArray(value)) return `[${value.map((item) => stable(item, depth + 1)).join(',')}]`
  const object = value as Record<string, unknown>
  let text = '{'
  for (const key of Object.keys(object).sort()) {
    if (object[key] === undefined) continue
    text += `${text === '{' ? '' : ','}${JSON.stringify(key)}:${stable(object[key], depth + 1)}`
  }
  return text + '}'
}
