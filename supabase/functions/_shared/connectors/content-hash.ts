// Did this record change since we stored it? A short fingerprint that ignores the order of keys.
import { createHash } from 'node:crypto'

/**
 * Sixteen bytes of SHA-256 over what the row would hold, as 22 characters of base64url. The columns are
 * in it beside the raw record, so a mapping that changed in the code rewrites the rows it changes.
 */
export function contentHash(columns: unknown, raw: unknown): string {
  return createHash('sha256')
    .update(stable(columns) + '\n' + stable(raw))
    .digest('base64url')
    .slice(0, 22)
}

/** JSON with sorted keys: platforms and JSON libraries do not promise an order. */
function stable(value: unknown): string {
  if (typeof value !== 'object' || value === null) {
    return JSON.stringify(value) ?? 'null'
  }
  if (Array.isArray(value)) return `[${value.map(stable).join(',')}]`
  const object = value as Record<string, unknown>
  let text = '{'
  for (const key of Object.keys(object).sort()) {
    if (object[key] === undefined) continue
    text += `${text === '{' ? '' : ','}${JSON.stringify(key)}:${stable(object[key])}`
  }
  return text + '}'
}
