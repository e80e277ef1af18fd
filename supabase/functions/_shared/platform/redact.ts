// Which names and values are secrets, and how a text or a value looks without them.
import { ERRORS } from './errors.ts'

const REDACTED = '[redacted]'

// Compared with the name in lower case without separators: `X-Api-Key`, `api_key` and `apiKey` are one.
const SECRET_NAME =
  /authorization|token|apikey|secret|passw|passphrase|credential|cookie|privatekey|signature|assertion|bearer|jwt|sessionid|verifier|connectionstring|databaseurl|dburl/
const SECRET_EXACT_NAMES = new Set(['key', 'pwd', 'pass', 'pin', 'otp', 'sig', 'auth', 'state'])

// `code` is both OAuth's single-use secret and the name of every error code we want to read.
const HARMLESS_CODE = /^(?:[0-9A-Z]{5}|PGRST\d{3}|E[A-Z_]{3,30}|ERR_[A-Z_]{3,40}|\d{3})$/

/** Does a field of this name hold a secret? `value` decides the one ambiguous name, `code`. */
export function isSecretName(name: string, value?: unknown): boolean {
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, '')
  if (plain === 'code') {
    const text = String(value)
    return !Object.hasOwn(ERRORS, text) && !HARMLESS_CODE.test(text)
  }
  return SECRET_EXACT_NAMES.has(plain) || SECRET_NAME.test(plain)
}

const SECRET_TEXTS: [RegExp, string][] = [
  [/\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, REDACTED], // JWT
  [
    /\b(?:sb_secret|whsec|whsk|sk_live|sk_test|xox[a-z]|gh[a-z]|shp[a-z]{2})[_-][\w+/=-]+/g,
    REDACTED,
  ],
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${REDACTED}`],
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, `$1${REDACTED}@`], // userinfo of a URL
  [
    /([?&](?:access_token|refresh_token|token|code|state|key|api_?key|sig|signature|client_secret|secret|password)=)[^&#\s"']+/gi,
    `$1${REDACTED}`,
  ],
  [/-----BEGIN[^-]*PRIVATE KEY-----[\s\S]*?(?:-----END[^-]*PRIVATE KEY-----|$)/g, REDACTED],
]

/**
 * Takes known shapes of secrets out of a text.
 *
 * @param secrets Values to take out wherever they appear, such as the credentials just sent.
 */
export function redactText(text: string, secrets: Iterable<string> = []): string {
  let result = text
  for (const secret of secrets) {
    // shorter ones would tear holes into ordinary words
    if (secret.length >= 4) result = result.replaceAll(secret, REDACTED)
  }
  for (const [pattern, replacement] of SECRET_TEXTS) result = result.replace(pattern, replacement)
  return result
}

const MAX_DEPTH = 8
const MAX_ITEMS = 100
const MAX_TEXT = 4_000

/** Makes any value JSON, without secrets, without cycles, of bounded size. Never throws. */
export function redactValue(value: unknown, depth = 0, above: object[] = []): unknown {
  if (typeof value === 'string') {
    return redactText(value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value)
  }
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`
  if (typeof value !== 'object' || value === null) return value
  if (above.includes(value)) return '[circular]'
  if (depth >= MAX_DEPTH) return '[too deep]'
  const within = [...above, value]
  try {
    if (value instanceof Date) {
      return Number.isNaN(value.valueOf()) ? 'Invalid Date' : value.toISOString()
    }
    if (value instanceof URL) return redactText(value.href)
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
      return `[${value.byteLength} bytes]`
    }
    if (value instanceof Error) return redactError(value, depth, within)
    if (Array.isArray(value) || value instanceof Set) {
      return [...value].slice(0, MAX_ITEMS).map((item) => redactValue(item, depth + 1, within))
    }
    const isPairs = value instanceof Map || value instanceof Headers ||
      value instanceof URLSearchParams
    const entries: [unknown, unknown][] = isPairs ? [...value] : Object.entries(value)
    return redactEntries(entries, depth, within)
  } catch {
    return '[unreadable]' // a getter or a proxy threw; a log line must not
  }
}

function redactError(error: Error, depth: number, within: object[]): unknown {
  const entries: [string, unknown][] = [
    ['name', error.name],
    ['message', error.message],
    ...Object.entries(error).filter(([key]) => key !== 'name'),
    ['stack', error.stack],
  ]
  if (error.cause !== undefined) entries.push(['cause', error.cause])
  return redactEntries(entries, depth, within)
}

function redactEntries(
  entries: [unknown, unknown][],
  depth: number,
  within: object[],
): Record<string, unknown> {
  return Object.fromEntries(
    entries.slice(0, MAX_ITEMS).map(([rawKey, item]) => {
      const key = String(rawKey)
      // "is there a token" is worth knowing and tells nothing
      const tellsNothing = item === null || item === undefined || typeof item === 'boolean'
      if (!tellsNothing && isSecretName(key, item)) return [key, REDACTED]
      return [key, redactValue(item, depth + 1, within)]
    }),
  )
}
