// Is this webhook from who it says, and from now? Standard Webhooks 1.0, on WebCrypto alone, so that it
// runs wherever people receive webhooks: Node, Deno, workers. Whoever has a faster HMAC brings it.
//
// Not with the package `standardwebhooks`: it knows no ed25519, verifies texts instead of bytes, and reads
// `1700000000.5` and `1700000000x` as timestamps. Tests compare the two.
import { type HeaderSource, readHeader } from './header-source.ts'
import { type RawBody, readRawBody } from './raw-body.ts'
import { signedPrefix, WEBHOOK_ID } from './signed-content.ts'
import {
  addKey,
  base64Bytes,
  base64Text,
  countKeys,
  InvalidSigningKey,
  type VerificationKeys,
} from './signing-keys.ts'
import { WebhookVerificationError } from './verification-error.ts'

/** A webhook where it is not a `Request`: what Express, Fastify and serverless platforms have. */
export type WebhookMessage = {
  headers: HeaderSource
  /** As it came over the wire. A body that was parsed and written again is not it any more. */
  body: RawBody
}

/**
 * A `whsec_…` secret, a `whpk_…` public key, or several, of which one has to match. Nothing, as an
 * environment variable that is not set, is refused with `invalid_secret`.
 */
export type WebhookKeys = string | undefined | readonly (string | undefined)[]

export type VerifyOptions = {
  /** How old or how far ahead `webhook-timestamp` may be. Default 300. `Infinity` for one kept since. */
  toleranceSeconds?: number
  /** The largest body that is read. Default 1 MiB. */
  maxBytes?: number
  /** The time now in milliseconds. Default `Date.now`. */
  now?: () => number
}

/** What Plugboard sends. Other senders of Standard Webhooks mostly keep to it too. */
export type WebhookPayload<Data = unknown> = {
  /** Such as `product.updated`. */
  type: string
  /** When it happened, RFC 3339. */
  timestamp: string
  data: Data
}

export type VerifiedWebhook<Payload = WebhookPayload> = {
  /** The event's, the same over all attempts: do not handle one twice. */
  id: string
  /** When this attempt was made, in seconds since 1970. */
  timestamp: number
  payload: Payload
}

export type VerifiedBytes = {
  id: string
  timestamp: number
  /** What was signed, byte for byte: a copy that nobody else can change. */
  body: Uint8Array
}

const DEFAULT_TOLERANCE_SECONDS = 300
const DEFAULT_MAX_BYTES = 1024 * 1024

/**
 * Verifies a webhook and parses its body, in this order. Its payload has the type you say: the sender's
 * signature vouches for it, nothing here checks its fields.
 *
 * @param request A `Request` whose body nobody has read yet, or its headers and raw body.
 * @throws WebhookVerificationError
 * @example
 * const { id, payload } = await verify(request, process.env.WEBHOOK_SECRET)
 */
export async function verify<Payload = WebhookPayload>(
  request: Request | WebhookMessage,
  keys: WebhookKeys,
  options: VerifyOptions = {},
): Promise<VerifiedWebhook<Payload>> {
  const { id, timestamp, body } = await verifyBytes(request, keys, options)
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
    return { id, timestamp, payload: JSON.parse(text) }
  } catch {
    // without the parser's message, which quotes the body
    throw new WebhookVerificationError('invalid_json', 'The body is signed, but not JSON in UTF-8.')
  }
}

/**
 * Verifies a webhook whose body may be anything, and leaves it as it is.
 *
 * @param request A `Request` whose body nobody has read yet, or its headers and raw body.
 * @throws WebhookVerificationError
 */
export async function verifyBytes(
  request: Request | WebhookMessage,
  keys: WebhookKeys,
  options: VerifyOptions = {},
): Promise<VerifiedBytes> {
  return await verifyBytesWith(webCryptoHmac, request, readKeys(keys), options)
}

/** HMAC-SHA256 of the content, in base64. */
export type Hmac = (secret: Bytes, content: Bytes) => string | Promise<string>

/** By the same rules as {@link verifyBytes}, with an HMAC of one's own. */
export async function verifyBytesWith(
  hmac: Hmac,
  request: Request | WebhookMessage,
  { secrets, publicKeys }: VerificationKeys,
  options: VerifyOptions = {},
): Promise<VerifiedBytes> {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES
  // compared with NaN, every body would be small and every timestamp recent
  if (!(maxBytes >= 0)) throw new RangeError('maxBytes is a number that is not negative.')
  const { id, timestamp, signatures } = readHeaders(request.headers)
  requireRecent(timestamp, options)

  const body = await readRawBody(request, maxBytes)
  const prefix = new TextEncoder().encode(signedPrefix(id, timestamp))
  const content = new Uint8Array(prefix.length + body.length)
  content.set(prefix)
  content.set(body, prefix.length)

  if (
    await anySecretMatches(hmac, secrets, content, ofVersion('v1', signatures)) ||
    await anyPublicKeyMatches(publicKeys, content, ofVersion('v1a', signatures))
  ) {
    return { id, timestamp, body: content.subarray(prefix.length) }
  }
  throw new WebhookVerificationError(
    'no_matching_signature',
    'No signature matches: another secret, or other bytes than those that were sent.',
  )
}

type Bytes = Uint8Array<ArrayBuffer>

/**
 * All must be good, so that a mistake shows at once and not when the other one is taken back.
 *
 * @throws WebhookVerificationError `invalid_secret`
 */
export function readKeys(texts: WebhookKeys): VerificationKeys {
  const keys: VerificationKeys = { secrets: [], publicKeys: [] }
  try {
    for (const text of typeof texts === 'string' ? [texts] : texts ?? []) {
      if (typeof text !== 'string' || text === '') throw new InvalidSigningKey('A secret is empty.')
      addKey(keys, text)
    }
    if (countKeys(keys) === 0) throw new InvalidSigningKey('There is no secret to verify with.')
  } catch (error) {
    if (!(error instanceof InvalidSigningKey)) throw error
    throw new WebhookVerificationError('invalid_secret', error.message)
  }
  return keys
}

// One way to write each number, so that what is compared with the clock is what was signed.
const TIMESTAMP = /^(?:0|[1-9]\d{0,14})$/

function readHeaders(
  headers: HeaderSource,
): { id: string; timestamp: number; signatures: string[] } {
  const required = (name: string) => {
    const value = readHeader(headers, name)
    if (value) return value
    throw new WebhookVerificationError('missing_header', `There is no ${name} header.`)
  }
  const id = required('webhook-id')
  const timestamp = required('webhook-timestamp')
  const signatures = required('webhook-signature').split(' ')
  if (!WEBHOOK_ID.test(id)) {
    throw new WebhookVerificationError(
      'invalid_header',
      'webhook-id is not visible ASCII without a full stop.',
    )
  }
  if (!TIMESTAMP.test(timestamp)) {
    throw new WebhookVerificationError('invalid_header', 'webhook-timestamp is not whole seconds.')
  }
  return { id, timestamp: Number(timestamp), signatures }
}

function requireRecent(timestamp: number, options: VerifyOptions): void {
  const tolerance = options.toleranceSeconds ?? DEFAULT_TOLERANCE_SECONDS
  if (!(tolerance >= 0)) throw new RangeError('toleranceSeconds is a number that is not negative.')
  const now = Math.floor((options.now ?? Date.now)() / 1000)
  if (timestamp < now - tolerance) {
    throw new WebhookVerificationError(
      'timestamp_too_old',
      `webhook-timestamp is more than ${tolerance} s old.`,
    )
  }
  if (timestamp > now + tolerance) {
    throw new WebhookVerificationError(
      'timestamp_too_new',
      `webhook-timestamp is more than ${tolerance} s ahead.`,
    )
  }
}

/** Each once. Versions we do not know are others' business. */
function ofVersion(version: string, signatures: string[]): Set<string> {
  const found = new Set<string>()
  for (const signature of signatures) {
    const [name, text] = signature.split(',', 2)
    if (name === version && text) found.add(text)
  }
  return found
}

/** One HMAC a secret, however many signatures there are. */
async function anySecretMatches(
  hmac: Hmac,
  secrets: Bytes[],
  content: Bytes,
  signatures: Set<string>,
): Promise<boolean> {
  if (signatures.size === 0) return false
  let matches = false
  for (const secret of secrets) {
    const expected = await hmac(secret, content)
    for (const signature of signatures) {
      matches = equalInConstantTime(signature, expected) || matches
    }
  }
  return matches
}

async function webCryptoHmac(secret: Bytes, content: Bytes): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', secret, algorithm, false, ['sign'])
  return base64Text(new Uint8Array(await crypto.subtle.sign('HMAC', key, content)))
}

/**
 * As the official libraries do, the texts are compared: base64url, or base64 without its padding, is
 * another text. Only the length, which everybody knows, is told by the time it takes.
 */
function equalInConstantTime(text: string, expected: string): boolean {
  if (text.length !== expected.length) return false
  let difference = 0
  for (let index = 0; index < expected.length; index++) {
    difference |= text.charCodeAt(index) ^ expected.charCodeAt(index)
  }
  return difference === 0
}

// An ed25519 signature costs a third of a millisecond and hashes the content again, so a stranger's long
// list must not buy seconds of CPU. More than a thousand may stand beside a small body, sixty beside a
// mebibyte; a sender has a handful of live keys.
const MAX_COST = 64 * 1024 * 1024
const COST_OF_ONE = 48 * 1024

async function anyPublicKeyMatches(
  publicKeys: Bytes[],
  content: Bytes,
  signatures: Set<string>,
): Promise<boolean> {
  if (signatures.size === 0) return false
  let cost = 0
  for (const publicKey of publicKeys) {
    const key = await importPublicKey(publicKey)
    for (const signature of signatures) {
      const bytes = base64Bytes(signature)
      if (bytes?.length !== 64) continue
      if (await crypto.subtle.verify('Ed25519', key, bytes, content)) return true
      cost += COST_OF_ONE + content.length
      if (cost > MAX_COST) return false
    }
  }
  return false
}

async function importPublicKey(publicKey: Bytes): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify'])
  } catch (error) {
    // any 32 bytes can be imported, where the algorithm is known
    throw new WebhookVerificationError(
      'unsupported_algorithm',
      'This runtime has no Ed25519: verify with the whsec_ secret.',
      { cause: error },
    )
  }
}
