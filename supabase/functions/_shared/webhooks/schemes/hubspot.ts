// HubSpot: three versions of a signature. Where the third is there, only that one counts.
import { isPost, refused, type Scheme, verified } from './scheme-definition.ts'
import { keysOf, type SignatureRule, whyRefused } from './signature.ts'

const secret = 'client_secret'

const V3: SignatureRule = {
  secret,
  headers: ['x-hubspot-signature-v3'],
  timestamp: { header: 'x-hubspot-request-timestamp', unit: 'ms' },
  encoding: 'base64',
  content: '{method}{url}{body}{timestamp}',
  urls: (url) => [decodeSome(url), url],
}

const VERSION = 'x-hubspot-signature-version'
const older: Pick<SignatureRule, 'secret' | 'headers' | 'encoding' | 'plainHash'> = {
  secret,
  headers: ['x-hubspot-signature'],
  encoding: 'hex',
  plainHash: true,
}
/** Neither has a time: a webhook that is sent again by somebody else is found by its events' ids. */
const OLDER: Record<string, SignatureRule> = {
  v1: older,
  v2: { ...older, content: '{method}{url}{body}' },
}

export const hubspot: Scheme = {
  headers: [...V3.headers, V3.timestamp!.header, ...older.headers, VERSION],
  looksAt: 'url',
  verify(request, secrets, now) {
    if (!isPost(request)) return refused('wrong_method')
    const { headers } = request
    const version = headers.get(VERSION) ?? 'v1'
    const rule = headers.has(V3.headers[0])
      ? V3
      : Object.hasOwn(OLDER, version)
      ? OLDER[version]!
      : null
    if (rule === null) return refused('malformed_signature')
    const reason = whyRefused(rule, request, keysOf(rule, secrets), now) ??
      (rule.plainHash && !isList(request.body) ? 'wrong_signature' : null)
    return reason === null ? verified : refused(reason)
  },
}

/**
 * Whoever has seen a plain hash can make the one of a longer body, by bytes of padding that no JSON has. HubSpot sends
 * lists alone.
 */
function isList(body: Uint8Array): boolean {
  try {
    return Array.isArray(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)))
  } catch {
    return false
  }
}

/** HubSpot signs the address with these escapes decoded, and no others. */
const DECODED = new Set(
  ['3A', '2F', '3F', '40', '21', '24', '27', '28', '29', '2A', '2C', '3B'],
)

const decodeSome = (url: string) =>
  url.replaceAll(
    /%([0-9a-fA-F]{2})/g,
    (escape, hex: string) =>
      DECODED.has(hex.toUpperCase()) ? String.fromCharCode(parseInt(hex, 16)) : escape,
  )
