// Signatures that are written otherwise, many of them, and several keys.
import { Webhook } from 'standardwebhooks'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { generateKeyPair } from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { signatureHeaders } from '../../../supabase/functions/_shared/webhooks/sign.ts'
import { verify, verifyBytes } from '../../../supabase/functions/_shared/webhooks/verify.ts'
import {
  aWebhook,
  bytes,
  id,
  now,
  otherSecret,
  outcome,
  secret,
  signedByUs,
  text,
  timestamp,
  withHeaders,
} from './a-webhook.ts'

const { secretKey, publicKey } = generateKeyPair()

afterEach(() => {
  vi.restoreAllMocks()
})

/** The official library knows no clock but the machine's. */
function atTheReference({ headers, body }: ReturnType<typeof aWebhook>) {
  vi.useFakeTimers({ now: now(), toFake: ['Date'] })
  try {
    return new Webhook(secret).verify(body, headers)
  } finally {
    vi.useRealTimers()
  }
}

describe('webhook-signature', () => {
  const valid = aWebhook()
  const signature = valid.headers['webhook-signature'] ?? ''
  const mac = signature.slice('v1,'.length) // has a plus, a slash and an equals sign

  it.each([
    ['base64url', mac.replaceAll('+', '-').replaceAll('/', '_')],
    ['base64 without its padding', mac.replace('=', '')],
    ['base64 with a bit behind its end', mac.replace('E=', 'F=')],
    ['base64 with more behind its end', `${mac}AAAA`],
    ['hexadecimal', Buffer.from(mac, 'base64').toString('hex')],
    ['lower case', mac.toLowerCase()],
  ])('in %s is refused, here as by the official library', async (_, written) => {
    const message = withHeaders(valid, { 'webhook-signature': `v1,${written}` })

    expect(mac).toMatch(/^(?=.*\+)(?=.*\/).*=$/)
    expect(() => atTheReference(message)).toThrow('No matching signature')
    expect(() => atTheReference(valid)).not.toThrow()
    expect(await outcome(verify(message, secret, { now }))).toBe('no_matching_signature')
    expect(await outcome(verify(valid, secret, { now }))).toBe('accepted')
  })

  it.each(['v2', 'v1a', 'V1', 'v', ''])(
    'does not count under the version "%s"',
    async (version) => {
      const message = withHeaders(valid, { 'webhook-signature': `${version},${mac}` })

      expect(await outcome(verify(message, [secret, publicKey], { now })))
        .toBe('no_matching_signature')
    },
  )

  it('may be the last of a thousand, of which none costs an HMAC of its own', async () => {
    const hmacs = vi.spyOn(crypto.subtle, 'sign')
    const others = aThousand('v1', 32)
    const list = (signatures: string[]) =>
      withHeaders(valid, { 'webhook-signature': signatures.join(' ') })

    expect(await outcome(verify(list([...others, signature]), secret, { now }))).toBe('accepted')
    expect(await outcome(verify(list(others), secret, { now }))).toBe('no_matching_signature')
    expect(hmacs).toHaveBeenCalledTimes(2)
  })

  it('of ed25519 may stand behind some that are none', async () => {
    const { headers, body } = signedByUs(bytes(text), secretKey)
    const signatures = ['v1a,?', 'v1a,AAAA', 'v1a', headers['webhook-signature']].join(' ')

    const message = { headers: { ...headers, 'webhook-signature': signatures }, body }

    expect(await outcome(verify(message, publicKey, { now }))).toBe('accepted')
  })

  it('of ed25519 may be the last of a thousand too', async () => {
    const { headers, body } = signedByUs(bytes(text), secretKey)
    const others = aThousand('v1a', 64)
    const list = (signatures: string[]) => ({
      headers: { ...headers, 'webhook-signature': signatures.join(' ') },
      body,
    })
    const all = [...others, headers['webhook-signature']]

    expect(await outcome(verify(list(all), publicKey, { now }))).toBe('accepted')
    expect(await outcome(verify(list(others), publicKey, { now }))).toBe('no_matching_signature')
  })

  it('of ed25519 is tried a bounded number of times beside a stranger’s large body', async () => {
    const tries = vi.spyOn(crypto.subtle, 'verify')
    const { headers, body } = signedByUs(new Uint8Array(1024 * 1024), secretKey)
    const list = (...signatures: string[]) => ({
      headers: { ...headers, 'webhook-signature': signatures.join(' ') },
      body,
    })
    const others = aThousand('v1a', 64)
    const few = [...others.slice(0, 50), headers['webhook-signature']]

    expect(await outcome(verifyBytes(list(...few), publicKey, { now }))).toBe('accepted')
    tries.mockClear()
    expect(await outcome(verifyBytes(list(...others), publicKey, { now })))
      .toBe('no_matching_signature')
    expect(tries.mock.calls.length).toBeLessThan(100)
  })
})

/** Well formed, all different, none of them anybody's. */
function aThousand(version: string, size: number): string[] {
  return Array.from({ length: 1000 }, (_, index) => {
    const other = Buffer.alloc(size, 1)
    other.writeUInt32BE(index)
    return `${version},${other.toString('base64')}`
  })
}

describe('the keys', () => {
  it('may be several while a secret is rotated, on either side', async () => {
    const before = aWebhook(text, timestamp, otherSecret)
    const between = aWebhook(text, timestamp, otherSecret, secret)
    const after = aWebhook(text, timestamp, secret)

    expect(await outcome(verify(before, [otherSecret, secret], { now }))).toBe('accepted')
    expect(await outcome(verify(between, otherSecret, { now }))).toBe('accepted')
    expect(await outcome(verify(between, secret, { now }))).toBe('accepted')
    expect(await outcome(verify(after, [otherSecret, secret], { now }))).toBe('accepted')
    expect(await outcome(verify(after, otherSecret, { now }))).toBe('no_matching_signature')
  })

  it('may be a secret and a public key', async () => {
    const onlyEd25519 = {
      headers: signatureHeaders({
        id,
        timestamp,
        body: bytes(text),
        secrets: [],
        ed25519Keys: [secretKey],
      }),
      body: text,
    }

    expect(await outcome(verify(onlyEd25519, [secret, publicKey], { now }))).toBe('accepted')
    expect(await outcome(verify(onlyEd25519, secret, { now }))).toBe('no_matching_signature')
    expect(await outcome(verify(aWebhook(), [secret, publicKey], { now }))).toBe('accepted')
    expect(await outcome(verify(aWebhook(), publicKey, { now }))).toBe('no_matching_signature')
  })

  it.each([
    ['a placeholder', 'changeme'],
    ['what is not base64', 'whsec_your-secret-goes-here-and-is-long!'],
    ['base64url', 'whsec_-_fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ['a line break', `${secret}\n`],
    ['a public key of 31 bytes', `whpk_${Buffer.alloc(31, 1).toString('base64')}`],
    ['the sender’s key', secretKey],
  ])('are refused when one of them is %s, even beside a good one', async (_, bad) => {
    expect(await outcome(verify(aWebhook(), bad, { now }))).toBe('invalid_secret')
    expect(await outcome(verify(aWebhook(), [secret, bad], { now }))).toBe('invalid_secret')
    expect(await outcome(verify(aWebhook(), [secret], { now }))).toBe('accepted')
  })

  it('never show in an error, nor does the body', async () => {
    const body = '{"card": "4111111111111111"'
    const messages = [
      verify(aWebhook(), `${secret}!`, { now }),
      verify(aWebhook(text, timestamp, otherSecret), secret, { now }),
      verify(aWebhook(body), secret, { now }),
    ]

    for (const message of messages) {
      const error = await message.catch((error) => error)
      const shown = JSON.stringify([error.message, error.stack, error.code, error.cause])
      expect(error.code).toBeTypeOf('string')
      expect(shown).not.toMatch(/MfKQ9r8G|4111/)
    }
  })
})
