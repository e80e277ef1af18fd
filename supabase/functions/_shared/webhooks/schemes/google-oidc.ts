// Google's Pub/Sub push: a token that Google signed for our address, in the name of a service account of ours.
import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTVerifyGetKey } from 'jose'
import type { InboundRequest, ReceiverSecrets, RefusalReason } from '../scheme.ts'
import { isPost, type PublishedKeys, refused, type Scheme, verified } from './scheme-definition.ts'

const KEYS = new URL('https://www.googleapis.com/oauth2/v3/certs')
/** Seen with and without its scheme. */
const ISSUERS = ['https://accounts.google.com', 'accounts.google.com']

/** Google's keys as they are fetched; remembers them, so make it once. */
export const googleKeys = (fetch: typeof globalThis.fetch): JWTVerifyGetKey =>
  createRemoteJWKSet(KEYS, {
    timeoutDuration: 5_000,
    [customFetch]: (url, options) => fetch(url, options),
  })

export const googleOidc: Scheme = {
  // The token vouches for no body: whoever could read it where webhooks are kept could send anything for an hour.
  headers: [],
  async verify(request, secrets, now, keys) {
    if (!isPost(request)) return refused('wrong_method')
    const reason = await whyRefused(request, secrets, now, keys)
    return reason === null ? verified : refused(reason)
  },
}

async function whyRefused(
  { headers, url }: InboundRequest,
  { signing, app }: ReceiverSecrets,
  now: Date,
  { google }: PublishedKeys,
): Promise<RefusalReason | null> {
  const own = signing.filter((email) => email !== '')
  const [senders, audience] = own.length > 0
    ? [own, url]
    : [app?.service_account ? [app.service_account] : [], app?.audience || url]
  if (senders.length === 0) return 'no_secret'
  const sent = headers.get('authorization')
  if (sent === null) return 'missing_signature'
  const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(sent)?.[1]
  if (token === undefined) return 'malformed_signature'
  try {
    const { payload } = await jwtVerify(token, google, {
      algorithms: ['RS256'],
      issuer: ISSUERS,
      audience,
      currentDate: now,
      requiredClaims: ['exp', 'email'],
    })
    const isOurs = payload.email_verified === true && senders.includes(String(payload.email))
    return isOurs ? null : 'wrong_signature'
  } catch (error) {
    return reasonOf(error)
  }
}

const KEYS_TROUBLE = ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID']

function reasonOf(error: unknown): RefusalReason {
  if (error instanceof errors.JWTExpired) return 'timestamp_out_of_tolerance'
  // what is wrong with a token has a code of its own; what is wrong with Google's answer has one of these, or none
  const isAboutToken = error instanceof errors.JOSEError && !KEYS_TROUBLE.includes(error.code)
  return isAboutToken ? 'wrong_signature' : 'keys_unavailable'
}
