import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import type { ReceiverSecrets } from '../../../supabase/functions/_shared/webhooks/scheme.ts'
import { publishedKeys } from '../../../supabase/functions/_shared/webhooks/verify-webhook.ts'
import { ADDRESS, ask, get, post, shared } from './ask.ts'

const SENDER = 'push@our-project.iam.gserviceaccount.com'
const NOW = 1_700_000_000
const now = new Date(NOW * 1000)
const secrets: ReceiverSecrets = { ...shared, app: { service_account: SENDER } }
const refused = (reason: string) => ({ kind: 'refused', reason })
const verified = { kind: 'verified' }

let google: CryptoKeyPair
let stranger: CryptoKeyPair
let served: unknown
let fetched: string[]

beforeAll(async () => {
  google = await generateKeyPair('RS256')
  stranger = await generateKeyPair('RS256')
  served = { keys: [{ ...await exportJWK(google.publicKey), kid: 'k1', alg: 'RS256', use: 'sig' }] }
})

const claims: JWTPayload = {
  iss: 'https://accounts.google.com',
  aud: ADDRESS,
  email: SENDER,
  email_verified: true,
  iat: NOW - 10,
  exp: NOW + 3590,
}

const sign = (payload: JWTPayload, key = google.privateKey, kid = 'k1') =>
  new SignJWT(payload).setProtectedHeader({ alg: 'RS256', kid }).sign(key)

const keys = (answer: () => Response | Promise<Response> = () => Response.json(served)) => {
  fetched = []
  return publishedKeys((url) => {
    fetched.push(String(url))
    return Promise.resolve(answer())
  })
}

const push = async (
  token: string | Promise<string>,
  known = secrets,
  published = keys(),
) =>
  ask('google-oidc', post('{}', { authorization: `Bearer ${await token}` }), known, now, published)

describe('a push of Google', () => {
  it('is believed with a token of Google for our address, in the name of our account', async () => {
    expect(await push(sign(claims))).toEqual(verified)
    expect(fetched).toEqual(['https://www.googleapis.com/oauth2/v3/certs'])
    expect(await push(sign({ ...claims, iss: 'accounts.google.com' }))).toEqual(verified)
  })

  it('fetches the keys once for many', async () => {
    const published = keys()

    for (let count = 0; count < 3; count++) {
      expect(await push(sign(claims), secrets, published)).toEqual(verified)
    }

    expect(fetched).toHaveLength(1)
  })

  it.each<[string, JWTPayload]>([
    ['for another address', { ...claims, aud: 'https://elsewhere.example' }],
    ['of another issuer', { ...claims, iss: 'https://issuer.example' }],
    ['of another account', { ...claims, email: 'push@other.iam.gserviceaccount.com' }],
    ['of nobody', { ...claims, email: undefined }],
    ['of an account nobody has verified', { ...claims, email_verified: false }],
    ['that never ends', { ...claims, exp: undefined }],
    ['that has not begun', { ...claims, nbf: NOW + 60 }],
  ])('is refused with a token %s', async (_, payload) => {
    expect(await push(sign(payload))).toEqual(refused('wrong_signature'))
  })

  it('is refused with a token that has ended', async () => {
    expect(await push(sign({ ...claims, exp: NOW }))).toEqual(refused('timestamp_out_of_tolerance'))
  })

  it('is refused with a token that somebody else signed, or nobody', async () => {
    expect(await push(sign(claims, stranger.privateKey))).toEqual(refused('wrong_signature'))
    expect(await push(sign(claims, google.privateKey, 'k2'))).toEqual(refused('wrong_signature'))
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    expect(await push(`${part({ alg: 'none' })}.${part(claims)}.`))
      .toEqual(refused('malformed_signature'))
    expect(await push(`${part({ alg: 'HS256', kid: 'k1' })}.${part(claims)}.AAAA`))
      .toEqual(refused('wrong_signature'))
  })

  it('is refused without a token, by another method, and where no account is known', async () => {
    const authorization = `Bearer ${await sign(claims)}`

    expect(await ask('google-oidc', post('{}'), secrets, now)).toEqual(refused('missing_signature'))
    expect(await ask('google-oidc', get(ADDRESS), secrets, now)).toEqual(refused('wrong_method'))
    expect(await ask('google-oidc', post('{}', { authorization }), shared, now))
      .toEqual(refused('no_secret'))
    expect(await ask('google-oidc', post('{}', { authorization: 'Basic x' }), secrets, now))
      .toEqual(refused('malformed_signature'))
  })

  it('may be for an audience of our own choice, or to a receiver that knows its own account', async () => {
    const audience = 'plugboard'
    const chosen: ReceiverSecrets = { ...shared, app: { service_account: SENDER, audience } }

    expect(await push(sign({ ...claims, aud: audience }), chosen)).toEqual(verified)
    expect(await push(sign(claims), chosen)).toEqual(refused('wrong_signature'))
    expect(await push(sign(claims), { ...chosen, signing: [SENDER] })).toEqual(verified)
    expect(await push(sign(claims), { ...secrets, signing: ['other@x.example'] }))
      .toEqual(refused('wrong_signature'))
  })

  it.each<[string, () => Response | Promise<Response>]>([
    ['fails', () => new Response('', { status: 503 })],
    ['cannot be reached', () => Promise.reject(new TypeError('fetch failed'))],
    ['answers with a web page', () => new Response('<html>')],
    ['answers with something else', () => Response.json({ keys: 7 })],
  ])('is refused, not believed, while the address of the keys %s', async (_, answer) => {
    expect(await push(sign(claims), secrets, keys(answer))).toEqual(refused('keys_unavailable'))
    expect(await push(sign(claims))).toEqual(verified)
  })
})
