import { describe, expect, it } from 'vitest'
import {
  generateKeyPair,
  generateSecret,
  publicKeyOf,
} from '../../../supabase/functions/_shared/webhooks/generate-keys.ts'
import { signatureHeaders } from '../../../supabase/functions/_shared/webhooks/sign.ts'
import { InvalidSigningKey } from '../../../supabase/functions/_shared/webhooks/signing-keys.ts'
import { verify } from '../../../supabase/functions/_shared/webhooks/verify.ts'
import { now, otherSecret, outcome, secret, text, timestamp } from './a-webhook.ts'

const body = new TextEncoder().encode(text)
const webhook = { id: 'msg_1', timestamp, body, secrets: [secret] }

/** RFC 8032, section 7.1, test 1. */
const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
const publicPoint = Buffer.from(
  'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
  'hex',
)

describe('signatureHeaders', () => {
  it('signs with each live secret, in their order, and with ed25519 behind them', () => {
    const { secretKey } = generateKeyPair()
    const alone = (part: { secrets: string[]; ed25519Keys?: string[] }) =>
      signatureHeaders({ ...webhook, ...part })['webhook-signature']

    const all = alone({ secrets: [secret, otherSecret], ed25519Keys: [secretKey] })

    expect(all.split(' ')).toEqual([
      alone({ secrets: [secret] }),
      alone({ secrets: [otherSecret] }),
      alone({ secrets: [], ed25519Keys: [secretKey] }),
    ])
  })

  it('adds the older header when asked: the body alone, with the secret’s text as its key', () => {
    const headers = signatureHeaders({ ...webhook, legacySecret: secret })

    // printf '{"test": 2432232314}' | openssl dgst -sha256 -hmac whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
    expect(headers['x-webhook-signature']).toBe(
      '80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c',
    )
    expect(signatureHeaders(webhook)).not.toHaveProperty('x-webhook-signature')
  })

  it.each(['', 'msg.1', 'msg 1', 'msg\r\nx-evil: 1', 'müsli'])('refuses the id %j', (id) => {
    expect(() => signatureHeaders({ ...webhook, id })).toThrow(TypeError)
    expect(() => signatureHeaders({ ...webhook, id: 'msg_2' })).not.toThrow()
  })

  it.each<[string, Partial<typeof webhook> & { ed25519Keys?: string[]; legacySecret?: string }]>([
    ['no key at all', { secrets: [] }],
    ['an empty secret', { secrets: [''] }],
    ['a secret of 23 bytes', { secrets: [`whsec_${Buffer.alloc(23).toString('base64')}`] }],
    ['one bad secret among good ones', { secrets: [secret, 'whsec_?'] }],
    [
      'an ed25519 key of 31 bytes',
      { ed25519Keys: [`whsk_${Buffer.alloc(31).toString('base64')}`] },
    ],
    ['an empty ed25519 key', { ed25519Keys: [''] }],
    ['an empty secret for the older header', { legacySecret: '' }],
  ])('never sends a webhook that nobody can verify: %s', (_, part) => {
    expect(() => signatureHeaders({ ...webhook, ...part })).toThrow(InvalidSigningKey)
  })
})

describe('keys', () => {
  it('of ed25519 may bring their public key behind the seed, but no other one', async () => {
    const written = (half: Uint8Array) => `whsk_${Buffer.concat([seed, half]).toString('base64')}`
    const other = Buffer.from(publicPoint).reverse()

    const headers = signatureHeaders({
      ...webhook,
      secrets: [],
      ed25519Keys: [written(publicPoint)],
    })

    expect(
      await outcome(
        verify({ headers, body }, `whpk_${publicPoint.toString('base64')}`, { now }),
      ),
    ).toBe('accepted')
    expect(() => signatureHeaders({ ...webhook, ed25519Keys: [written(other)] }))
      .toThrow(InvalidSigningKey)
  })

  it('have the public half that RFC 8032 says', () => {
    expect(publicKeyOf(`whsk_${seed.toString('base64')}`))
      .toBe(`whpk_${publicPoint.toString('base64')}`)
  })

  it('are 32 random bytes behind a prefix that tells them apart', () => {
    const { secretKey, publicKey } = generateKeyPair()
    const again = generateKeyPair()

    expect(generateSecret()).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(secretKey).toMatch(/^whsk_[A-Za-z0-9+/]{43}=$/)
    expect(publicKey).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/)
    expect(new Set([generateSecret(), generateSecret()]).size).toBe(2)
    expect(again.secretKey).not.toBe(secretKey)
    expect(publicKeyOf(secretKey)).toBe(publicKey)
  })
})
