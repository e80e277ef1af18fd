// Does the signature in a header fit the bytes? What platforms do alike, with their differences as data.
import { Buffer } from 'node:buffer'
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import {
  type AppSecrets,
  type InboundRequest,
  type ReceiverSecrets,
  type RefusalReason,
  TOLERANCE_SECONDS,
} from '../scheme.ts'
import { isPost, refused, type Scheme, verified } from './scheme-definition.ts'

export type SignatureRule = {
  /** Whose secret signs: the receiver's own alone, or also our app's of that name. */
  secret: 'signing' | keyof Pick<AppSecrets, 'client_secret' | 'signing_secret'>
  /** The header, in lower case; the first that is there, where there are several names. */
  headers: [string, ...string[]]
  /** Stands before each signature. */
  prefix?: string
  /** `t=1700000000,v1=…,v1=…`: which of the parts is the time, and which are signatures. */
  list?: { timestamp: string; signature: string }
  timestamp?: { header: string; unit: 's' | 'ms' }
  encoding: 'hex' | 'base64'
  /** The secret is this text's bytes when not said. */
  secretEncoding?: 'base64'
  /** What is signed; `{body}` when not said. Places: `{body}`, `{timestamp}`, `{method}`, `{url}`. */
  content?: string
  /** SHA-256 of the secret and the content, instead of an HMAC with it. */
  plainHash?: true
  /** The address as it is signed, where that is not always as it was called: each is tried. */
  urls?(url: string): string[]
}

/** A scheme that is one signature over one POST. */
export function signature(rule: SignatureRule): Scheme {
  return {
    headers: [...rule.headers, ...(rule.timestamp ? [rule.timestamp.header] : [])],
    verify: (request, secrets, now) => {
      if (!isPost(request)) return refused('wrong_method')
      const reason = whyRefused(rule, request, keysOf(rule, secrets), now)
      return reason === null ? verified : refused(reason)
    },
  }
}

/** The secrets that count, newest first. An empty one would let anybody sign. */
export function keysOf(
  { secret, secretEncoding }: Pick<SignatureRule, 'secret' | 'secretEncoding'>,
  { signing, app }: ReceiverSecrets,
): Buffer[] {
  const texts = secret === 'signing' ? signing : [...signing, app?.[secret] ?? '']
  return texts.map((text) => Buffer.from(text, secretEncoding ?? 'utf8'))
    .filter((key) => key.length > 0)
}

export function whyRefused(
  rule: SignatureRule,
  request: InboundRequest,
  keys: Buffer[],
  now: Date,
): RefusalReason | null {
  if (keys.length === 0) return 'no_secret'
  const sent = rule.headers.map((name) => request.headers.get(name)).find((value) => value !== null)
  if (sent === undefined || sent === null || sent === '') return 'missing_signature'

  const parts = rule.list ? partsOf(sent) : null
  const given = (parts ? parts.filter(([name]) => name === rule.list!.signature) : [['', sent]])
    .map(([, value]) => decode(value!, rule))
  const signatures = given.filter((bytes) => bytes !== null)
  if (signatures.length === 0) return 'malformed_signature'

  const times = parts
    ? parts.filter(([name]) => name === rule.list!.timestamp).map(([, value]) => value!)
    : rule.timestamp
    ? [request.headers.get(rule.timestamp.header)].filter((value) => value !== null)
    : null
  const untimely = times && whyUntimely(times, rule.timestamp?.unit ?? 's', now)
  if (untimely) return untimely

  const contents = (rule.urls?.(request.url) ?? [request.url]).map((url) =>
    contentOf(rule.content ?? '{body}', {
      body: request.body,
      timestamp: times?.[0] ?? '',
      method: request.method,
      url,
    })
  )
  // every pair is looked at, so that the time taken tells nothing about which one fits
  let fits = false
  for (const key of keys) {
    for (const content of contents) {
      const expected = digest(rule, key, content)
      for (const bytes of signatures) fits = timingSafeEqual(expected, bytes) || fits
    }
  }
  return fits ? null : 'wrong_signature'
}

/** `t=1,v1=a` → pairs, in order. */
const partsOf = (header: string): [string, string][] =>
  header.split(',').map((part) => {
    const [name, ...value] = part.trim().split('=')
    return [name!, value.join('=')]
  })

const SHA256_BYTES = 32

/** Null for what cannot be a signature of this kind, whatever the secret. */
function decode(text: string, { prefix = '', encoding }: SignatureRule): Buffer | null {
  if (!text.startsWith(prefix)) return null
  const encoded = text.slice(prefix.length)
  const isWellFormed = encoding === 'hex'
    ? /^[0-9a-fA-F]{64}$/.test(encoded)
    : /^[A-Za-z0-9+/]{43}=$/.test(encoded)
  const bytes = Buffer.from(encoded, encoding)
  return isWellFormed && bytes.length === SHA256_BYTES ? bytes : null
}

/** 300 s are near enough, 301 s are not: by whole seconds where the platform counts those. */
function whyUntimely(times: string[], unit: 's' | 'ms', now: Date): RefusalReason | null {
  if (times.length === 0 || times[0] === '') return 'missing_timestamp'
  if (times.length > 1 || !/^\d{1,15}$/.test(times[0]!)) return 'malformed_timestamp'
  const [ours, tolerance] = unit === 's'
    ? [Math.floor(now.getTime() / 1000), TOLERANCE_SECONDS]
    : [now.getTime(), TOLERANCE_SECONDS * 1000]
  return Math.abs(ours - Number(times[0])) <= tolerance ? null : 'timestamp_out_of_tolerance'
}

function contentOf(
  template: string,
  places: { body: Uint8Array; timestamp: string; method: string; url: string },
): Buffer {
  const parts = template.split(/(\{body\}|\{timestamp\}|\{method\}|\{url\})/)
  return Buffer.concat(parts.map((part) => {
    const name = part.startsWith('{') ? part.slice(1, -1) as keyof typeof places : null
    const value = name === null ? part : places[name]
    return typeof value === 'string' ? Buffer.from(value) : value
  }))
}

const digest = ({ plainHash }: SignatureRule, key: Buffer, content: Buffer): Buffer =>
  plainHash
    ? createHash('sha256').update(key).update(content).digest()
    : createHmac('sha256', key).update(content).digest()
