// Every case that the official Standard Webhooks libraries test (JavaScript, Python, Go, Rust, C#, PHP,
// read 2026-11-28), asked of ours.
import { describe, expect, it } from 'vitest'
import { publicKeyOf } from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { signatureHeaders } from '../../../supabase/functions/_shared/webhooks/sign.ts'
import { verify } from '../../../supabase/functions/_shared/webhooks/verify.ts'
import {
  aWebhook,
  bytes,
  id,
  now,
  outcome,
  secret,
  text,
  timestamp,
  withHeaders,
} from './a-webhook.ts'

const other = 'Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc='

describe('verify, as the official libraries', () => {
  const valid = aWebhook()
  const signature = valid.headers['webhook-signature'] ?? ''

  it('takes a valid signature, and answers what was in the body', async () => {
    const verified = await verify<{ test: number }>(valid, secret, { now })

    expect(verified).toEqual({ id, timestamp, payload: { test: 2432232314 } })
  })

  it.each<[string, Record<string, string | undefined>, string]>([
    ['no id', { 'webhook-id': undefined }, 'missing_header'],
    ['no timestamp', { 'webhook-timestamp': undefined }, 'missing_header'],
    ['no signature', { 'webhook-signature': undefined }, 'missing_header'],
    ['a timestamp in words', { 'webhook-timestamp': 'hello' }, 'invalid_header'],
    [
      'a signature that is not base64',
      { 'webhook-signature': 'v1,dawfeoifkpqwoekfpqoekf' },
      'no_matching_signature',
    ],
    [
      'a signature of something else',
      { 'webhook-signature': `v1,${other}` },
      'no_matching_signature',
    ],
    [
      'a signature with another last character',
      { 'webhook-signature': signature.slice(0, -2) + 'A=' },
      'no_matching_signature',
    ],
    [
      'a signature’s beginning',
      { 'webhook-signature': signature.slice(0, 8) },
      'no_matching_signature',
    ],
    ['a version without a signature', { 'webhook-signature': 'v1,' }, 'no_matching_signature'],
    [
      'a text without a version',
      { 'webhook-signature': 'invalid signature' },
      'no_matching_signature',
    ],
    [
      'several signatures of something else',
      { 'webhook-signature': `v1,${other} v1,${other.toLowerCase()}` },
      'no_matching_signature',
    ],
  ])('refuses %s', async (_, headers, code) => {
    expect(await outcome(verify(withHeaders(valid, headers), secret, { now }))).toBe(code)
    expect(await outcome(verify(valid, secret, { now }))).toBe('accepted')
  })

  it('finds the valid one among several signatures', async () => {
    const message = withHeaders(valid, {
      'webhook-signature': `v1,${other} v2,${other} ${signature} v1,${other}`,
    })

    expect(await outcome(verify(message, secret, { now }))).toBe('accepted')
  })

  it('takes a secret with and without its prefix', async () => {
    expect(await outcome(verify(valid, secret, { now }))).toBe('accepted')
    expect(await outcome(verify(valid, secret.replace('whsec_', ''), { now }))).toBe('accepted')
  })

  it.each<[string, number, string]>([
    ['too old', -301, 'timestamp_too_old'],
    ['too new', 301, 'timestamp_too_new'],
  ])('refuses a timestamp that is %s, unless the tolerance is lifted', async (_, seconds, code) => {
    const message = aWebhook(text, timestamp + seconds)

    expect(await outcome(verify(message, secret, { now }))).toBe(code)
    expect(await outcome(verify(message, secret, { now, toleranceSeconds: Infinity })))
      .toBe('accepted')
  })

  it('refuses a timestamp that was not signed, tolerance or not', async () => {
    const message = withHeaders(valid, { 'webhook-timestamp': '946684800' })

    expect(await outcome(verify(message, secret, { now, toleranceSeconds: Infinity })))
      .toBe('no_matching_signature')
  })

  it.each([[''], ['whsec_'], [undefined], [null as unknown as string], [[]], [['']]])(
    'refuses everything when the secret is %j',
    async (nothing) => {
      expect(await outcome(verify(valid, nothing, { now }))).toBe('invalid_secret')
    },
  )
})

describe('signatureHeaders, as the official libraries', () => {
  it.each([
    [
      secret,
      id,
      timestamp,
      text,
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    ],
    [
      'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
      'msg_27UH4WbU6Z5A5EzD8u03UvzRbpk',
      1649367553,
      '{"email":"test@example.com","username":"test_user"}',
      'v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=',
    ],
  ])('signs with %s what they sign', (key, id, timestamp, text, expected) => {
    const headers = signatureHeaders({ id, timestamp, body: bytes(text), secrets: [key] })

    expect(headers).toEqual({
      'webhook-id': id,
      'webhook-timestamp': `${timestamp}`,
      'webhook-signature': expected,
    })
  })

  it.each(['', 'whsk_'])(
    'signs with ed25519 what they sign, the key beginning with "%s"',
    (prefix) => {
      const ed25519Key = prefix + 'VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk='

      const headers = signatureHeaders({
        id,
        timestamp,
        body: bytes(text),
        secrets: [],
        ed25519Keys: [ed25519Key],
      })

      expect(headers['webhook-signature']).toBe(
        'v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==',
      )
    },
  )

  it.each([161426533.5, -161426533, NaN, Infinity, '161426533.0' as unknown as number])(
    'refuses to sign at %s',
    (timestamp) => {
      const webhook = { id, timestamp, body: bytes(text), secrets: [secret] }

      expect(() => signatureHeaders(webhook)).toThrow('whole seconds')
      expect(() => signatureHeaders({ ...webhook, timestamp: 161426533 })).not.toThrow()
    },
  )
})

describe('verify with a public key, as the official Go library', () => {
  const ed25519Key = 'whsk_V0VCSE9PS0FTWU1NRVRSSUNURVNUUFJJVkFURUtFWTE='
  const publicKey = publicKeyOf(ed25519Key)
  const signed = (timestamp: number) => ({
    headers: signatureHeaders({
      id,
      timestamp,
      body: bytes(text),
      secrets: [],
      ed25519Keys: [ed25519Key],
    }),
    body: text,
  })
  const valid = signed(timestamp)
  const signature = valid.headers['webhook-signature']

  it.each<[string, Record<string, string | undefined>, string]>([
    ['a valid signature', {}, 'accepted'],
    ['no id', { 'webhook-id': undefined }, 'missing_header'],
    ['no timestamp', { 'webhook-timestamp': undefined }, 'missing_header'],
    ['no signature', { 'webhook-signature': undefined }, 'missing_header'],
    ['a signature of 32 bytes', { 'webhook-signature': `v1a,${other}` }, 'no_matching_signature'],
    ['a version without a signature', { 'webhook-signature': 'v1a,' }, 'no_matching_signature'],
    [
      'a valid one among several signatures',
      { 'webhook-signature': `v1,${other} v2,${other} ${signature} v1,${other}` },
      'accepted',
    ],
    [
      'a timestamp that was not signed',
      { 'webhook-timestamp': '1614265331' },
      'no_matching_signature',
    ],
  ])('judges %s', async (_, headers, code) => {
    expect(await outcome(verify(withHeaders(valid, headers), publicKey, { now }))).toBe(code)
  })

  it.each<[number, string]>([
    [-300, 'accepted'],
    [-301, 'timestamp_too_old'],
    [300, 'accepted'],
    [301, 'timestamp_too_new'],
  ])('judges a timestamp %i s away', async (seconds, code) => {
    const message = signed(timestamp + seconds)

    expect(await outcome(verify(message, publicKey, { now }))).toBe(code)
    expect(await outcome(verify(message, publicKey, { now, toleranceSeconds: Infinity })))
      .toBe('accepted')
  })
})
