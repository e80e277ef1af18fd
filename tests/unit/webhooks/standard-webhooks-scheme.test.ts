// The official library's cases are beside this; here is what a receiver makes of them.
import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Webhook } from 'standardwebhooks'
import type { ReceiverSecrets } from '../../../supabase/functions/_shared/webhooks/scheme.ts'
import { ask, get, post, shared } from './ask.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const OTHER = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const BODY = '{"test": 2432232314}'
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
const AT = 1_614_265_330

/** The example of the specification. */
const V1 = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
const ed25519 = generateKeyPairSync('ed25519')
const publicKey = `whpk_${
  ed25519.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64')
}`
const V1A = `v1a,${
  sign(null, Buffer.from(`${ID}.${AT}.${BODY}`), ed25519.privateKey).toString('base64')
}`

const headers = (signature: string, more: Record<string, string> = {}) => ({
  'webhook-id': ID,
  'webhook-timestamp': String(AT),
  'webhook-signature': signature,
  ...more,
})
const knowing = (...signing: string[]): ReceiverSecrets => ({ ...shared, signing })
const receive = (
  signature: string,
  { secrets = knowing(SECRET), body = BODY, at = AT, more = {} }: {
    secrets?: ReceiverSecrets
    body?: string
    at?: number
    more?: Record<string, string>
  } = {},
) => ask('standard-webhooks', post(body, headers(signature, more)), secrets, new Date(at * 1000))

const verified = { kind: 'verified' }
const refused = (reason: string) => ({ kind: 'refused', reason })

describe('a Standard Webhook', () => {
  it('is believed by a secret (v1) and by a public key (v1a)', async () => {
    expect(await receive(V1)).toEqual(verified)
    expect(await receive(V1A, { secrets: knowing(publicKey) })).toEqual(verified)
    expect(await receive(`${V1A} ${V1}`)).toEqual(verified)
    expect(await receive(V1A)).toEqual(refused('wrong_signature'))
  })

  it('is believed as the official library signs it', async () => {
    const signature = new Webhook(SECRET).sign(ID, new Date(AT * 1000), 'plain text')

    expect(await receive(signature, { body: 'plain text' })).toEqual(verified)
  })

  it('is believed with the old secret or the new one while they change', async () => {
    expect(await receive(V1, { secrets: knowing(OTHER, SECRET) })).toEqual(verified)
    expect(await receive(V1, { secrets: knowing(OTHER) })).toEqual(refused('wrong_signature'))
  })

  it('is refused where nothing, or nothing of the kind, is known', async () => {
    expect(await receive(V1, { secrets: shared })).toEqual(refused('no_secret'))
    expect(await receive(V1, { secrets: knowing('') })).toEqual(refused('no_secret'))
    expect(await receive(V1, { secrets: { ...shared, app: { client_secret: SECRET } } }))
      .toEqual(refused('no_secret'))
  })

  it.each([-300, 300])('is believed %i s from its time', async (seconds) => {
    expect(await receive(V1, { at: AT + seconds })).toEqual(verified)
  })

  it.each([-301, 301])('is refused %i s from its time', async (seconds) => {
    expect(await receive(V1, { at: AT + seconds })).toEqual(refused('timestamp_out_of_tolerance'))
  })

  it('is refused with another body, id or time', async () => {
    expect(await receive(V1, { body: BODY.replace('2', '3') })).toEqual(refused('wrong_signature'))
    expect(await receive(V1, { more: { 'webhook-id': 'msg_2' } }))
      .toEqual(refused('wrong_signature'))
    expect(await receive(V1, { more: { 'webhook-timestamp': String(AT + 1) } }))
      .toEqual(refused('wrong_signature'))
  })

  it('is refused without a signature, with what is none, and by another method', async () => {
    expect(await ask('standard-webhooks', post(BODY), knowing(SECRET), new Date(AT * 1000)))
      .toEqual(refused('missing_signature'))
    expect(await receive(V1, { more: { 'webhook-timestamp': '1614265330.0' } }))
      .toEqual(refused('malformed_signature'))
    expect(await ask('standard-webhooks', get('https://a.example'), knowing(SECRET), new Date()))
      .toEqual(refused('wrong_method'))
  })
})
